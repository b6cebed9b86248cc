"""A network between a client and the API that breaks: connections are reset in the middle of a message."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

CHUNK_BYTES = 16 * 1024
# SO_LINGER with a time of zero: closing sends RST, and what was on its way is lost.
RESET = struct.pack("ii", 1, 0)

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Network:
    """Forwards to one port. After each of `cuts` bytes, counted over all answers, every connection is reset."""

    def __init__(self, port: int, cuts: Sequence[int]) -> None:
        self.url = ""
        self.cuts_left = sorted(cuts)
        self.made = 0
        self._port = port
        self._forwarded = 0
        self._links: set[Stream] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one connection until it ends."""
        try:
            up = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            _reset(writer)
            return
        streams = ((reader, writer), up)
        self._links.update(streams)
        pumps = [
            asyncio.create_task(_pump(reader, up[1])),
            asyncio.create_task(self._pump_and_cut(up[0], writer)),
        ]
        self._tasks.update(pumps)
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        self._tasks.difference_update(pumps)
        self._links.difference_update(streams)
        for _, each in streams:
            each.close()

    def cut(self) -> None:
        """Reset every connection."""
        self.made += 1
        for _, writer in self._links:
            _reset(writer)

    def end(self) -> None:
        """Drop the connections that are left."""
        for task in self._tasks:
            task.cancel()

    async def _pump_and_cut(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                self._forwarded += len(chunk)
                if self.cuts_left and self._forwarded >= self.cuts_left[0]:
                    writer.write(chunk[: len(chunk) - (self._forwarded - self.cuts_left.pop(0))])
                    self.cut()
                    return
                writer.write(chunk)
                await writer.drain()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()


def _reset(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()


@asynccontextmanager
async def breaking(port: int, cuts: Sequence[int]) -> AsyncIterator[Network]:
    """A network to this port of this machine."""
    network = Network(port, cuts)
    server = await asyncio.start_server(network.accept, "127.0.0.1", 0)
    network.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield network
    finally:
        server.close()
        network.end()
