"""A DNS server on loopback, over UDP, that answers as a test wants."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import cast

A, AAAA = 1, 28
SERVER_FAILURE = 2
# The addresses of names that a test does not list: this machine's loopback.
INSIDE = ("127.0.0.1", "::1")


class NameServer(asyncio.DatagramProtocol):
    """Answers with `addresses[name]`, or INSIDE; to `silent` names not at all, to `broken` ones with SERVFAIL."""

    def __init__(self) -> None:
        self.addresses: dict[str, tuple[str, ...]] = {}
        self.silent: set[str] = set()
        self.broken: set[str] = set()
        self.asked: list[str] = []
        self.address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)
        host, port = transport.get_extra_info("sockname")
        self.address = f"{host}:{port}"

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        name, kind, question = _question(data)
        self.asked.append(name)
        if name in self.silent:
            return
        code = SERVER_FAILURE if name in self.broken else 0
        found = () if code else self.addresses.get(name, INSIDE)
        wanted = {A: 4, AAAA: 6}.get(kind)
        records = [_record(ip) for text in found if (ip := ip_address(text)).version == wanted]
        head = struct.pack("!2sHHHHH", data[:2], 0x8580 | code, 1, len(records), 0, 0)
        self._transport.sendto(head + question + b"".join(records), addr)


def _question(data: bytes) -> tuple[str, int, bytes]:
    labels, position = [], 12
    while length := data[position]:
        labels.append(data[position + 1 : position + 1 + length].decode("ascii", "replace"))
        position += 1 + length
    end = position + 5
    (kind,) = struct.unpack("!H", data[position + 1 : position + 3])
    return ".".join(labels).lower(), kind, data[12:end]


def _record(ip: IPv4Address | IPv6Address) -> bytes:
    # A pointer to the question's name; TTL 0, so that nothing caches it.
    return struct.pack("!HHHIH", 0xC00C, A if ip.version == 4 else AAAA, 1, 0, len(ip.packed)) + ip.packed


@asynccontextmanager
async def naming() -> AsyncIterator[NameServer]:
    """A name server, while the block lasts."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(NameServer, ("127.0.0.1", 0))
    try:
        yield server
    finally:
        transport.close()
