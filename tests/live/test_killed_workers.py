"""Workers that are killed, and a Redis that is emptied, while somebody watches."""

import asyncio
import random
from collections import Counter
from contextlib import suppress

import pytest
from redis.asyncio import Redis

from tests.e2e.receivers import Behaviour
from tests.e2e.system import System
from tests.live.watcher import Json, Reader, following
from tests.live.world import HASTY, World
from tests.waiting import until

WEBHOOKS, EVENTS = 10, 200
DELIVERIES = WEBHOOKS * EVENTS
KILLS = 20
WORKERS = 3
# Redis is emptied after these kills.
EMPTIED_AFTER = (7, 14)


@pytest.mark.alone
@pytest.mark.usefixtures("hasty_workers")
async def test_when_workers_are_killed_and_redis_is_emptied_a_reader_knows_every_end_and_sees_no_change_twice(
    world: World, dice: random.Random
) -> None:
    world.receivers.behaviours.default_factory = lambda: Behaviour(seconds=dice.uniform(0, 0.3))
    await world.listen(WEBHOOKS)
    await world.system.with_workers(WORKERS, **HASTY)
    reader = Reader(world.system.url, world.token)
    async with following(reader):
        # Takes about as long as all the kills.
        making = asyncio.create_task(world.happen(EVENTS, at_once=1, pause=0.075))
        await _kill_and_empty(world.system, reader, dice)
        await making
        await world.all_finished(DELIVERIES, 240)
        truth = await world.statuses()
        with suppress(AssertionError):
            await until(lambda: len(reader.gaps) == len(EMPTIED_AFTER) and reader.known() == truth, 60)
    unknown = {
        uuid: (status, reader.history(uuid)) for uuid, status in truth.items() if reader.known().get(uuid) != status
    }
    assert not unknown, (reader.gaps, unknown)
    assert len(reader.gaps) == reader.reads == len(EMPTIED_AFTER)
    twice = {what: reader.history(what[0]) for what in _seen_twice(reader.changes)}
    assert not twice, (reader.gaps, twice)


async def _kill_and_empty(system: System, reader: Reader, dice: random.Random) -> None:
    async with Redis.from_url(system.redis.url) as redis:
        for kill in range(1, KILLS + 1):
            await asyncio.sleep(dice.uniform(0.3, 1.2))
            victim = dice.choice([worker for worker in system.workers if worker.is_running])
            victim.kill()
            system.workers.remove(victim)
            system.add_worker(**HASTY)
            if kill in EMPTIED_AFTER:
                await _told(reader, EMPTIED_AFTER.index(kill))
                await asyncio.sleep(dice.uniform(0, 0.3))
                await redis.flushall()


async def _told(reader: Reader, times: int) -> None:
    """Wait until the reader was told of each emptying: two in a row would be told as one."""
    await until(lambda: len(reader.gaps) == times, what=f"to be told to read again, {times} times")


def _seen_twice(changes: list[Json]) -> list[tuple[str, ...]]:
    """A delivery is pending once, each attempt begins once, and each comes to its end once."""
    counts: Counter[tuple[str, ...]] = Counter()
    begun: dict[str, str] = {}
    for change in changes:
        uuid, status, attempt = change["delivery"]["uuid"], change["status"], change["attempt"]
        what = str(attempt["number"]) if attempt else change["occurredAt"]
        counts[uuid, status, what if status != "PENDING" else ""] += 1
        if status == "DELIVERING" and begun.get(uuid) == status:
            counts[uuid, "DELIVERING after DELIVERING", what] += 1
        begun[uuid] = status
    return [what for what, count in counts.items() if count > 1]
