"""A Redis that dies, forgets, hangs, fills up and is written to by strangers (F8 to F13)."""

import pickle
import signal
import time
from pathlib import Path
from statistics import median
from typing import Any

from redis.asyncio import Redis

from domain.queue import ANSWER_SECONDS, QUEUE_NAME
from tests.e2e.system import alive, kill_server, start_again
from tests.e2e.world import World
from tests.waiting import until

OUTAGE_SECONDS = 30
# docs/reliability.md, F11.
MUTATION_SECONDS = 2.0


async def test_deliveries_go_on_while_redis_is_dead_for_half_a_minute(world: World) -> None:
    """F8."""
    await world.hook()
    async with world.load(per_second=10):
        await world.written(10)
        kill_server(world.system.redis, signal.SIGKILL)
        back = time.monotonic() + OUTAGE_SECONDS
        while time.monotonic() < back:
            await delivered_and_more(world, 10)
        start_again(world.system.redis)
        await world.written(10)

    await no_harm_was_done(world)


async def test_an_emptied_redis_loses_nothing(world: World) -> None:
    """F9."""
    await world.hook()
    async with world.load(), Redis.from_url(world.system.redis.url) as redis:
        for _ in range(10):
            await world.written(10)
            await redis.flushall()

    await no_harm_was_done(world)


async def test_without_any_redis_mutations_are_acknowledged_and_deliveries_go_on(world: World) -> None:
    """F10."""
    await world.hook()
    kill_server(world.system.redis, signal.SIGKILL)
    async with world.load(per_second=10):
        await delivered_and_more(world, 20)
        # By workers that never saw a Redis, too.
        old = world.system.workers.pop()
        old.send(signal.SIGTERM)
        assert await old.gone() == 0
        await world.system.add_worker().ready()
        await delivered_and_more(world, 20)

    assert not world.refused
    assert world.unanswered == 0
    await no_harm_was_done(world)


async def test_mutations_do_not_wait_for_a_redis_that_accepts_and_never_answers(world: World) -> None:
    """F11."""
    await world.hook()
    await world.post()
    for who in ("api", "worker"):
        world.system.proxies.tell(f"{who}.redis", "silent")
    took = []
    for _ in range(30):
        began = time.monotonic()
        await world.post()
        took.append(time.monotonic() - began)
    assert max(took) < MUTATION_SECONDS
    # A request that waited for Redis would take that long.
    assert median(took) < ANSWER_SECONDS
    await world.finished()
    world.system.proxies.heal()

    await no_harm_was_done(world)


async def test_a_full_redis_stops_neither_mutations_nor_deliveries(world: World) -> None:
    """F12."""
    await world.hook()
    async with world.load(), Redis.from_url(world.system.redis.url) as redis:
        await world.written(10)
        await redis.config_set("maxmemory", 1)
        try:
            await delivered_and_more(world, 40)
        finally:
            await redis.config_set("maxmemory", 0)
        await world.written(10)

    assert not world.refused
    await no_harm_was_done(world)


class Trap:
    """Runs a command in any process that unpickles it."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


async def test_junk_in_the_queue_is_not_executed_and_harms_nobody(world: World, tmp_path: Path) -> None:
    """F13."""
    trace = tmp_path / "executed"
    junk = {
        "nothing": b"",
        "noise": b"\xff\x00\x80junk",
        "pickle": pickle.dumps({"t": 1, "f": "deliver", "a": (Trap(trace),), "k": {}, "et": 1}),
        "list": b"[]",
        "unknown": b'{"t":1,"f":"nobody","a":[],"k":{},"et":1}',
        "arguments": b'{"t":1,"f":"deliver","a":["x"],"k":{"y":1},"et":1}',
        "kinds": b'{"t":1,"f":"deliver","a":[["x"],[null],[{}]],"k":{},"et":1}',
        "lengths": b'{"t":1,"f":"deliver","a":[[1,2],[1],[1]],"k":{},"et":1}',
    }
    await world.hook()
    workers = list(world.system.workers)
    async with Redis.from_url(world.system.redis.url) as redis:
        for name, value in junk.items():
            await redis.set(f"arq:job:{name}", value)
            await redis.zadd(QUEUE_NAME, {name: time.time() * 1000})
        await redis.zadd(QUEUE_NAME, dict.fromkeys((b"\xff\xfe", b"without a job"), time.time() * 1000))
        await world.posts(20)
        await until_empty(redis)
        await redis.set(QUEUE_NAME, "not even a queue")
        await world.posts(20)
        await world.finished()
        await until_emptied(redis)
        await redis.rpush("arq:job:kind", "no string")
        await redis.zadd(QUEUE_NAME, {"kind": time.time() * 1000})
        await until_empty(redis)

    assert alive(workers)
    assert not trace.exists()
    pickle.loads(junk["pickle"])
    assert trace.exists(), "the trap is none"
    await no_harm_was_done(world)


async def until_emptied(redis: Redis) -> None:
    """Wait until the key that was no queue is gone, or a queue again."""
    end = time.monotonic() + 30
    while await redis.type(QUEUE_NAME) == b"string":
        assert time.monotonic() < end


async def until_empty(redis: Redis) -> None:
    end = time.monotonic() + 30
    while left := await redis.zrange(QUEUE_NAME, 0, -1):
        assert time.monotonic() < end, left


async def delivered_and_more(world: World, more: int) -> None:
    """Wait until that many more are written and delivered."""
    goal = len(world.receivers.deliveries()) + more
    await world.written(more)
    await until(lambda: len(world.receivers.deliveries()) >= goal, what="deliveries go on")


async def no_harm_was_done(world: World) -> None:
    """Without Redis nothing dies, nothing fails and nothing comes twice."""
    assert alive(world.system.workers)
    tally = await world.keeps_the_rule()
    assert (tally.delivered, tally.duplicated) == (tally.accepted, 0)
