"""A PostgreSQL that crashes, is out of reach, and has no room left (F14 to F17)."""

import asyncio
import signal
import time
from contextlib import suppress

import asyncpg
import pytest

from tests.e2e import full_disk
from tests.e2e.system import System, connect, kill_server, start_again
from tests.e2e.world import World

RECONNECT_SECONDS = 10.0
OUT_OF_REACH_SECONDS = 20.0


async def test_nothing_is_lost_when_postgresql_crashes_five_times(world: World) -> None:
    """F14."""
    await world.hook()
    async with world.load():
        for _ in range(5):
            await world.written(10)
            with world.fault(outage=True):
                kill_server(world.system.postgres, signal.SIGQUIT)
                start_again(world.system.postgres)
                back = time.monotonic()
                await world.written(1, RECONNECT_SECONDS)
                goal = len(world.receivers.arrivals) + 1
                while len(world.receivers.arrivals) < goal:
                    assert time.monotonic() - back < RECONNECT_SECONDS, "no worker is back"
                    await asyncio.sleep(0.05)

    tally = await world.keeps_the_rule()
    assert tally.delivered >= tally.accepted
    assert not only_clear_errors(world)


async def test_a_postgresql_out_of_reach_is_a_clear_error_and_never_a_false_acknowledgement(world: World) -> None:
    """F15: half of the time it cannot be reached at all, and half of the time it never answers."""
    await world.hook()
    async with world.load():
        await world.written(10)
        with world.fault(outage=True):
            for mode in ("refuse", "silent"):
                for who in ("api", "worker"):
                    world.system.proxies.tell(f"{who}.postgres", mode)
                # The duration itself is tested here.
                await asyncio.sleep(OUT_OF_REACH_SECONDS / 2)
            world.system.proxies.heal()
            await world.system.healthy()
        await world.written(10)

    assert world.refused
    assert not only_clear_errors(world)
    await world.keeps_the_rule()


async def test_a_postgresql_without_a_free_connection_is_a_clear_error_too(world: World) -> None:
    """F16."""
    await world.hook()
    async with world.load():
        await world.written(10)
        with world.fault(outage=True):
            taken = await take_all_connections(world.system)
            try:
                refused = world.refused.total()
                while world.refused.total() < refused + 5:
                    await asyncio.sleep(0.05)
            finally:
                for connection in taken:
                    connection.terminate()
            await world.system.healthy()
        await world.written(10)

    assert not only_clear_errors(world)
    await world.keeps_the_rule()


async def take_all_connections(system: System) -> list[asyncpg.Connection]:
    """Leave none to Hookline: take those that are free, end its own, and take these as well."""
    taken = [await connect(system.settings())]
    end = time.monotonic() + 30
    while True:
        with suppress(asyncpg.TooManyConnectionsError):
            while True:
                taken.append(await connect(system.settings()))
        ended = await taken[0].fetch(_END_HOOKLINES)
        if not ended:
            return taken
        assert time.monotonic() < end, "Hookline is quicker"


_END_HOOKLINES = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'hookline'"


def only_clear_errors(world: World) -> list[str]:
    """The refusals that were not a 503 that says why."""
    return [answer for answer in world.refused if answer not in {"503 UNAVAILABLE", "503 TIMED_OUT"}]


@pytest.mark.parametrize("way", full_disk.ways())
def test_a_postgresql_without_room_fails_mutations_cleanly_and_passes(way: str) -> None:
    """F17."""
    done = full_disk.run_apart(way)
    assert done.returncode == 0, done.stdout
