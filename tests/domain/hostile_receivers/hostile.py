"""What a hostile receiver is, and what most of them do: wait, drip, flood, reset."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from domain.vocabulary import AttemptOutcome

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

SUCCEEDED = AttemptOutcome.SUCCEEDED
HTTP_ERROR = AttemptOutcome.HTTP_ERROR
TIMED_OUT = AttemptOutcome.TIMED_OUT
BROKEN = AttemptOutcome.CONNECTION_FAILED
TLS = AttemptOutcome.TLS_FAILED
INVALID = AttemptOutcome.INVALID_RESPONSE

OK = b"HTTP/1.1 200 OK\r\n"
MEBIBYTE = 1024 * 1024
# Longer than any deadline of the tests, so that the sender ends the connection.
PATIENCE = 30.0


@dataclass(frozen=True)
class Hostile:
    """One receiver. `certificate` names the one that it shows; without one it speaks plain TCP."""

    name: str
    serve: Serve
    outcomes: frozenset[AttemptOutcome]
    certificate: str | None
    scheme: str


RECEIVERS: dict[str, Hostile] = {}


def hostile(
    *outcomes: AttemptOutcome, certificate: str | None = None, scheme: str = "http"
) -> Callable[[Serve], Serve]:
    """Registers a receiver whose attempts end as one of `outcomes`: which one may depend on how its bytes arrive."""

    def register(serve: Serve) -> Serve:
        name = getattr(serve, "__name__", "")
        RECEIVERS[name] = Hostile(name, serve, frozenset(outcomes), certificate, "https" if certificate else scheme)
        return serve

    return register


async def take_request(reader: asyncio.StreamReader) -> bytes:
    """The head of a request."""
    return await reader.readuntil(b"\r\n\r\n")


async def forever() -> None:
    """Do nothing more, until the sender gives up."""
    await asyncio.sleep(PATIENCE)


async def drip(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Send byte after byte, too slowly for any deadline, but quickly enough for any idle timeout."""
    for byte in data:
        writer.write(bytes((byte,)))
        await writer.drain()
        await asyncio.sleep(0.03)


async def flood(writer: asyncio.StreamWriter, piece: bytes, most: int = 64 * MEBIBYTE) -> None:
    """Send the piece over and over, as fast as the other side takes it."""
    block = piece * max(1, 64 * 1024 // len(piece))
    for _ in range(most // len(block)):
        writer.write(block)
        await writer.drain()
    await forever()


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> None:
    """Take the request, say this and close."""
    await take_request(reader)
    writer.write(data)
    await writer.drain()
