"""Fixtures of the workers' tests."""

from collections.abc import AsyncIterator

import pytest

from domain.unit import Domain
from workers.engine import Engine
from workers.rescue import Rescue


@pytest.fixture
async def engine(domain: Domain) -> AsyncIterator[Engine]:
    """A running engine."""
    async with Engine(domain).running() as engine:
        yield engine


@pytest.fixture
def rescue(domain: Domain, engine: Engine) -> Rescue:
    """The database loop of that engine, which takes a step when a test calls for one."""
    return Rescue(domain, engine)
