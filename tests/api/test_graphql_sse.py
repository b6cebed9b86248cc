"""graphql-sse in its distinct mode."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest

from api import graphql_sse, outbox
from domain import workspaces
from domain.live_scripts import SPAN
from domain.settings import Settings
from tests.api.changes import announce, some_changes, succeeded
from tests.api.conftest import GRAPHQL, Api, running
from tests.api.sockets import swallowing
from tests.waiting import until

NAME = "{ viewer { workspace { name } } }"
WATCH = "subscription { deliveryStatusChanged { cursor status } }"


class Stream:
    """One open event stream."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self.answer = answer

    async def event(self) -> tuple[str, Any]:
        """Kind and data of the next event; ":" for a comment, "" at the end."""
        kind, data = "", ""
        async with asyncio.timeout(30):
            while line := (await self.answer.content.readline()).decode():
                field, _, value = line.rstrip("\n").partition(":")
                if line == "\n" and kind:
                    return kind, json.loads(data) if data else None
                if field == "event":
                    kind = value.strip()
                elif field == "data":
                    data = value.strip()
                elif line.startswith(":"):
                    kind = ":"
        return "", None


@asynccontextmanager
async def streaming(api: Api, query: str, token: str | None = None, **variables: Any) -> AsyncIterator[Stream]:
    """POST a query for an event stream."""
    headers = {"accept": "text/event-stream", "authorization": f"Bearer {token or api.token}"}
    body = {"query": query, "variables": variables}
    async with api.http.post(api.graphql, json=body, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        yield Stream(answer)


async def test_a_query_is_one_event_and_the_end(api: Api) -> None:
    async with streaming(api, NAME) as stream:
        kind, result = await stream.event()
        assert (kind, result["data"]) == ("next", {"viewer": {"workspace": {"name": "Test"}}})
        assert await stream.event() == ("complete", None)
        assert await stream.event() == ("", None)


async def test_an_answer_that_is_large_in_itself_comes_as_over_http(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MOST_CHARACTERS", 1_000)
    large = "{ eventTypes { description example } }"
    async with streaming(api, large) as stream:
        kind, result = await stream.event()
        assert (kind, result["data"]) == ("next", await api.ask(large))
        assert await stream.event() == ("complete", None)


async def test_get_works_as_browsers_event_sources_use_it(api: Api) -> None:
    headers = api.bearer | {"accept": "text/event-stream"}
    async with api.http.get(api.graphql, params={"query": NAME}, headers=headers) as answer:
        assert (await Stream(answer).event())[0] == "next"


@pytest.mark.parametrize("less", ["text/event-stream", "text/event-stream;q=0.1"])
async def test_a_subscription_is_streamed_to_who_prefers_json_for_the_rest(api: Api, less: str) -> None:
    # Some clients send the same Accept header with every operation.
    headers = api.bearer | {"accept": f"{GRAPHQL}, application/json, {less}"}
    async with api.http.post(api.graphql, json={"query": WATCH}, headers=headers) as answer:
        assert (answer.status, answer.content_type) == (200, "text/event-stream")
        await api.until_watched_by(1)
        await announce(api.process.domain, some_changes(api.actor.workspace.id, 1))
        assert (await Stream(answer).event())[0] == "next"
    async with api.http.post(api.graphql, json={"query": NAME}, headers=headers) as answer:
        assert answer.content_type == GRAPHQL
    for accept in (f"{GRAPHQL}, */*", f"{GRAPHQL}, text/event-stream;q=0"):
        async with api.http.post(api.graphql, json={"query": WATCH}, headers=api.bearer | {"accept": accept}) as answer:
            assert (answer.status, answer.content_type) == (400, GRAPHQL)


async def test_changes_are_streamed_as_they_happen(api: Api) -> None:
    async with streaming(api, WATCH) as stream:
        await api.until_watched_by(1)
        await announce(api.process.domain, some_changes(api.actor.workspace.id, 3))
        for _ in range(3):
            kind, result = await stream.event()
            assert (kind, result["data"]["deliveryStatusChanged"]["status"]) == ("next", "SUCCEEDED")
    async with asyncio.timeout(30):
        while len(api.process.connections) or len(api.process.feeds):
            await asyncio.sleep(0.01)


async def test_a_client_that_goes_with_another_request_waiting_leaves_nothing_behind(api: Api) -> None:
    parts = urlsplit(api.url)
    body = json.dumps({"query": WATCH}).encode()
    head = f"POST /graphql HTTP/1.1\r\nHost: a\r\nAccept: text/event-stream\r\nContent-Length: {len(body)}\r\n"
    head += f"Content-Type: application/json\r\nAuthorization: Bearer {api.token}\r\n\r\n"
    _, writer = await asyncio.open_connection(parts.hostname, parts.port)
    writer.write(head.encode() + body + b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
    await api.until_watched_by(1)
    writer.transport.abort()

    # While a request waits, its connection is not read: only writing shows that the client is gone.
    async with asyncio.timeout(30):
        while len(api.process.connections):
            await announce(api.process.domain, some_changes(api.actor.workspace.id, 1))
            await asyncio.sleep(0.05)
    assert len(api.process.feeds) == 0


# A cursor of the first workspace that expired long ago.
OLD = f'subscription {{ deliveryStatusChanged(after: "1-{SPAN}") {{ cursor }} }}'


@pytest.mark.parametrize(
    ("query", "code"),
    [
        pytest.param("{", "BAD_USER_INPUT", id="a syntax error"),
        pytest.param("{ nothing }", "BAD_USER_INPUT", id="an unknown field"),
        pytest.param(
            'subscription { deliveryStatusChanged(after: "x") { cursor } }', "BAD_USER_INPUT", id="a bad cursor"
        ),
        pytest.param(OLD, "CURSOR_EXPIRED", id="an old cursor"),
        pytest.param(
            "query($a: Int!) { webhooks(first: $a) { nodes { id } } }", "BAD_USER_INPUT", id="a missing variable"
        ),
    ],
)
async def test_a_bad_operation_is_a_result_with_errors_and_the_end(api: Api, query: str, code: str) -> None:
    await announce(api.process.domain, some_changes(api.actor.workspace.id, 1))
    async with streaming(api, query) as stream:
        kind, result = await stream.event()
        assert (kind, result["errors"][0]["extensions"]["code"], "data" in result) == ("next", code, False)
        assert await stream.event() == ("complete", None)


async def test_it_needs_a_token_too(api: Api) -> None:
    headers = {"accept": "text/event-stream", "authorization": "Bearer hl_x"}
    async with api.http.post(api.graphql, json={"query": WATCH}, headers=headers) as answer:
        assert (answer.status, answer.content_type) == (401, GRAPHQL)
        assert (await answer.json(content_type=None))["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_comments_keep_a_silent_stream_alive(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphql_sse, "KEEP_ALIVE_SECONDS", 0.05)
    async with streaming(api, WATCH) as stream:
        assert (await stream.event())[0] == ":"


async def test_a_revoked_token_ends_its_streams(api: Api) -> None:
    token_id, other = await api.new_token()
    async with streaming(api, WATCH, other) as stream:
        await api.until_watched_by(1)
        async with api.process.domain.unit(api.actor) as unit:
            await workspaces.revoke_token(unit, token_id)
        await api.process.connections.close_revoked(datetime.now(UTC) + timedelta(seconds=1))
        kind, result = await stream.event()
        assert (kind, result["errors"][0]["extensions"]["code"]) == ("next", "UNAUTHENTICATED")
        assert (await stream.event())[0] == "complete"


async def test_shutting_down_ends_streams_at_once(settings: Settings) -> None:
    async with running(settings) as api, streaming(api, WATCH) as stream:
        await api.until_watched_by(1)
        api.server.should_exit = True
        kind, result = await stream.event()
        assert (kind, result["errors"][0]["extensions"]["code"]) == ("next", "UNAVAILABLE")
        assert (await stream.event())[0] == "complete"


async def test_a_stream_ends_though_a_library_swallows_its_cancellation(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api.process.feeds, "subscribe", swallowing)
    async with streaming(api, WATCH):
        await until(lambda: len(api.process.connections) == 1)

    await until(lambda: not len(api.process.connections))


async def test_there_may_be_only_so_many_streams(settings: Settings) -> None:
    async with running(replace(settings, sockets_per_process=2, sockets_per_token=1)) as api, streaming(api, WATCH):
        await api.until_watched_by(1)
        assert await refused(api, api.token) == (429, "1", "RATE_LIMITED")
        _, other = await api.new_token()
        async with api.socket(other):
            _, third = await api.new_token()
            assert await refused(api, third) == (503, "1", "UNAVAILABLE")


async def refused(api: Api, token: str) -> tuple[int, str, str]:
    """Status, Retry-After and code of a stream that is refused."""
    headers = {"authorization": f"Bearer {token}", "accept": "text/event-stream"}
    async with api.http.post(api.graphql, json={"query": WATCH}, headers=headers) as answer:
        (result,) = [line for line in (await answer.text()).splitlines() if line.startswith("data: {")]
        (error,) = json.loads(result.removeprefix("data: "))["errors"]
        return answer.status, answer.headers["retry-after"], error["extensions"]["code"]


async def test_a_reader_that_stalls_is_cut_off(
    api: Api, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outbox, "SEND_SECONDS", 0.3)
    monkeypatch.setattr(graphql_sse, "LAST_WORDS_SECONDS", 0.1)
    # Large, because the kernel's buffers hold megabytes.
    attempt = succeeded() | {"error": "x" * 4_000}
    async with streaming(api, "subscription { deliveryStatusChanged { attempt { error } } }"):
        await api.until_watched_by(1)
        async with asyncio.timeout(60):
            while len(api.process.connections):
                await announce(api.process.domain, some_changes(api.actor.workspace.id, 400, attempt=attempt))
                await asyncio.sleep(0.05)
        await until(lambda: not api.server.server_state.connections)
    assert len(api.process.feeds) == 0
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize("why", ["restarting", "too slow"])
async def test_a_slow_reader_whose_stream_we_end_misses_nothing_before_its_last_event(
    api: Api, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    monkeypatch.setattr(graphql_sse, "LAST_WORDS_SECONDS", 30)
    workspace_id = api.actor.workspace.id
    async with streaming(api, "subscription { deliveryStatusChanged { cursor attempt { error } } }") as stream:
        await api.until_watched_by(1)
        (ours,) = api.process.connections._open
        assert isinstance(ours, graphql_sse.EventStream)
        while ours.outbox.sending_since is None or ours.outbox.sending_since > asyncio.get_running_loop().time() - 0.3:
            await announce(api.process.domain, some_changes(workspace_id, 20, attempt=failed(4_000)))
            await asyncio.sleep(0.05)
        if why == "restarting":
            api.process.connections.stop()
        else:
            monkeypatch.setattr(outbox, "MOST_CHARACTERS", ours.outbox._characters + 3_000)
            await announce(api.process.domain, some_changes(workspace_id, 1, attempt=failed(4_000)))
            # Nothing may be read before this: reading makes room.
            await until(lambda: ours.outbox._refused)
            await announce(api.process.domain, some_changes(workspace_id, 1, attempt=failed(1)))
        *changes, last = [result async for result in results(stream)]
    assert last["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
    live = api.process.domain.hub.live
    told = [e.cursor async for page in live.history(workspace_id, "0", await live.open(workspace_id)) for e in page]
    seen = [result["data"]["deliveryStatusChanged"]["cursor"] for result in changes]
    assert seen == told[: len(seen)]
    assert why == "restarting" or len(seen) < len(told) - 1


def failed(length: int) -> dict[str, Any]:
    """An attempt with an error of this length."""
    return succeeded() | {"error": "x" * length}


async def results(stream: Stream) -> AsyncIterator[Any]:
    """The remaining results of a stream, which must end with `complete`."""
    while (event := await stream.event())[0] in {"next", ":"}:
        if event[0] == "next":
            yield event[1]
    assert event[0] == "complete"
