"""What tests of workers stand on."""

from collections.abc import AsyncIterator

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
