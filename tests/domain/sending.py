"""A sender for tests, servers that a test writes itself, and a watch on all connections that are made."""

import asyncio
import ssl
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

from domain.addresses import AddressPolicy
from domain.guarded_socket import OPEN
from domain.request import OutgoingRequest
from domain.sender import Sender, SenderLimits
from domain.settings import Network
from domain.vocabulary import HttpMethod
from tests.domain.hostile_receivers.hostile import Serve
from tests.domain.name_server import NameServer


def networks(*texts: str) -> tuple[Network, ...]:
    """Networks from their usual notation."""
    return tuple(ip_network(text) for text in texts)


LOOPBACK = AddressPolicy(networks("127.0.0.0/8", "::1/128"))
CLOSED = AddressPolicy()
# Short, for receivers that never answer.
SHORT = SenderLimits(connect_timeout=timedelta(seconds=0.4), request_timeout=timedelta(seconds=0.7))
# Long, so that a busy machine does not time out a receiver that should be classified by what it does.
PATIENT = SenderLimits(connect_timeout=timedelta(seconds=5), request_timeout=timedelta(seconds=10))


def request_to(url: str, method: HttpMethod = HttpMethod.POST, **changes: Any) -> OutgoingRequest:
    """A small request, with these changes."""
    headers = (("Content-Type", "application/json"), ("User-Agent", "Hookline/0"))
    return replace(OutgoingRequest(url, method, headers, b'{"event":"post.published"}'), **changes)


@asynccontextmanager
async def sending(
    policy: AddressPolicy = LOOPBACK, limits: SenderLimits = PATIENT, **options: Any
) -> AsyncIterator[Sender]:
    """A sender. None of its sockets may be open at the end of the block."""
    async with Sender(policy, limits, 100, **options) as sender:
        yield sender
    assert len(OPEN) == 0, "sockets were left open"


@asynccontextmanager
async def sending_by(names: NameServer, policy: AddressPolicy = CLOSED, **options: Any) -> AsyncIterator[Sender]:
    """A sender that asks this name server."""
    async with sending(policy, nameservers=[names.address], **options) as sender:
        yield sender


@asynccontextmanager
async def serving(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The URL of a server whose every byte a test writes."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


_watched: list[list[tuple[Any, ...]]] = []


def _watch(event: str, args: tuple[Any, ...]) -> None:
    if event == "socket.connect":
        for seen in _watched:
            seen.append(args[1])


# Python calls this for every connect of every socket in the process, whoever makes it.
sys.addaudithook(_watch)


@contextmanager
def connections() -> Iterator[list[tuple[Any, ...]]]:
    """The addresses that any socket of this process is connected to within the block."""
    seen: list[tuple[Any, ...]] = []
    _watched.append(seen)
    try:
        yield seen
    finally:
        _watched.remove(seen)
