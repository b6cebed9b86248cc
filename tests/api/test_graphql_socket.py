"""graphql-transport-ws: every message, odd ones first, and how a socket ends."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType
from websockets.exceptions import InvalidStatus

from api import graphql_socket, main, outbox
from domain import workspaces
from domain.settings import Settings
from domain.vocabulary import Role
from tests.api.changes import announce, some_changes
from tests.api.conftest import Api, running
from tests.api.protocol import Socket, opened

NAME = "{ viewer { workspace { name } } }"
WATCH = "subscription { deliveryStatusChanged { cursor status } }"


def ws(api: Api) -> str:
    """Where to open sockets."""
    return api.graphql.replace("http", "ws", 1)


async def test_a_query_is_answered_and_completed(api: Api) -> None:
    async with api.socket() as socket:
        await socket.subscribe("1", NAME)
        assert (await socket.next("1"))["data"] == {"viewer": {"workspace": {"name": "Test"}}}
        assert await socket.receive() == {"id": "1", "type": "complete"}


async def test_a_mutation_is_answered_too(api: Api) -> None:
    async with api.socket() as socket:
        await socket.subscribe("m", 'mutation { tokenCreate(input: {name: "ws", role: VIEWER}) { token { name } } }')
        assert (await socket.next("m"))["data"] == {"tokenCreate": {"token": {"name": "ws"}}}
        assert await socket.receive() == {"id": "m", "type": "complete"}


BEFORE_INIT: dict[str, tuple[Any, int]] = {
    "an array": ("[]", 4400),
    "a string": ('"hello"', 4400),
    "a number": ("1", 4400),
    "null": ("null", 4400),
    "no JSON": ("{", 4400),
    "nothing": ("", 4400),
    "deep JSON": ("[" * 50_000, 4400),
    "a binary frame": (b'{"type": "connection_init"}', 4400),
    "half a surrogate pair": ('{"type": "\\ud800"}', 4400),
    "no type": ("{}", 4400),
    "an unknown type": ({"type": "start"}, 4400),
    "a list as type": ({"type": []}, 4400),
    "a ping with a list": ({"type": "ping", "payload": []}, 4400),
    "a pong with a number": ({"type": "pong", "payload": 1}, 4400),
    "init with a list": ({"type": "connection_init", "payload": []}, 4400),
    "init with a list as token": ({"type": "connection_init", "payload": {"authorization": []}}, 4400),
    "init without a token": ({"type": "connection_init"}, 4403),
    "init with null": ({"type": "connection_init", "payload": None}, 4403),
    "init with a bad token": ({"type": "connection_init", "payload": {"authorization": "Bearer hl_x"}}, 4403),
    "subscribe": ({"id": "1", "type": "subscribe", "payload": {"query": NAME}}, 4401),
    "complete": ({"id": "1", "type": "complete"}, 4401),
    "a message too large": ('{"type": "ping", "payload": {"a": "' + "a" * 140_000 + '"}}', 1009),
}

AFTER_INIT: dict[str, tuple[Any, int]] = {
    "a second init": ({"type": "connection_init", "payload": {}}, 4429),
    "no payload": ({"id": "1", "type": "subscribe"}, 4400),
    "a null payload": ({"id": "1", "type": "subscribe", "payload": None}, 4400),
    "a list as payload": ({"id": "1", "type": "subscribe", "payload": []}, 4400),
    "a list as id": ({"id": [], "type": "subscribe", "payload": {"query": NAME}}, 4400),
    "a number as id": ({"id": 1, "type": "subscribe", "payload": {"query": NAME}}, 4400),
    "an empty id": ({"id": "", "type": "subscribe", "payload": {"query": NAME}}, 4400),
    "a long id": ({"id": "a" * 300, "type": "subscribe", "payload": {"query": NAME}}, 4400),
    "no id": ({"type": "complete"}, 4400),
    "a number as query": ({"id": "1", "type": "subscribe", "payload": {"query": 1}}, 4400),
    "no query": ({"id": "1", "type": "subscribe", "payload": {}}, 4400),
    "a list of variables": ({"id": "1", "type": "subscribe", "payload": {"query": NAME, "variables": []}}, 4400),
    "a number as operation name": (
        {"id": "1", "type": "subscribe", "payload": {"query": NAME, "operationName": 1}},
        4400,
    ),
}


async def test_bad_messages_close_the_socket_with_their_code(api: Api) -> None:
    wrong = {}
    for name, (message, code) in BEFORE_INIT.items():
        async with opened(ws(api)) as socket:
            await socket.send(message)
            found = await socket.closed()
        if found[0] != code:
            wrong[name] = found
    for name, (message, code) in AFTER_INIT.items():
        async with api.socket() as socket:
            await socket.send(message)
            found = await socket.closed()
        if found[0] != code or not found[1]:
            wrong[name] = found
    assert wrong == {}


async def test_an_id_in_use_closes_the_socket(api: Api) -> None:
    async with api.socket() as socket:
        await socket.subscribe("1", WATCH)
        await socket.subscribe("1", NAME)
        assert await socket.closed() == (4409, "Subscriber for 1 already exists")


async def test_an_id_can_be_used_again_once_it_is_free(api: Api) -> None:
    async with api.socket() as socket:
        for _ in range(2):
            await socket.subscribe("1", WATCH)
            await socket.send({"id": "1", "type": "complete"})
        await socket.subscribe("1", NAME)
        assert "data" in await socket.next("1")


async def test_who_does_not_initialise_is_closed_in_time(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphql_socket, "INIT_SECONDS", 0.05)
    async with opened(ws(api)) as socket:
        assert await socket.closed() == (4408, "Connection initialisation timeout")


BAD_OPERATIONS = {
    "a syntax error": ("{", "BAD_USER_INPUT"),
    "an unknown field": ("{ nothing }", "BAD_USER_INPUT"),
    "too complex": ("{ viewer { token { " + "name " * 90 + "} } }", "QUERY_TOO_COMPLEX"),
    "a missing variable": ("query($a: Int!) { webhooks(first: $a) { nodes { id } } }", "BAD_USER_INPUT"),
    "two root fields": (
        "subscription { a: deliveryStatusChanged { cursor } b: deliveryStatusChanged { cursor } }",
        "BAD_USER_INPUT",
    ),
    "an unknown operation": (
        "query a { viewer { token { id } } } query b { viewer { token { id } } }",
        "BAD_USER_INPUT",
    ),
}


async def test_a_bad_operation_ends_only_itself(api: Api) -> None:
    async with api.socket() as socket:
        await socket.subscribe("watch", WATCH)
        await api.until_watched_by(1)
        for name, (query, code) in BAD_OPERATIONS.items():
            await socket.subscribe(name, query)
            assert (await error_of(socket, name))["extensions"]["code"] == code, name
        await announce(api.process.domain, some_changes(api.actor.workspace.id, 1))
        assert (await socket.next("watch"))["data"]["deliveryStatusChanged"]["status"] == "SUCCEEDED"


async def error_of(socket: Socket, id_: str) -> Any:
    """The first error with which this operation ends."""
    message = await socket.receive()
    assert (message["id"], message["type"]) == (id_, "error"), message
    return message["payload"][0]


async def test_a_cursor_that_leads_nowhere_is_an_error_that_says_why(api: Api) -> None:
    live = api.process.domain.hub.live
    begin = await live.open(api.actor.workspace.id)
    theirs = await live.open((await workspaces.create("Another")).id)
    cursors = {
        "nonsense": "BAD_USER_INPUT",
        "99999999999999-0": "BAD_USER_INPUT",
        theirs: "BAD_USER_INPUT",
        "1-" + begin.partition("-")[2]: "CURSOR_EXPIRED",
    }
    async with api.socket() as socket:
        for name in ("deliveryStatusChanged", "postStatusChanged"):
            query = f"subscription($after: String) {{ {name}(after: $after) {{ cursor }} }}"
            for after, code in cursors.items():
                await socket.subscribe(after, query, after=after)
                error = await error_of(socket, after)
                told = error["extensions"]
                assert told["code"] == code, after
                assert told.get("cursor") == (begin if code == "CURSOR_EXPIRED" else None)
                assert error["message"]


async def test_pings_are_answered(api: Api) -> None:
    async with opened(ws(api)) as socket:
        await socket.send({"type": "ping", "payload": {"a": 1}})
        assert await socket.receive() == {"type": "pong"}
        await socket.send({"type": "pong"})
        await socket.quiet()


async def test_a_silent_socket_is_kept_alive_by_pings_and_ended_when_nobody_answers(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(main, "PING_SECONDS", 1.0)
    async with running(settings) as api, api.socket(ping_interval=None) as socket, aiohttp.ClientSession() as http:
        async with http.ws_connect(ws(api), protocols=["graphql-transport-ws"], autoping=False) as silent:
            await silent.send_json({"type": "connection_init", "payload": {"authorization": f"Bearer {api.token}"}})
            heard = [await silent.receive(timeout=30) for _ in range(3)]
        assert [each.type for each in heard] == [WSMsgType.TEXT, WSMsgType.PING, WSMsgType.CLOSE]
        await socket.quiet()


async def test_only_our_subprotocol_is_spoken(api: Api) -> None:
    for subprotocols in (["graphql-ws"], ["graphql-transport-ws2", "foo"], None):
        async with opened(ws(api), subprotocols=subprotocols) as socket:
            assert (await socket.closed())[0] == 4406


async def test_the_origin_is_checked(settings: Settings) -> None:
    async with running(replace(settings, allowed_origins=("https://app.example",))) as api:
        for origin in (None, api.url, "https://app.example"):
            async with opened(ws(api), origin=origin) as socket:
                await socket.quiet()
        for origin in (
            "https://evil.example",
            "null",
            api.url.replace("http:", "https:"),
            f"{api.url}.evil.example",
            "",
            "http://[",
            "http://a]b",
        ):
            with pytest.raises(InvalidStatus) as refused:
                async with opened(ws(api), origin=None, additional_headers={"Origin": origin}):
                    pass
            assert refused.value.response.status_code == 403, origin
            assert b"FORBIDDEN" in refused.value.response.body


async def test_there_may_be_only_so_many_sockets_of_a_process_and_of_a_token(settings: Settings) -> None:
    async with running(replace(settings, sockets_per_process=3, sockets_per_token=1)) as api:
        async with api.socket() as first:
            async with opened(ws(api)) as second:
                await second.initialise(api.token)
                assert await second.closed() == (4429, "Too many sockets with this token")
            _, other = await api.new_token()
            async with api.socket(other), opened(ws(api)):
                with pytest.raises(InvalidStatus) as refused:
                    async with opened(ws(api)):
                        pass
                assert refused.value.response.status_code == 503
            await first.quiet()
        async with api.socket():
            assert len(api.process.connections) == 1


async def test_there_may_be_only_so_many_operations_on_a_socket(settings: Settings) -> None:
    async with running(replace(settings, subscriptions_per_socket=2)) as api, api.socket() as socket:
        for id_ in ("1", "2", "3"):
            await socket.subscribe(id_, WATCH)
        message = await socket.receive()
        assert (message["id"], message["payload"][0]["extensions"]["code"]) == ("3", "RATE_LIMITED")
        await socket.send({"id": "1", "type": "complete"})
        await socket.subscribe("3", NAME)
        assert "data" in await socket.next("3")


async def test_a_revoked_token_closes_its_sockets_and_no_others(api: Api) -> None:
    token_id, other = await api.new_token()
    async with api.socket() as stays, api.socket(other) as goes:
        async with api.process.domain.unit(api.actor) as unit:
            await workspaces.revoke_token(unit, token_id)
        assert (await goes.closed())[0] == 4403
        await stays.quiet()


async def test_an_expired_token_closes_its_sockets(api: Api) -> None:
    _, other = await api.new_token(Role.VIEWER, expires_at=datetime.now(UTC) + timedelta(hours=1))
    async with api.socket() as stays, api.socket(other) as goes:
        await api.process.connections.close_revoked(datetime.now(UTC) + timedelta(hours=2))
        assert (await goes.closed())[0] == 4403
        await stays.quiet()


async def test_a_reader_that_stalls_is_closed_and_the_others_hear_on(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "SEND_SECONDS", 2.0)
    aliases = " ".join(f"a{number}: uuid" for number in range(80))  # 4 kB: the kernel's buffers hold megabytes
    query = f"subscription {{ deliveryStatusChanged {{ cursor delivery {{ {aliases} }} }} }}"
    async with api.socket() as reader, api.socket(max_queue=1) as stalled:
        for socket in (reader, stalled):
            await socket.subscribe("1", query)
        await api.until_watched_by(2)
        stalled.connection.transport.pause_reading()
        changes = some_changes(api.actor.workspace.id, 400)
        async with asyncio.timeout(60):
            while len(api.process.connections) == 2:
                await announce(api.process.domain, [replace(change, number=next_number(change)) for change in changes])
                for _ in changes:
                    await reader.next("1")
        stalled.connection.transport.resume_reading()
        code, reason = await stalled.closed()
        assert (code, reason) == (1013, "Too slow: reconnect, and resume from your cursor")
        await reader.quiet()


_numbers: dict[int, int] = {}


def next_number(change: Any) -> int:
    """A number that this delivery's change has not had."""
    _numbers[change.subject_id] = _numbers.get(change.subject_id, 0) + 1
    return _numbers[change.subject_id]


async def test_shutting_down_closes_every_socket_with_1012(settings: Settings) -> None:
    async with running(settings) as api, api.socket() as watching, opened(ws(api)) as silent:
        await watching.subscribe("1", WATCH)
        await watching.quiet()
        api.server.should_exit = True
        for socket in (watching, silent):
            assert (await socket.closed())[0] == 1012


async def test_a_client_that_vanishes_leaves_nothing_behind(api: Api) -> None:
    async with api.socket() as socket:
        await socket.subscribe("1", WATCH)
        await api.until_watched_by(1)
        socket.connection.transport.abort()
        async with asyncio.timeout(30):
            while len(api.process.connections) or len(api.process.feeds):
                await asyncio.sleep(0.01)
    assert api.process.domain.hub.listeners == 0
