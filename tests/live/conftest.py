"""Fixtures of the tests of live updates: one system of real processes, and random numbers that can be repeated."""

import os
import random
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.e2e.system import System, started
from tests.live.world import HASTY, LiveSystem, World, entered

WORKERS = 1


@pytest.fixture(scope="package")
def running_system() -> Iterator[System]:
    """PostgreSQL, Redis, an API and a worker."""
    with started(LiveSystem, WORKERS) as system:
        yield system


@pytest.fixture
def dice() -> random.Random:
    """The random numbers of this run; LIVE_SEED=n repeats them."""
    seed = int(os.environ.get("LIVE_SEED") or random.SystemRandom().randrange(10**6))
    print(f"\nLIVE_SEED={seed}")
    random.seed(seed)
    return random.Random(seed)


@pytest.fixture
async def system(running_system: System, dice: random.Random) -> System:
    """The system, healthy, with one worker."""
    await running_system.make_good(WORKERS)
    return running_system


@pytest.fixture
async def hasty_workers(system: System) -> AsyncIterator[None]:
    """Workers with short leases, which are killed after the test."""
    await system.with_workers(WORKERS, **HASTY)
    yield
    system.kill_workers()


@pytest.fixture
async def world(system: System) -> AsyncIterator[World]:
    """A workspace in that system for this test only."""
    async with entered(system) as world:
        yield world
