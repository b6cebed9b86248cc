"""A pooler as operators put in front of PostgreSQL: each transaction gets the session that has been idle longest.

So no two consecutive transactions share a session, and what one leaves in its session the next does not find.
"""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import parse_qs, quote, urlsplit

from cli.private_server import POSTGRES_SOCKET

SESSIONS = 3
VERSION_3 = struct.pack("!i", 196608)
# Like PgBouncer, which tracks these parameters for each client, and no others.
KNOWN = {"user", "database", "application_name", "client_encoding", "DateStyle", "TimeZone"}
OWN_NUMBER = struct.pack("!ii", 7, 7)
TERMINATE = b"X"
ERROR, KEY, PARAMETER, READY = b"E", b"K", b"S", b"Z"
RESTING = b"I"

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Pooler:
    """Sessions of one database, shared by all clients. Made by `pooling`."""

    def __init__(self, server: str, user: str, database: str) -> None:
        self._server = server
        self._startup = {"user": user, "database": database, "client_encoding": "UTF8"}
        self._resting: asyncio.Queue[Stream] = asyncio.Queue()
        self._parameters: list[bytes] = []
        self.clients: set[asyncio.Task[None]] = set()
        # How many transactions, or statements outside of one, have begun here.
        self.given = 0

    async def open(self) -> None:
        """Open all sessions."""
        for _ in range(SESSIONS):
            stream = await asyncio.open_unix_connection(self._server)
            words = "".join(f"{name}\0{value}\0" for name, value in self._startup.items()).encode() + b"\0"
            stream[1].write(struct.pack("!i", len(words) + 8) + VERSION_3 + words)
            self._parameters = []
            while (message := await read(stream[0]))[0] != READY:
                if message[0] == PARAMETER:
                    self._parameters.append(packed(*message))
            self._resting.put_nowait(stream)

    async def close(self) -> None:
        """Close all idle sessions."""
        while not self._resting.empty():
            await cut(self._resting.get_nowait()[1])

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client, from its first message to its last."""
        task = asyncio.current_task()
        assert task
        self.clients.add(task)
        try:
            with suppress(EOFError, OSError):
                if await self._let_in(reader, writer):
                    await self._serve(reader, writer)
                await writer.drain()
        finally:
            await cut(writer)
            self.clients.discard(task)

    async def _let_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        (length,) = struct.unpack("!i", await reader.readexactly(4))
        told = (await reader.readexactly(length - 4))[4:].decode().split("\0")
        for name in told[0:-2:2]:
            if name not in KNOWN:
                words = f"SFATAL\0VFATAL\0C08P01\0Munsupported startup parameter: {name}\0\0"
                writer.write(packed(ERROR, words.encode()))
                return False
        writer.write(packed(b"R", struct.pack("!i", 0)) + b"".join(self._parameters))
        writer.write(packed(KEY, OWN_NUMBER) + packed(READY, RESTING))
        return True

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session: Stream | None = None
        answering: asyncio.Task[None] | None = None
        try:
            while (message := await read(reader))[0] != TERMINATE:
                if session is None or answering is None or answering.done():
                    session = await self._resting.get()
                    self.given += 1
                    answering = asyncio.create_task(self._answer(session, writer))
                session[1].write(packed(*message))
        finally:
            if session is not None and answering is not None and not answering.done():
                answering.cancel()
                await cut(session[1])

    async def _answer(self, session: Stream, writer: asyncio.StreamWriter) -> None:
        """Forward what a session says until it is idle again."""
        while True:
            answer = await read(session[0])
            writer.write(packed(*answer))
            if answer == (READY, RESTING):
                self._resting.put_nowait(session)
                return


async def cut(writer: asyncio.StreamWriter) -> None:
    """End a connection."""
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def read(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    """One message: its kind, and the rest."""
    kind, length = struct.unpack("!ci", await reader.readexactly(5))
    return kind, await reader.readexactly(length - 4)


def packed(kind: bytes, rest: bytes) -> bytes:
    """A message as it is sent."""
    return struct.pack("!ci", kind, len(rest) + 4) + rest


@asynccontextmanager
async def pooling(url: str, folder: str) -> AsyncIterator[tuple[Pooler, str]]:
    """A pooler in front of the database with that URL, and the URL of the pooler."""
    at = urlsplit(url)
    (sockets,) = parse_qs(at.query)["host"]
    pooler = Pooler(f"{sockets}/{POSTGRES_SOCKET}", at.username or "", at.path.strip("/"))
    await pooler.open()
    server = await asyncio.start_unix_server(pooler.serve, f"{folder}/{POSTGRES_SOCKET}")
    try:
        yield pooler, at._replace(query=f"host={quote(folder, safe='/')}").geturl()
    finally:
        server.close()
        for client in tuple(pooler.clients):
            client.cancel()
        await asyncio.gather(*pooler.clients, return_exceptions=True)
        await pooler.close()
