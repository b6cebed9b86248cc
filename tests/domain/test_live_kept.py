"""What a live stream keeps, and for how long."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError

from domain import live_scripts
from domain.live import Change, CursorExpired, Live, Order
from domain.live_scripts import SPAN, stream_of
from tests.domain.streaming import change, live_of, numbers, told


@pytest.fixture
def live(redis: Redis) -> Live:
    return live_of(redis)


@pytest.mark.parametrize("at_once", [1, 250])
async def test_a_stream_keeps_about_so_many_changes_and_no_more(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, at_once: int
) -> None:
    monkeypatch.setattr(live_scripts, "KEPT_CHANGES", 100)
    live = live_of(redis)
    for begin in range(0, 250, at_once):
        await live.append([change(begin + n, Order.CLEAR) for n in range(1, at_once + 1)])
        # The first change of a millisecond takes another path into the stream than the others.
        await asyncio.sleep(0.002)

    # Redis trims whole nodes of a hundred entries.
    assert 100 <= await redis.xlen(stream_of(7)) <= 200


async def test_a_stream_of_large_changes_keeps_the_newest_that_it_has_room_for(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_scripts, "KEPT_BYTES", 2_000_000)
    live = live_of(redis)
    for number in range(1, 101):
        large = change(number, Order.CLEAR)
        large.data["body"] = "x" * 65_536
        await live.append([large])
        assert (await redis.memory_usage(stream_of(7), samples=0) or 0) <= 2_000_000

    found = await numbers(live)
    assert found == [*range(101 - len(found), 101)]
    assert len(found) >= 10


async def test_a_stream_is_measured_once_however_many_large_changes_come_together(live: Live, redis: Redis) -> None:
    """When each of 500 changes was measured, Redis answered nobody for over a second, and their sender gave up."""
    large = [replace(change(number, Order.CLEAR), data={"body": "x" * 65_536}) for number in range(1, 21)]
    before = await times_measured(redis)

    await live.append(large)

    assert await times_measured(redis) == before + 1


async def times_measured(redis: Redis) -> int:
    stats = await redis.info("commandstats")
    return sum(found["calls"] for name, found in stats.items() if name.startswith("cmdstat_memory"))


async def test_of_what_is_older_than_a_day_the_last_are_kept(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_scripts, "KEPT_OLD", 200)
    live = live_of(redis)
    for number in range(1_000):
        await redis.xadd(stream_of(7), {"k": "d", "e": '{"n":0}'}, id=f"1000-{7 * SPAN + number}")
    for number in range(1, 11):
        await live.append([change(number)])

    found = await numbers(live)
    assert found[-10:] == [*range(1, 11)]
    # Each trim removes at most two hundred, in whole nodes of a hundred.
    assert 200 <= found.count(0) <= 400


async def test_a_stream_that_nobody_watches_or_writes_to_is_forgotten(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_scripts, "KEPT_SECONDS", 1)
    live = live_of(redis)
    await live.append([change(1)])
    cursor = await live.open(7)
    async with asyncio.timeout(30):
        while await redis.exists(stream_of(7)):
            await asyncio.sleep(0.05)

    monkeypatch.undo()
    other = live_of(redis)
    await other.append([elsewhere(1)])
    kept = await other.open(8)
    assert await live.append([change(2)]) == [True]
    with pytest.raises(CursorExpired):
        await told(live, cursor)
    assert await other.held([(8, kept)]) == [True], "or all begin anew"


@pytest.mark.parametrize("watched", [True, False])
async def test_a_stream_that_is_watched_or_written_to_stays(live: Live, redis: Redis, *, watched: bool) -> None:
    await live.append([change(1)])
    await redis.expire(stream_of(7), 10)
    if watched:
        await live.open(7)
    else:
        await live.append([change(2)])
    assert await redis.ttl(stream_of(7)) > 24 * 3600 - 60


async def test_a_redis_that_is_full_takes_no_more_changes_until_there_is_room(live: Live, redis: Redis) -> None:
    await live.append([change(1)])
    await redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(OutOfMemoryError):
            await live.append([change(2)])
    finally:
        await redis.config_set("maxmemory", 0)
    assert await numbers(live) == [1]

    await live.append([change(2)])
    assert await numbers(live) == [1, 2]


async def test_where_redis_went_back_to_an_older_copy_all_streams_begin_anew_and_once(live: Live, redis: Redis) -> None:
    other, unaware = live_of(redis), live_of(redis)
    await unaware.append([change(1)])
    kept = await live.open(7)
    async with going_back(redis):
        for _ in "told", "told again":
            await live.append([change(2)])
        await other.append([change(3)])
    await unaware.append([change(1, subject=2)])

    await live.append([change(4, Order.CLEAR)])
    anew = await live.open(7)
    await other.append([change(5, Order.CLEAR)])

    with pytest.raises(CursorExpired):
        await told(live, kept)
    assert await numbers(live) == [4, 5]
    assert [entry.data["n"] for entry in await told(live, anew)] == [5]


async def test_so_they_do_where_the_copy_knows_nothing_of_a_workspace(live: Live, redis: Redis) -> None:
    await live_of(redis).append([change(1)])
    kept = await live.open(7)
    await live.erase(9)
    async with going_back(redis):
        await live.append([elsewhere(1)])
    # More keys than one SCAN looks at.
    await redis.mset({f"another's:{number}": "" for number in range(20_000)})

    await live.append([elsewhere(2)])

    assert await live.held([(7, kept)]) == [False]
    assert await live.open(9) == "0-0", "or an erased one begins again"


@asynccontextmanager
async def going_back(redis: Redis) -> AsyncIterator[None]:
    """Redis forgets what the block does."""
    copy = {key: await redis.dump(key) for key in await redis.keys("hookline:*")}
    yield
    await redis.flushall()
    for key, value in copy.items():
        await redis.restore(key, 0, value)


def elsewhere(number: int) -> Change:
    """A change in another workspace."""
    return replace(change(number, subject=8), workspace_id=8)


@pytest.mark.parametrize("way", ["emptied", "erased"])
async def test_where_a_stream_went_for_another_reason_no_other_begins_anew(live: Live, redis: Redis, way: str) -> None:
    await live.append([change(1)])
    if way == "emptied":
        # Wait for another millisecond, as in test_live.py.
        await asyncio.sleep(0.002)
        await redis.flushall()
    else:
        await live.erase(7)
    other = live_of(redis)
    await other.append([elsewhere(1)])
    kept = await other.open(8)

    await live.append([elsewhere(2)])

    assert await live.held([(8, kept)]) == [True]
