"""A socket to a third party: it takes a limited number of bytes, few at once, and is listed while it is open."""

import socket
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from domain.guarded_socket import OPEN, BudgetSpent, GuardedSocket

KIBIBYTE = 1024


@pytest.fixture
def flooded() -> Iterator[GuardedSocket]:
    """A socket that has more to read than the tests take."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        closing(GuardedSocket(socket.AF_INET, socket.SOCK_STREAM, 0)) as guarded,
    ):
        guarded.connect(server.getsockname())
        stranger, _ = server.accept()
        with stranger:
            stranger.sendall(b"x" * 64 * KIBIBYTE)
            yield guarded


def received(guarded: GuardedSocket) -> int:
    """The size of one read, as asyncio reads without TLS."""
    return len(guarded.recv(256 * KIBIBYTE))


def received_into(guarded: GuardedSocket) -> int:
    """The size of one read, as asyncio reads below TLS."""
    return guarded.recv_into(bytearray(256 * KIBIBYTE))


@pytest.mark.parametrize("read", [received, received_into])
def test_it_takes_what_it_may_and_nothing_after(flooded: GuardedSocket, read: Callable[[GuardedSocket], int]) -> None:
    flooded.budget = 10_000
    sizes: list[int] = []
    while sum(sizes) < 10_000:
        sizes.append(read(flooded))
    with pytest.raises(BudgetSpent):
        read(flooded)
    assert sum(sizes) == 10_000
    assert max(sizes) <= 8 * KIBIBYTE


def test_before_a_request_it_takes_what_a_handshake_needs(flooded: GuardedSocket) -> None:
    assert flooded.budget == 128 * KIBIBYTE


def test_it_is_known_until_it_is_closed(flooded: GuardedSocket) -> None:
    number = flooded.fileno()
    assert OPEN[number] is flooded
    flooded.close()
    assert number not in OPEN
