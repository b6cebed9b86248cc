"""The graphql-transport-ws protocol (https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md).

Text frames only: browsers' clients fail on binary ones. One bad operation ends that operation; one bad message ends the
socket, always with a code and a reason.
"""

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import Any

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from api import asking
from api.connections import (
    BAD_REQUEST,
    DUPLICATE_ID,
    FORBIDDEN,
    FULL_REASON,
    INIT_TIMEOUT,
    INTERNAL_ERROR,
    NO_LONGER_VALID,
    NO_SUBPROTOCOL,
    TOO_MANY,
    TOO_SLOW_REASON,
    TRY_AGAIN,
    UNAUTHORIZED,
)
from api.execution import error_body, failure
from api.facts import Facts
from api.operation import Operation
from api.origins import origin_allowed
from api.outbox import WRITE_NOW, Outbox
from api.process import Process
from api.rates import RateLimited
from domain.errors import HooklineError, Unavailable
from domain.tasks import end
from domain.unit import Actor

PROTOCOL = "graphql-transport-ws"
INIT_SECONDS = 3.0
LONGEST_ID = 256
# RFC 6455: a reason has at most 123 bytes.
LONGEST_REASON = 123
# How long a close frame may take to leave.
CLOSE_SECONDS = 2.0


class Closing(Exception):
    """The socket has to be closed."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


async def serve(process: Process, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one attempt to open a WebSocket."""
    await receive()  # websocket.connect
    settings = process.settings
    if not origin_allowed(Headers(scope=scope), scope["scheme"], settings.allowed_origins):
        await _refuse(send, 403, "This origin may not open sockets here.", "FORBIDDEN")
    elif process.connections.full:
        await _refuse(send, 503, FULL_REASON, "UNAVAILABLE")
    elif PROTOCOL not in scope["subprotocols"]:
        # If none of the protocols it offers comes back, a browser fails and shows its page neither code nor reason.
        await send({"type": "websocket.accept", "subprotocol": next(iter(scope["subprotocols"]), None)})
        await send({"type": "websocket.close", "code": NO_SUBPROTOCOL, "reason": f"Speak {PROTOCOL}"})
    else:
        await Socket(process, scope, receive, send).serve()


async def _refuse(send: Send, status: int, message: str, code: str) -> None:
    headers = [(b"content-type", b"application/json; charset=utf-8")]
    if status == 503:
        headers.append((b"retry-after", b"1"))
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": error_body(message, code)})


class Socket:
    """One WebSocket from its acceptance to its end."""

    def __init__(self, process: Process, scope: Scope, receive: Receive, send: Send) -> None:
        self.process = process
        self.facts = Facts.of(scope)
        self.actor: Actor | None = None
        self.outbox = Outbox(scope["extensions"].get(WRITE_NOW, {}).get("write"))
        self.operations: dict[str, Operation] = {}
        self._receive = receive
        self._send = send
        self._closing: Closing | None = None
        self._initialised = False
        self._task: asyncio.Task[Any] | None = None

    async def serve(self) -> None:
        """Accept, talk, and close."""
        self._task = asyncio.current_task()
        self.process.connections.add(self)
        writer: asyncio.Task[None] | None = None
        try:
            await self._send({"type": "websocket.accept", "subprotocol": PROTOCOL})
            writer = asyncio.create_task(self._write(), name="socket")
            await self._talk()
        finally:
            await self._end(writer)

    async def _talk(self) -> None:
        """Read until the client leaves, or has to be closed."""
        try:
            async with asyncio.timeout(INIT_SECONDS) as self._patience:
                # asyncio.wait_for, which redis-py uses, may swallow the cancellation that `close` sends.
                while self._closing is None:
                    message = await self._receive()
                    if message["type"] == "websocket.disconnect":
                        return
                    await self._hear(message)
        except Closing as closing:
            self._closing = self._closing or closing
        except TimeoutError:
            self._closing = Closing(INIT_TIMEOUT, "Connection initialisation timeout")
        except asyncio.CancelledError:
            if self._closing is None:
                raise
            assert self._task is not None
            self._task.uncancel()
        except Exception as error:  # noqa: BLE001 (masked and logged)
            self._closing = self._closing_for(error)

    def _closing_for(self, error: Exception) -> Closing:
        match error:
            case RateLimited():
                return Closing(TOO_MANY, str(error))
            case HooklineError() if not isinstance(error, Unavailable):
                return Closing(FORBIDDEN, "Forbidden: send a valid token in connection_init")
        failure(error, self.facts.request_id)
        if isinstance(error, Unavailable):
            return Closing(TRY_AGAIN, str(error))
        return Closing(INTERNAL_ERROR, f"Internal error (request {self.facts.request_id})")

    async def _end(self, writer: "asyncio.Task[None] | None") -> None:
        # The socket is ending already: `close` must not cancel this.
        self._task = None
        self.process.connections.remove(self)
        tasks = [operation.cancel() for operation in tuple(self.operations.values())]
        # These and what was raised refer back here: reference cycles, which would wait for the garbage collector.
        self.operations.clear()
        closing, self._closing = self._closing, None
        await end(*filter(None, (writer, *tasks)))
        if closing is not None:
            self.process.metrics.closed.labels(str(closing.code)).inc()
            self.facts.codes.add(str(closing.code))
            reason = closing.reason.encode()[:LONGEST_REASON].decode(errors="ignore")
            # The client may have left meanwhile, or may not read.
            with contextlib.suppress(Exception):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._send({"type": "websocket.close", "code": closing.code, "reason": reason})

    async def _write(self) -> None:
        clock = asyncio.get_running_loop().time
        outbox = self.outbox
        try:
            while True:
                frame = await outbox.take()
                outbox.sending_since = clock()
                await self._send({"type": "websocket.send", "text": frame})
                outbox.sending_since = None
        except Exception:  # noqa: BLE001 (the connection is gone: the reader hears of it too)
            return

    def put(self, frame: str) -> None:
        """Send one frame, or give up on a client that is too far behind."""
        if not self.outbox.put(frame):
            self.process.metrics.overflows.inc()
            self.close(TRY_AGAIN, TOO_SLOW_REASON)

    def has_stalled(self, now: float) -> bool:
        """See Connection."""
        return self.outbox.has_stalled(now)

    def close(self, code: int, reason: str) -> None:
        """See Connection."""
        if self._closing is None and self._task is not None:
            self._closing = Closing(code, reason)
            # It checks `_closing` itself before it waits again; a cancellation would hit it while it closes the socket.
            if self._task is not asyncio.current_task():
                self._task.cancel()

    async def _hear(self, event: Message) -> None:
        message = _message_in(event)
        match message.get("type"):
            case "connection_init":
                await self._initialise(message)
            case "ping":
                self._check_payload(message)
                self.put('{"type":"pong"}')
            case "pong":
                self._check_payload(message)
            case "subscribe":
                self._subscribe(message)
            case "complete":
                self._complete(message)
            case _:
                raise Closing(BAD_REQUEST, "Unknown type of message")

    def _check_payload(self, message: dict[str, Any]) -> None:
        if not isinstance(message.get("payload"), dict | None):
            raise Closing(BAD_REQUEST, "The payload must be an object")

    async def _initialise(self, message: dict[str, Any]) -> None:
        if self._initialised:
            raise Closing(TOO_MANY, "Too many initialisation requests")
        self._check_payload(message)
        self._initialised = True
        authorization = _authorization_in(message.get("payload") or {})
        actor = await self.process.gate.authenticate(authorization, self.facts.address)
        if not self.process.connections.claim(actor):
            raise Closing(TOO_MANY, "Too many sockets with this token")
        self.actor = actor
        self.facts.token_id = actor.token.id if actor.token else None
        self._patience.reschedule(None)
        self.put('{"type":"connection_ack"}')

    def _subscribe(self, message: dict[str, Any]) -> None:
        if self.actor is None:
            raise Closing(UNAUTHORIZED, "Unauthorized")
        if self.actor.has_expired(datetime.now(UTC)):
            raise Closing(FORBIDDEN, NO_LONGER_VALID)
        id_ = _id_in(message)
        payload = message.get("payload")
        if not isinstance(payload, dict):
            raise Closing(BAD_REQUEST, "The payload must be an object")
        try:
            asked = asking.from_object(payload)
        except asking.Malformed as error:
            raise Closing(BAD_REQUEST, error.message) from None
        if id_ in self.operations:
            raise Closing(DUPLICATE_ID, f"Subscriber for {id_} already exists")
        operation = Operation(self, self.actor, id_)
        if len(self.operations) >= self.process.settings.subscriptions_per_socket:
            limit = self.process.settings.subscriptions_per_socket
            operation.refuse(f"A socket may have {limit} operations at once.")
            return
        self.operations[id_] = operation
        operation.start(asked)

    def _complete(self, message: dict[str, Any]) -> None:
        if self.actor is None:
            raise Closing(UNAUTHORIZED, "Unauthorized")
        operation = self.operations.pop(_id_in(message), None)
        # None if it has ended by itself meanwhile.
        if operation is not None:
            operation.cancel()


def _message_in(event: Message) -> dict[str, Any]:
    text = event.get("text")
    if text is None:
        raise Closing(BAD_REQUEST, "Send text frames")
    try:
        message = asking.decoded(text, "The message")
    except asking.Malformed as error:
        raise Closing(BAD_REQUEST, error.message) from None
    if not isinstance(message, dict):
        raise Closing(BAD_REQUEST, "A message must be a JSON object")
    return message


def _id_in(message: dict[str, Any]) -> str:
    id_ = message.get("id")
    if not isinstance(id_, str) or not 0 < len(id_) <= LONGEST_ID:
        raise Closing(BAD_REQUEST, f"The id must be a string of at most {LONGEST_ID} characters")
    return id_


def _authorization_in(payload: dict[str, Any]) -> str | None:
    value = payload.get("authorization", payload.get("Authorization"))
    if not isinstance(value, str | None):
        raise Closing(BAD_REQUEST, "authorization must be a string")
    return value
