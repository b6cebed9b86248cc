"""What Hookline changes in uvicorn's HTTP and WebSocket protocols."""

import asyncio
import sys
from typing import Any, cast

from httptools import HttpParserUpgrade, HttpRequestParser
from uvicorn._types import ASGISendEvent
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from api.outbox import CUT, WRITE_NOW

# Of a request's line and headers, and of the trailers after a chunked body.
MAX_HEAD_BYTES = 64 * 1024
# How much is read from one client before the others have their turn. asyncio's 256 KiB, all pings, took a second.
READ_BYTES = 8 * 1024
HEAD_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n"
    b"x-content-type-options: nosniff\r\n\r\n"
)
# How long a client that has stopped reading may take to read the close frame.
FLUSH_SECONDS = 10.0


class OneWrite:
    """The transport of one answer: its head waits for the body that comes with it, and both leave in one packet.

    Two packets would cost two system calls here, and wake the client twice.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        # None until something was written, empty once that has left.
        self._head: bytes | None = None

    def write(self, data: bytes) -> None:
        """See asyncio. The first write waits for the second, but no longer than one turn of the event loop."""
        if self._head is None:
            self._head = data
            self._loop.call_soon(self._flush)
            return
        head, self._head = self._head, b""
        self._transport.write(head + data if head else data)

    def _flush(self) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)

    def close(self) -> None:
        """See asyncio."""
        self._flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """See asyncio."""
        return self._transport.is_closing()


def _let_go(transport: Any) -> None:
    """Break a reference cycle of a lost connection: asyncio's transport keeps a bound method of its own."""
    transport._read_ready_cb = None  # noqa: SLF001


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's, but with answers in one write, a bound on heads and trailers, and a way to cut a connection.

    httptools gathers a header of any length, before any token is checked. And closing waits for the client to read what
    was written.
    """

    _headed = 0
    _data = b""
    _again = b""
    _answering: RequestResponseCycle | None = None

    def connection_made(self, transport: Any) -> None:
        """See asyncio."""
        super().connection_made(transport)
        transport.max_size = READ_BYTES

    def data_received(self, data: bytes) -> None:
        """See uvicorn."""
        while data:
            self._headed += len(data)
            self._data, self._again = data, b""
            super().data_received(data)
            data = self._again
        self._data = b""
        if self._headed > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.transport.write(HEAD_TOO_LARGE)
            self.transport.close()

    def _should_upgrade(self) -> bool:
        # To any protocol: those that we do not speak are told apart below.
        return True

    def handle_websocket_upgrade(self) -> None:
        """See uvicorn."""
        method = self.scope["method"]
        if method == "CONNECT":
            self.send_400_response("Invalid HTTP request received.")
        elif method == "GET" and self._get_upgrade() == b"websocket":
            super().handle_websocket_upgrade()
            # Its parser holds methods of this object. uvicorn breaks this cycle when a connection ends, but not here.
            self.parser = None  # type: ignore[assignment]
        else:
            self._read_without_upgrade(method)

    def _read_without_upgrade(self, method: str) -> None:
        """Read the request once more, as one that asks for no other protocol (RFC 9110, section 7.8).

        Java's client asks for HTTP/2 this way. httptools takes the body for that protocol's, and the part of it that
        comes later for another request.
        """
        # uvicorn calls this while it handles the exception that says where the head ends.
        end_of_head = cast(HttpParserUpgrade, sys.exception()).args[0]
        head = [f"{method} ".encode(), self.url, f" HTTP/{self.parser.get_http_version()}\r\n".encode()]
        for name, value in self.headers:
            if name != b"upgrade":
                head += [name, b": ", value, b"\r\n"]
        self._again = b"".join([*head, b"\r\n", self._data[end_of_head:]])
        # The old parser takes this request for done, and ignores whatever follows a request that ends its connection.
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        super().connection_lost(exc)
        # uvicorn tells only the request that came last, which may be waiting for the answer to this one.
        answering, self._answering = self._answering, None
        if answering is not None and not answering.response_complete:
            answering.disconnected = True
            answering.message_event.set()
        self.pipeline.clear()
        _let_go(self.transport)

    def on_headers_complete(self) -> None:
        """See uvicorn."""
        self._headed = 0
        before = self.cycle
        super().on_headers_complete()
        scope: Any = self.scope
        scope["extensions"] = {CUT: {"cut": self.transport.abort}}
        # There is no new cycle if it becomes a WebSocket. The application has not begun yet: it is a task of its own.
        if self.cycle is not before:
            self.cycle.transport = cast(asyncio.Transport, OneWrite(self.transport, self.loop))

    def on_body(self, body: bytes) -> None:
        """See uvicorn."""
        self._headed = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """See uvicorn."""
        self._headed = 0
        super().on_message_complete()


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's, but closing does not wait for the client to read, and leaves nothing open.

    It also lets the application write a frame at once if the client keeps up (api/outbox.py): waking a task for each
    of a thousand subscribers costs as much as writing to them.
    """

    def handle_connect(self, event: Request) -> None:
        """See uvicorn."""
        super().handle_connect(event)
        if hasattr(self, "scope"):
            extensions: Any = self.scope["extensions"]
            extensions[WRITE_NOW] = {"write": self.write_now}

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        super().connection_lost(exc)
        if hasattr(self, "scope"):
            extensions: Any = self.scope["extensions"]
            extensions.pop(WRITE_NOW, None)
        _let_go(self.transport)

    def handle_ping(self) -> None:
        """See uvicorn. A client that does not read gets no pongs: each would be kept (RFC 6455, section 5.5.3)."""
        pongs = self.conn.data_to_send()
        if self.writable.is_set():
            self.transport.write(b"".join(pongs))

    def write_now(self, text: str) -> bool:
        """Write one text frame; False if the client has to be waited for, or has gone."""
        if self.close_sent or self.disconnected or not self.writable.is_set() or self.transport.is_closing():
            return False
        self.conn.send_text(text.encode())
        self.transport.write(b"".join(self.conn.data_to_send()))
        return True

    async def send(self, message: ASGISendEvent) -> None:
        """See ASGI."""
        if message["type"] != "websocket.close":
            await super().send(message)
            if message["type"] == "websocket.http.response.body":
                # Otherwise uvicorn would log an error of ours for each socket that we refuse.
                self.handshake_complete = True
            return
        # uvicorn waits until the client has read what came before; a stalled one never does. The frame is small.
        self.writable.set()
        await super().send(message)
        # transport.close() would wait for that client too.
        self.loop.call_later(FLUSH_SECONDS, self.transport.abort)
