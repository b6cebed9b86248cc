"""Fixtures of the e2e tests: one system of real processes, repaired for each test."""

import os
import random
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.e2e.system import System, started
from tests.e2e.world import World, entered

WORKERS = 2


@pytest.fixture(scope="package")
def seed() -> int:
    """The random seed of this run; E2E_SEED=n repeats it."""
    number = int(os.environ.get("E2E_SEED") or random.SystemRandom().randrange(10**6))
    print(f"\nE2E_SEED={number}")
    return number


@pytest.fixture(scope="package")
def running_system() -> Iterator[System]:
    """PostgreSQL, Redis, an API and two workers."""
    with started(System, WORKERS) as system:
        yield system


@pytest.fixture
async def system(running_system: System, seed: int) -> AsyncIterator[System]:
    """The system, healthy, with two workers."""
    random.seed(seed)
    await running_system.make_good(WORKERS)
    yield running_system
    running_system.proxies.heal()


@pytest.fixture
async def world(system: System) -> AsyncIterator[World]:
    """A workspace in that system for this test only."""
    async with entered(system) as world:
        yield world
