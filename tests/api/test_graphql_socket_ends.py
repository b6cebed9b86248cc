"""How a socket ends: for silence, with its token, for slow reading, at a shutdown, or without a close frame."""

import asyncio
import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import pytest
import strawberry
from aiohttp import WSMsgType
from structlog.testing import capture_logs

from api import connections, graphql_socket, main, outbox
from api.feed import Feed
from domain import ids, workspaces
from domain.settings import Settings
from domain.tables import Token
from domain.unit import Actor
from domain.vocabulary import Role
from tests.api.changes import announce, some_changes, succeeded
from tests.api.conftest import Api, running
from tests.api.protocol import opened
from tests.api.sockets import NAME, WATCH, swallowing, ws
from tests.databases import connected
from tests.waiting import until

REVOKE = "mutation($id: ID!) { tokenRevoke(id: $id) { errors { code } } }"


async def test_a_silent_socket_is_kept_alive_by_pings_and_ended_when_nobody_answers(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(main, "PING_SECONDS", 1.0)
    async with running(settings) as api, api.socket(ping_interval=None) as socket, aiohttp.ClientSession() as http:
        async with http.ws_connect(ws(api), protocols=["graphql-transport-ws"], autoping=False) as silent:
            await silent.send_json({"type": "connection_init", "payload": {"authorization": f"Bearer {api.token}"}})
            heard: list[WSMsgType] = []
            while WSMsgType.CLOSE not in heard:
                heard.append((await silent.receive(timeout=30)).type)
        assert heard.count(WSMsgType.PING) == 1
        await socket.quiet()


async def test_a_revoked_token_closes_its_sockets_and_no_others(api: Api) -> None:
    token_id, other = await api.new_token()
    async with api.socket() as stays, api.socket(other) as goes:
        async with api.process.domain.unit(api.actor) as unit:
            await workspaces.revoke_token(unit, token_id)
        assert (await goes.closed())[0] == 4403
        await stays.quiet()


async def test_a_token_that_is_revoked_here_closes_its_sockets_at_once(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "WATCH_SECONDS", 3_600)
    async with running(settings) as api:
        token_id, other = await api.new_token()
        async with api.socket() as stays, api.socket(other) as goes:
            await api.ask(REVOKE, id=ids.make("Token", token_id))
            assert (await goes.closed())[0] == 4403
            await stays.quiet()


async def test_who_revokes_its_own_token_hears_of_it(api: Api) -> None:
    token_id, other = await api.new_token()
    async with api.socket(other) as socket:
        await socket.subscribe("last", REVOKE, id=ids.make("Token", token_id))
        assert (await socket.next("last"))["data"] == {"tokenRevoke": {"errors": []}}
        assert (await socket.closed())[0] == 4403


async def test_a_token_that_has_just_expired_does_nothing_more_on_its_sockets(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "WATCH_SECONDS", 3_600)
    async with running(settings) as api, api.socket() as socket:
        expire(api)
        await socket.subscribe("late", 'mutation { tokenCreate(input: { name: "late", role: ADMIN }) { secret } }')
        assert (await socket.closed())[0] == 4403
        assert not await Token.exists(name="late")


async def test_who_opens_a_socket_while_a_table_is_missing_is_told_to_try_again_and_a_line_says_why(
    api: Api, settings: Settings
) -> None:
    async with connected(settings.database_url) as owner:
        await owner.execute("ALTER TABLE token RENAME TO apart")
        with capture_logs() as lines:
            async with opened(ws(api)) as socket:
                payload = {"authorization": f"Bearer {api.token}"}
                await socket.send({"type": "connection_init", "payload": payload})
                code, _ = await socket.closed()
        await owner.execute("ALTER TABLE apart RENAME TO token")
    assert code == 1013
    assert [line["error"] for line in lines if line["log_level"] == "warning"] == ["UndefinedTableError"]


async def test_an_expired_token_closes_its_sockets_though_the_database_says_nothing(api: Api) -> None:
    async with api.socket() as socket:
        expire(api)
        assert (await socket.closed())[0] == 4403


def expire(api: Api) -> None:
    """Let the tokens of all open connections expire in the memory of this process; the database stays as it is."""
    for connection in api.process.connections._open:
        assert connection.actor is not None
        assert connection.actor.token is not None
        connection.actor.token.expires_at = datetime.now(UTC)


async def test_an_expired_token_closes_its_sockets(api: Api) -> None:
    _, other = await api.new_token(Role.VIEWER, expires_at=datetime.now(UTC) + timedelta(hours=1))
    async with api.socket() as stays, api.socket(other) as goes:
        await api.process.connections.close_revoked(datetime.now(UTC) + timedelta(hours=2))
        assert (await goes.closed())[0] == 4403
        await stays.quiet()


async def test_a_reader_that_stalls_is_closed_and_the_others_hear_on(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "SEND_SECONDS", 2.0)
    # On a busy machine it may be long until the client reads on.
    monkeypatch.setattr("api.uvicorn_protocols.FLUSH_SECONDS", 60.0)
    query = "subscription { deliveryStatusChanged { attempt { error } } }"
    async with api.socket() as reader, api.socket(max_queue=1) as stalled:
        for socket in (reader, stalled):
            await socket.subscribe("1", query)
        await api.until_watched_by(2)
        stalled.connection.transport.pause_reading()
        # Large, because the kernel's buffers hold megabytes.
        changes = some_changes(api.actor.workspace.id, 400, attempt=succeeded() | {"error": "x" * 4_000})
        async with asyncio.timeout(60):
            while len(api.process.connections) == 2:
                await announce(api.process.domain, [replace(change, number=next_number(change)) for change in changes])
                for _ in changes:
                    await reader.next("1")
        stalled.connection.transport.resume_reading()
        code, reason = await stalled.closed()
        assert (code, reason) == (1013, "Too slow: reconnect, and resume from your cursor")
        await reader.quiet()


async def test_who_asks_and_never_reads_is_closed_with_a_code(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outbox, "MOST_FRAMES", 10)
    monkeypatch.setattr("api.uvicorn_protocols.FLUSH_SECONDS", 60.0)
    # Each is refused at once, and the answer repeats its long id.
    question = json.dumps({"id": "x" * 200, "type": "subscribe", "payload": {"query": NAME}}).encode()
    frame = b"\x81\xfe" + len(question).to_bytes(2) + bytes(4) + question
    async with running(replace(settings, subscriptions_per_socket=0)) as api, api.socket(max_queue=1) as socket:
        transport = socket.connection.transport
        transport.pause_reading()
        async with asyncio.timeout(60):
            while len(api.process.connections):
                # Only once the kernel has taken what was written: its buffers hold megabytes.
                if not transport.get_write_buffer_size():
                    transport.write(frame * 200)
                await asyncio.sleep(0.001)
        transport.resume_reading()
        assert await socket.closed() == (1013, "Too slow: reconnect, and resume from your cursor")
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_pings_of_a_client_that_does_not_read_fill_no_memory(api: Api) -> None:
    ping = b"\x89\xfd" + bytes(4) + b"x" * 125
    async with api.socket() as socket:
        flooding = socket.connection
        flooding.transport.pause_reading()
        for _ in range(100):
            flooding.transport.write(ping * 1000)
            await until(lambda: flooding.transport.get_write_buffer_size() == 0)
        (connection,) = api.server.server_state.connections
        # The pongs that the kernel's buffers did not take.
        assert connection.transport.get_write_buffer_size() < 1_000_000
        flooding.transport.resume_reading()


_numbers: dict[int, int] = {}


def next_number(change: Any) -> int:
    """A number that no earlier change of this delivery has."""
    _numbers[change.subject_id] = _numbers.get(change.subject_id, 0) + 1
    return _numbers[change.subject_id]


async def test_shutting_down_closes_every_socket_with_1012(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphql_socket, "INIT_SECONDS", 3_600.0)
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
    await until(lambda: not api.process.domain.hub.listeners)


async def test_an_operation_ends_with_its_socket_though_a_library_swallows_its_cancellation(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.process.feeds, "subscribe", swallowing)
    async with api.socket() as socket:
        await socket.subscribe("1", WATCH)
        await until(lambda: operations() == 1)

    await until(lambda: not operations())


def operations() -> int:
    """How many operations are under way."""
    return [task.get_name() for task in asyncio.all_tasks()].count("operation")


async def test_a_query_that_is_completed_by_its_client_is_stopped(settings: Settings) -> None:
    begun, stopped = asyncio.Event(), asyncio.Event()

    @strawberry.type
    class Query:
        @strawberry.field
        async def endless(self) -> str | None:
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                stopped.set()
            return None

    async with running(settings, strawberry.Schema(query=Query)) as api, api.socket() as socket, asyncio.timeout(30):
        await socket.subscribe("1", "{ endless }")
        await begun.wait()
        await socket.send({"id": "1", "type": "complete"})
        await stopped.wait()
        await socket.quiet()


async def test_a_subscription_ends_though_a_library_swallows_its_cancellation(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribe, begun = api.process.feeds.subscribe, asyncio.Event()

    async def swallowing_once(*arguments: Any) -> Feed:
        begun.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return await subscribe(*arguments)

    monkeypatch.setattr(api.process.feeds, "subscribe", swallowing_once)
    async with api.socket() as socket:
        await socket.subscribe("1", WATCH)
        await begun.wait()
        await socket.send({"id": "1", "type": "complete"})
        await until(lambda: not operations())
        assert api.process.feeds.members == 0


async def test_who_uses_an_id_again_gets_nothing_of_what_it_has_completed(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    count, begun = api.process.gate.count, asyncio.Event()

    async def swallowing_once(actor: Actor) -> None:
        if begun.is_set():
            await count(actor)
            return
        begun.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    monkeypatch.setattr(api.process.gate, "count", swallowing_once)
    async with api.socket() as socket:
        await socket.subscribe("1", "{ old: __typename }")
        await begun.wait()
        await socket.send({"id": "1", "type": "complete"})
        await socket.subscribe("1", "{ new: __typename }")
        assert (await socket.next("1"))["data"] == {"new": "Query"}
        assert await socket.receive() == {"id": "1", "type": "complete"}
        await socket.quiet()
