"""What the e2e tests stand on: one system of real processes, made good again for each test."""

import asyncio
import os
import random
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.e2e.system import System
from tests.e2e.world import World, entered

WORKERS = 2


@pytest.fixture(scope="package")
def seed() -> int:
    """The dice of this run; E2E_SEED=n throws them again."""
    number = int(os.environ.get("E2E_SEED") or random.SystemRandom().randrange(10**6))
    print(f"\nE2E_SEED={number}")
    return number


@pytest.fixture(scope="package")
def running_system() -> Iterator[System]:
    """PostgreSQL, Redis, an API and two workers."""
    # Not pytest's own folder: the path of a unix socket must be short.
    folder = Path(tempfile.mkdtemp(prefix="hookline-e2e-"))
    system = System(folder)
    try:
        with asyncio.Runner() as runner:
            runner.run(system.start(WORKERS))
        yield system
    finally:
        system.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def system(running_system: System, seed: int) -> AsyncIterator[System]:
    """The system, healthy, with two workers."""
    random.seed(seed)
    await _make_good(running_system)
    yield running_system
    running_system.proxies.heal()


async def _make_good(system: System) -> None:
    await system.heal()
    while len(system.workers) > WORKERS:
        system.workers.pop().kill()
    while len(system.workers) < WORKERS:
        system.add_worker()
    await system.healthy()


@pytest.fixture
async def world(system: System) -> AsyncIterator[World]:
    """A workspace of this test's own in that system."""
    async with entered(system) as world:
        yield world
