"""What tests of workers stand on."""

import socket
from collections.abc import AsyncIterator, Iterator

import pytest

from domain.unit import Domain
from workers.engine import Engine
from workers.rescue import Rescue


@pytest.fixture
async def engine(domain: Domain) -> AsyncIterator[Engine]:
    """An engine that runs."""
    async with Engine(domain).running() as engine:
        yield engine


@pytest.fixture
def rescue(domain: Domain, engine: Engine) -> Rescue:
    """The database loop of that engine, which takes a step when it is told to."""
    return Rescue(domain, engine)


@pytest.fixture
def closed_port() -> Iterator[str]:
    """A URL at which nobody listens: the port is taken, so that nobody else gets it, but not listened on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/"
