"""Finished work is freed at once, without the garbage collector.

With some thousands of closed sockets to collect, the collector stopped the whole process for over a second. What
graphql-core leaves of refused documents and of errors is not looked for here: it is collected young.
"""

import asyncio
import gc
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
import pytest
from websockets.asyncio.client import connect

from tests.api.changes import announce, some_changes
from tests.api.conftest import Api
from tests.api.protocol import SUBPROTOCOL, opened
from tests.api.test_graphql_sse import streaming
from tests.waiting import until

OURS = frozenset({"api", "schema", "domain", "graphql", "strawberry", "httptools", "uvicorn"})
WATCH = "subscription { deliveryStatusChanged { cursor delivery { webhook { name } attempts { number } } } }"
LIST = "{ deliveries(first: 5) { nodes { webhook { name } event { id } attempts { number } } } }"
TIMES = 5


async def a_query(api: Api) -> None:
    """A list, with what the loaders fetch for its rows."""
    await api.ask(LIST)


async def a_request_without_a_token_of_ours(api: Api) -> None:
    """The refusal is raised many calls deep."""
    async with api.http.post(api.graphql, json={"query": LIST}, headers={"authorization": "Bearer hl_no"}) as answer:
        assert answer.status == 401


async def a_connection(api: Api) -> None:
    """One request, after which the client closes its connection."""
    async with aiohttp.ClientSession() as http, http.get(f"{api.url}/healthz") as answer:
        assert answer.status == 200


async def a_socket_that_goes(api: Api) -> None:
    """The client completes none of its subscriptions before it goes."""
    async with api.socket() as socket:
        await socket.subscribe("1", WATCH)
        await socket.subscribe("2", WATCH)
        await api.until_watched_by(2)
        await announce(api.process.domain, some_changes(api.actor.workspace.id, 3))
        await socket.receive()


async def a_socket_that_goes_at_once(api: Api) -> None:
    """The client goes while its subscription begins."""
    async with api.socket() as socket:
        await socket.subscribe("1", WATCH)


async def a_socket_that_completes(api: Api) -> None:
    """One operation ends by itself, the other is completed by the client."""
    async with api.socket() as socket:
        await socket.subscribe("1", LIST)
        await socket.next("1")
        await socket.receive()
        await socket.subscribe("2", WATCH)
        await api.until_watched_by(1)
        await socket.send({"id": "2", "type": "complete"})
        await api.until_watched_by(0)


async def a_socket_that_we_close(api: Api) -> None:
    """We close it because of an invalid message."""
    async with api.socket() as socket:
        await socket.subscribe("1", WATCH)
        await socket.send({"type": "subscribe"})
        assert (await socket.closed())[0] == 4400


async def a_socket_that_is_let_in_by_no_token(api: Api) -> None:
    """The refusal is raised many calls deep."""
    async with opened(api.graphql.replace("http", "ws", 1)) as socket:
        await socket.initialise("hl_nothing")
        assert (await socket.closed())[0] == 4403


async def a_socket_that_breaks(api: Api) -> None:
    """The client aborts the connection without a close frame."""
    async with connect(api.graphql.replace("http", "ws", 1), subprotocols=[SUBPROTOCOL], proxy=None) as connection:
        connection.transport.abort()


async def an_event_stream(api: Api) -> None:
    """The client leaves the stream."""
    async with streaming(api, WATCH):
        await api.until_watched_by(1)


ALL = (
    a_query,
    a_request_without_a_token_of_ours,
    a_connection,
    a_socket_that_goes,
    a_socket_that_goes_at_once,
    a_socket_that_completes,
    a_socket_that_we_close,
    a_socket_that_is_let_in_by_no_token,
    a_socket_that_breaks,
    an_event_stream,
)


@pytest.mark.parametrize("thing", ALL, ids=lambda thing: thing.__name__)
async def test_what_is_over_leaves_no_garbage(api: Api, thing: Callable[[Api], Awaitable[None]]) -> None:
    await announce(api.process.domain, some_changes(api.actor.workspace.id, 3))
    # The first time makes what is then kept.
    await thing(api)
    await all_gone(api)
    with collecting() as left:
        for _ in range(TIMES):
            await thing(api)
        await all_gone(api)
    assert Counter(type(each) for each in left if type(each).__module__.partition(".")[0] in OURS) == {}


async def all_gone(api: Api) -> None:
    """Returns once only the test's own connection is open, and nothing is under way."""
    await until(lambda: not len(api.process.connections) and not len(api.process.feeds), what="the end of all")
    await until(lambda: len(api.server.server_state.connections) <= 1, what="the end of all connections")
    await asyncio.sleep(0.1)


@contextmanager
def collecting() -> Iterator[list[Any]]:
    """Whatever only the collector could free; filled in at the end of the block."""
    left: list[Any] = []
    gc.collect()
    gc.disable()
    try:
        yield left
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left.extend(gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
