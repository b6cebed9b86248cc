"""Bounds on a stranger below HTTP: sockets that count what they receive, and requests that renew their budget.

Nothing in aiohttp bounds a flood of `100 Continue` answers or of chunk extensions, so the bytes are counted where they
come in. asyncio's own loop reads through `socket.recv` and `recv_into`. uvloop does not, so it would not enforce the
budget: processes that call strangers run on asyncio's loop.
"""

import asyncio
import socket
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast
from weakref import WeakValueDictionary

from aiohttp import (
    ClientConnectionError,
    ClientOSError,
    ClientRequest,
    ClientResponse,
    ServerDisconnectedError,
    TCPConnector,
)
from aiohttp.client_proto import ResponseHandler

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from aiohttp.connector import Connection

# Before the first request, only a TLS handshake has a reason to send us something.
HANDSHAKE_BUDGET: Final = 128 * 1024
# From the request to the end of the answer's headers.
HEAD_BUDGET: Final = 32 * 1024
# What one read returns is parsed without a pause, and a chunk of one byte costs as much as one of a thousand.
AT_ONCE: Final = 8 * 1024
# How long a receiver that has answered may take to read the rest of its request.
PARTING_SECONDS: Final = 2.0


class BudgetSpent(ConnectionError):
    """The answer was larger than anybody should send."""


class UnaskedAnswer(ClientConnectionError):
    """Something came in on an idle connection: it is no answer to a request that was not sent yet."""


class BrokenConnection(ClientConnectionError):
    """The connection broke before there was an answer; its cause tells how."""


class GuardedSocket(socket.socket):
    """A socket that may receive a given number of bytes, and breaks after that."""

    __slots__ = ("budget",)

    def __init__(self, family: int, type: int, proto: int) -> None:  # noqa: A002 - the base class's names
        super().__init__(family, type, proto)
        self.budget = HANDSHAKE_BUDGET
        OPEN[self.fileno()] = self

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """As socket.recv; raises BudgetSpent."""
        if self.budget <= 0:
            raise BudgetSpent
        data = super().recv(min(bufsize, self.budget, AT_ONCE), flags)
        self.budget -= len(data)
        return data

    def recv_into(self, buffer: "WriteableBuffer", nbytes: int = 0, flags: int = 0) -> int:
        """As socket.recv_into, which asyncio uses below TLS; raises BudgetSpent."""
        if self.budget <= 0:
            raise BudgetSpent
        count = super().recv_into(buffer, min(nbytes or memoryview(buffer).nbytes, self.budget, AT_ONCE), flags)
        self.budget -= count
        return count

    def close(self) -> None:
        """As socket.close."""
        OPEN.pop(self.fileno(), None)
        super().close()


# The sockets to strangers by file number, the only thing that asyncio's transports reveal of theirs. Weak, because
# uvloop closes a socket without calling `close`.
OPEN: Final[WeakValueDictionary[int, GuardedSocket]] = WeakValueDictionary()


class GuardedConnector(TCPConnector):
    """A connector whose connections read the headers of an answer before anything that came in with them."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._factory = cast("Any", partial(_HeadersFirst, loop=self._loop))


class _HeadersFirst(ResponseHandler):
    def data_received(self, data: bytes) -> None:
        # aiohttp's parser gives us nothing of what it was fed together with an error: a 204 with a body, all in one
        # read, would be no answer at all.
        headers, blank_line, rest = data.partition(b"\r\n\r\n")
        super().data_received(headers + blank_line)
        if rest:
            super().data_received(rest)


class GuardedResponse(ClientResponse):
    """A response whose body may be `body_budget` bytes longer on the wire than what was read of it.

    That is room for one TLS record, which cannot be read before it is complete, and for the framing of chunks.
    """

    body_budget = 24 * 1024
    # aiohttp releases a connection as soon as the answer is complete. `part` needs the transport of one with TLS,
    _tls: asyncio.WriteTransport | None = None
    # and these of one whose receiver answered before it had read its whole request.
    _untaken: tuple[asyncio.WriteTransport, ResponseHandler] | None = None

    async def start(self, connection: "Connection") -> ClientResponse:
        """Wait for the status and the headers; then there is room for the body. Raises BrokenConnection."""
        wire, handler = connection.transport, connection.protocol
        # Asked now, because a TLS transport that was closed twice no longer says so.
        is_tls = wire is not None and wire.get_extra_info("sslcontext") is not None
        try:
            await super().start(connection)
        except (ClientOSError, ServerDisconnectedError) as error:
            # On these errors aiohttp would silently send PUT and DELETE once more.
            raise BrokenConnection from error
        if self.connection is not None:
            allow(self.connection, self.body_budget)
        if is_tls:
            self._tls = wire
        elif wire is not None and handler is not None and wire.get_write_buffer_size():
            # The next request on this connection would wait behind the rest of this one.
            handler.force_close()
            self._untaken = wire, handler
        if handler is not None and self._has_forbidden_body():
            # If it comes in late, it would be taken for the answer to the next request on this connection.
            handler.force_close()
        return self

    def _has_forbidden_body(self) -> bool:
        promised = self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers
        return self.status == 204 and promised

    async def part(self, deadline: float) -> None:
        """Release a connection whose answer is complete. The receiver gets two seconds at most to read the request.

        A plain close would wait without limit for a receiver that reads nothing, and half a minute for one that sends
        no close_notify over TLS.
        """
        if self._tls is not None and self._tls.is_closing():
            self._tls.abort()
        if self._untaken is not None:
            await _abort_unless_gone(*self._untaken, deadline)

    def close(self) -> None:
        """Drop the connection. A plain close would wait without limit for a receiver that reads nothing."""
        connection = self.connection
        if connection is not None and connection.transport is not None:
            connection.transport.abort()
        super().close()


class GuardedProviderResponse(GuardedResponse):
    """A response whose body has one budget that is never renewed: enough for a network's longest answer."""

    body_budget = 1280 * 1024


def request_class(most_open: int) -> type[ClientRequest]:
    """Requests that raise UnaskedAnswer, and keep no connection while more than `most_open` sockets are open."""

    class GuardedRequest(ClientRequest):
        async def send(self, conn: "Connection") -> ClientResponse:
            protocol = conn.protocol
            # https://github.com/aio-libs/aiohttp/issues/13656: what came in would be taken for this request's answer.
            if protocol is None or protocol.should_close:
                raise UnaskedAnswer
            allow(conn, HEAD_BUDGET)
            if len(OPEN) > most_open:
                protocol.force_close()
            return await super().send(conn)

    return GuardedRequest


async def _abort_unless_gone(wire: asyncio.WriteTransport, handler: ResponseHandler, deadline: float) -> None:
    handler.close()
    gone = handler.closed
    if gone is None:
        return
    patience = min(deadline - asyncio.get_running_loop().time(), PARTING_SECONDS)
    try:
        await asyncio.wait({gone}, timeout=patience)
    finally:
        if gone.done():
            gone.exception()  # or asyncio logs that it was never retrieved
        else:
            wire.abort()


def allow(connection: "Connection", budget: int) -> None:
    """Let this connection receive this many bytes from now on."""
    guarded = _guarded(connection)
    if guarded is not None:
        guarded.budget = budget


def allow_more(response: ClientResponse, read: int) -> None:
    """Give back the part of the budget that was read of this response's body."""
    guarded = None if response.connection is None else _guarded(response.connection)
    if guarded is not None:
        guarded.budget += read


def _guarded(connection: "Connection") -> GuardedSocket | None:
    if connection.transport is None:
        return None
    return OPEN.get(connection.transport.get_extra_info("socket").fileno())
