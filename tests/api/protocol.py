"""A small client of graphql-transport-ws that hides nothing: every frame, and how the socket was closed."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

# Long, for a busy machine.
SECONDS = 30.0
SUBPROTOCOL = Subprotocol("graphql-transport-ws")


class Socket:
    """One WebSocket."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    async def send(self, message: Any) -> None:
        """Send text or bytes as they are, anything else as JSON."""
        await self.connection.send(message if isinstance(message, str | bytes) else json.dumps(message))

    async def receive(self) -> Any:
        """The next message. Raises AssertionError for a binary one, and ConnectionClosed at the end."""
        async with asyncio.timeout(SECONDS):
            text = await self.connection.recv()
        assert isinstance(text, str), "a binary frame"
        return json.loads(text)

    async def initialise(self, token: str | None) -> None:
        """Send connection_init, with this token if there is one."""
        payload = {"authorization": f"Bearer {token}"} if token is not None else {}
        await self.send({"type": "connection_init", "payload": payload})

    async def subscribe(self, id_: str, query: str, **variables: Any) -> None:
        """Start an operation."""
        await self.send({"id": id_, "type": "subscribe", "payload": {"query": query, "variables": variables}})

    async def next(self, id_: str) -> Any:
        """The payload of the next result of this operation."""
        message = await self.receive()
        assert (message["type"], message["id"]) == ("next", id_), message
        return message["payload"]

    async def closed(self) -> tuple[int, str]:
        """Wait until the socket is closed; returns the code and the reason."""
        try:
            while True:
                await self.receive()
        except ConnectionClosed as closed:
            if closed.rcvd is None:
                raise AssertionError("dropped without a close code") from closed
            return closed.rcvd.code, closed.rcvd.reason

    async def quiet(self) -> None:
        """Returns once everything sent before was answered: pings are answered in order."""
        await self.send({"type": "ping"})
        assert await self.receive() == {"type": "pong"}


@asynccontextmanager
async def opened(url: str, **options: Any) -> AsyncIterator[Socket]:
    """A socket before connection_init."""
    options = {"subprotocols": [SUBPROTOCOL], "proxy": None, "compression": None, "close_timeout": 1} | options
    async with connect(url, **options) as connection:
        yield Socket(connection)


@asynccontextmanager
async def speaking(url: str, token: str, **options: Any) -> AsyncIterator[Socket]:
    """A socket after connection_ack."""
    async with opened(url, **options) as socket:
        await socket.initialise(token)
        assert await socket.receive() == {"type": "connection_ack"}
        yield socket


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry bytes one way until either side ends."""
    try:
        while data := await reader.read(65_536):
            writer.write(data)
    except OSError:
        pass
    finally:
        writer.close()
