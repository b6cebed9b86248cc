"""A receiver that costs as little as one can: it answers 200 on kept connections, after a delay.

`python -m bench.receiver [DELAY_MS]` prints its port. GET /times answers the time (seconds since
1970) at which each X-Hookline-Delivery first came, as JSON; POST /hang never answers; GET /stop ends it.
It ends by itself after ten minutes.
"""

import asyncio
import json
import sys
import time

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
LIFE_SECONDS = 600


class State:
    """What was received."""

    def __init__(self, delay: float) -> None:
        self.delay = delay
        self.times: dict[str, float] = {}
        self.stopped = asyncio.Event()


class Receiver(asyncio.Protocol):
    """Just enough of HTTP/1.1 for our own sender."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection to answer on."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every whole request in the buffer."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            size = _length(head)
            if len(self._buffer) < end + 4 + size:
                return
            self._buffer = self._buffer[end + 4 + size :]
            self._take(head)

    def _take(self, head: bytes) -> None:
        if head.startswith(b"GET"):
            self._tell(head)
            return
        state = self._state
        at = head.find(b"X-Hookline-Delivery: ")
        if at >= 0:
            state.times.setdefault(head[at + 21 : at + 57].decode(), time.time())
        if head.startswith(b"POST /hang"):
            return
        if state.delay:
            asyncio.get_running_loop().call_later(state.delay, self._transport.write, ANSWER)
        else:
            self._transport.write(ANSWER)

    def _tell(self, head: bytes) -> None:
        path = head.split(b" ", 2)[1]
        body = json.dumps(self._state.times).encode()
        self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
        if path == b"/stop":
            self._state.stopped.set()


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        if line[:15].lower() == b"content-length:":
            return int(line[15:])
    return 0


async def serve(delay_ms: float) -> None:
    """Serve until told to stop."""
    state = State(delay_ms / 1000)
    server = await asyncio.get_running_loop().create_server(lambda: Receiver(state), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    try:
        async with asyncio.timeout(LIFE_SECONDS):
            await state.stopped.wait()
    except TimeoutError:
        pass


if __name__ == "__main__":
    asyncio.run(serve(float(sys.argv[1]) if len(sys.argv) > 1 else 0))
