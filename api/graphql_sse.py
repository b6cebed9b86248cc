"""The distinct mode of graphql-sse (https://github.com/enisdenjo/graphql-sse/blob/master/PROTOCOL.md).

One request, one event stream, on the same path as all others; comments keep it alive through proxies. A client that
resumes says so in its query (`after`), not by Last-Event-ID.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import orjson
from graphql import GraphQLError
from starlette.types import Receive, Send

from api.connections import FORBIDDEN, FULL_REASON, TOO_SLOW_REASON, TRY_AGAIN
from api.documents import BadDocument
from api.execution import Prepared, coded, codes_of, encoded, failure, refusal
from api.facts import Facts
from api.feed import Feed
from api.outbox import Outbox
from api.process import Process
from domain.tasks import end
from domain.unit import Actor

KEEP_ALIVE_SECONDS = 12.0
KEEP_ALIVE = ":\n\n"
COMPLETE = "event: complete\ndata:\n\n"
# How long the last frames may take to leave when we end a stream.
LAST_WORDS_SECONDS = 2.0
HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store, no-transform"),
    # Otherwise nginx holds answers back.
    (b"x-accel-buffering", b"no"),
]


async def stream(event_stream: "EventStream", prepared: Prepared, receive: Receive) -> None:
    """Execute an operation and stream its answers. The caller has authenticated and prepared it."""
    process, actor, send = event_stream.process, event_stream.actor, event_stream.send
    if process.connections.full:
        await _refuse(event_stream, 503, coded(FULL_REASON, "UNAVAILABLE"))
        return
    if not process.connections.claim(actor):
        await _refuse(event_stream, 429, coded("This token has too many open connections.", "RATE_LIMITED"))
        return
    process.connections.add(event_stream)
    try:
        await _begin(send)
        await event_stream.serve(prepared, receive)
    finally:
        process.connections.remove(event_stream)


async def stream_one(payload: str, send: Send) -> None:
    """Send one result that is known already, and the end."""
    await _begin(send)
    await send({"type": "http.response.body", "body": (_event(payload) + COMPLETE).encode()})


async def _refuse(event_stream: "EventStream", status: int, error: GraphQLError) -> None:
    await _begin(event_stream.send, status, (b"retry-after", b"1"))
    event_stream.fail([dict(error.formatted)])
    await event_stream.finish()


async def _begin(send: Send, status: int = 200, *more: tuple[bytes, bytes]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [*HEADERS, *more]})


def _event(payload: str) -> str:
    # JSON as orjson writes it has no line breaks.
    return f"event: next\ndata: {payload}\n\n"


class EventStream:
    """One open stream."""

    def __init__(self, process: Process, actor: Actor, facts: Facts, send: Send, cut: Callable[[], None]) -> None:
        """`cut` ends the connection of a client that does not read any more."""
        self.process = process
        self.actor = actor
        self.facts = facts
        self.outbox = Outbox()
        self.send = send
        self._cut = cut
        self._ended = asyncio.Event()
        self._last_words = COMPLETE
        self._feed: Feed | None = None

    async def serve(self, prepared: Prepared, receive: Receive) -> None:
        """Send what comes until either side ends it."""
        tasks = {
            asyncio.create_task(self._perform(prepared), name="operation"),
            writer := asyncio.create_task(self._write(), name="event stream"),
            gone := asyncio.create_task(_wait_for_disconnect(receive), name="disconnect"),
            ended := asyncio.create_task(self._ended.wait(), name="end"),
        }
        try:
            await asyncio.wait({writer, gone, ended}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await end(*tasks)
            # Only once the tasks have ended: one that swallows its cancellation may still subscribe (api/operation.py).
            if self._feed is not None:
                self._feed.leave(self)
        if ended.done() and not ended.cancelled():
            await self.finish()

    async def finish(self) -> None:
        """Send what is left, and the end; a client that does not take it is cut off."""
        rest = "".join([*self.outbox.rest(), self._last_words])
        try:
            async with asyncio.timeout(LAST_WORDS_SECONDS):
                await self.send({"type": "http.response.body", "body": rest.encode()})
        except TimeoutError:
            self._cut()
            # uvicorn hears of the cut now, and does not log that the answer is incomplete.
            await asyncio.sleep(0)

    async def _perform(self, prepared: Prepared) -> None:
        process, request_id = self.process, self.facts.request_id
        try:
            if prepared.kind == "subscription":
                self._feed = await process.feeds.subscribe(prepared, self.actor, self, request_id)
                process.metrics.operation("sse", prepared, set())
                return
            outcome = await process.execute(prepared, self.actor, request_id, "sse")
        except BadDocument as error:
            outcome = refusal(error.errors, request_id)
        except Exception as error:  # noqa: BLE001 (masked and logged)
            outcome = failure(error, request_id)
        self.facts.codes |= outcome.codes()
        self.next(encoded(outcome, request_id).decode())
        self._ended.set()

    async def _write(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            try:
                async with asyncio.timeout(KEEP_ALIVE_SECONDS):
                    frame = await self.outbox.take()
            except TimeoutError:
                frame = KEEP_ALIVE
            self.outbox.sending_since = clock()
            try:
                await self.send({"type": "http.response.body", "body": frame.encode(), "more_body": True})
            except asyncio.CancelledError:
                # uvicorn waits for a slow client before it writes: this has not left, and must precede the last words.
                self.outbox.give_back(frame)
                raise
            self.outbox.sending_since = None

    def next(self, payload: str) -> None:
        """See Sink."""
        if not self.outbox.put(_event(payload)):
            self.process.metrics.overflows.inc()
            self.close(TRY_AGAIN, TOO_SLOW_REASON)

    def fail(self, errors: list[dict[str, Any]]) -> None:
        """See Sink."""
        self.facts.codes |= codes_of(errors)
        self._end_with(errors)

    async def room(self) -> None:
        """See Sink."""
        await self.outbox.room()

    def has_stalled(self, now: float) -> bool:
        """See Connection."""
        return self.outbox.has_stalled(now)

    def close(self, code: int, reason: str) -> None:
        """See Connection. An event stream has no close codes: a last result tells why, and no error is counted."""
        self._end_with([dict(coded(reason, "UNAUTHENTICATED" if code == FORBIDDEN else "UNAVAILABLE").formatted)])

    def _end_with(self, errors: list[dict[str, Any]]) -> None:
        self._last_words = _event(orjson.dumps({"errors": errors}).decode()) + COMPLETE
        self._ended.set()


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
