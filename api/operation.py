"""One operation on a WebSocket. Whatever is wrong with it ends only this operation."""

import asyncio
from typing import Any, Protocol

import orjson

from api.documents import BadDocument
from api.execution import Asked, coded, codes_of, encoded, failure, shown
from api.facts import Facts
from api.feed import Feed
from api.outbox import Outbox
from api.process import Process
from api.rates import RateLimited
from domain.unit import Actor


class Place(Protocol):
    """The socket that an operation runs on."""

    process: Process
    facts: Facts
    outbox: Outbox
    operations: "dict[str, Operation]"

    def put(self, frame: str) -> None:
        """Send one frame."""


class Operation:
    """One operation on a socket: a query or a mutation until it is answered, a subscription until it is ended."""

    def __init__(self, socket: Place, actor: Actor, id_: str) -> None:
        self.socket = socket
        self.actor = actor
        self.id = id_
        encoded_id = orjson.dumps(id_).decode()
        self._head = f'{{"id":{encoded_id},"type":"next","payload":'
        self._encoded_id = encoded_id
        self._task: asyncio.Task[None] | None = None
        self._feed: Feed | None = None
        self._cancelled = False

    def start(self, asked: Asked) -> None:
        """Begin; it runs beside the others."""
        self._task = asyncio.create_task(self._run(asked), name="operation")

    def cancel(self) -> "asyncio.Task[None] | None":
        """End it without a word; it has ended once the returned task has."""
        self._cancelled = True
        # What a cancelled task raised refers back here: a reference cycle.
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
        if self._feed is not None:
            self._feed.leave(self)
        return task

    async def _run(self, asked: Asked) -> None:
        process, request_id = self.socket.process, self.socket.facts.request_id
        try:
            await process.gate.count(self.actor)
            prepared = process.engine.prepare(asked)
            if prepared.kind == "subscription":
                self._feed = await process.feeds.subscribe(prepared, self.actor, self, request_id)
                # Until Python 3.12, asyncio.wait_for, which redis-py uses, may swallow a cancellation.
                if self._cancelled:
                    self._feed.leave(self)
                process.metrics.operation("websocket", prepared, set())
                return
            outcome = await process.execute(prepared, self.actor, request_id, "websocket")
            if not outcome.executed:
                self.fail(outcome.errors)
                return
            process.metrics.failed(outcome.codes())
            self.next(encoded(outcome, request_id).decode())
            self._finish(f'{{"id":{self._encoded_id},"type":"complete"}}')
        except BadDocument as error:
            self.fail(shown(error.errors, request_id))
        except RateLimited as error:
            self.refuse(str(error), retryAfter=error.retry_after)
        except Exception as error:  # noqa: BLE001 (masked and logged; the socket goes on)
            self.fail(failure(error, request_id).errors)

    def next(self, payload: str) -> None:
        """See Sink."""
        self._put(f"{self._head}{payload}}}")

    def fail(self, errors: list[dict[str, Any]]) -> None:
        """See Sink."""
        self.socket.process.metrics.failed(codes_of(errors))
        body = orjson.dumps(errors).decode()
        self._finish(f'{{"id":{self._encoded_id},"type":"error","payload":{body}}}')

    def refuse(self, message: str, **details: Any) -> None:
        """End it with one error: there were too many requests, or are too many operations."""
        self.fail([dict(coded(message, "RATE_LIMITED", **details).formatted)])

    async def room(self) -> None:
        """See Sink."""
        await self.socket.outbox.room()

    def _finish(self, frame: str) -> None:
        if self.socket.operations.get(self.id) is self:
            del self.socket.operations[self.id]
        self._put(frame)

    def _put(self, frame: str) -> None:
        # The cancellation may have been swallowed, and the id may be another operation's by now.
        if not self._cancelled:
            self.socket.put(frame)
