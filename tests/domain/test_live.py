"""The live stream: each change once and in order, and cursors that mark a place in it."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from domain.live import PAGE, BadCursor, CursorExpired, ForeignRedis, Live, Order, order_of
from domain.live_scripts import SERVED, SPAN, stream_of
from tests.domain.streaming import NOW, change, live_of, numbers, told, uuid_of


@pytest.fixture
def live(redis: Redis) -> Live:
    return live_of(redis)


async def test_changes_are_read_in_the_order_in_which_they_were_told(live: Live) -> None:
    assert await live.append([change(1), change(2), change(3)]) == [True, True, True]

    assert await numbers(live) == [1, 2, 3]


async def test_a_change_told_twice_stands_there_once(live: Live) -> None:
    await live.append([change(1), change(2)])

    assert await live.append([change(2), change(1)]) == [True, True]
    assert await numbers(live) == [1, 2]


async def test_a_change_whose_predecessor_is_missing_is_held_back(live: Live) -> None:
    await live.append([change(1)])

    assert await live.append([change(3)]) == [False]
    assert await numbers(live) == [1]


async def test_the_loop_fills_the_gap_in_order_and_repeats_nothing(live: Live) -> None:
    await live.append([change(1)])
    await live.append([change(3)])

    recalled = [change(n, Order.RECALLED, at=NOW + timedelta(seconds=1)) for n in (1, 2)]
    await live.append([*recalled, change(3, Order.RECALLED, at=NOW + timedelta(seconds=1))])

    assert await numbers(live) == [1, 2, 3]


async def test_where_nothing_is_missing_a_change_may_follow_any_other(live: Live) -> None:
    await live.append([change(1)])

    assert await live.append([change(6, Order.CLEAR)]) == [True]
    assert await numbers(live) == [1, 6]


async def test_what_was_committed_before_the_stream_began_is_not_recalled_unless_its_time_is_in_doubt(
    live: Live,
) -> None:
    early, just_before = NOW - timedelta(minutes=1), NOW - timedelta(milliseconds=100)

    taken = await live.append(
        [change(1, Order.RECALLED, at=just_before), change(2, Order.ROUGHLY, at=just_before),
         change(5, Order.ROUGHLY, subject=2, at=early)],
    )  # fmt: skip

    assert taken == [True, True, True]
    assert await numbers(live) == [2]


async def test_a_cursor_leads_to_what_came_after_it(live: Live) -> None:
    await live.append([change(1), change(2), change(3)])
    first, *rest = await told(live)

    assert await told(live, first.cursor) == rest
    assert await told(live, rest[-1].cursor) == []


async def test_the_oldest_that_is_kept_is_read_too(live: Live, redis: Redis) -> None:
    await live.append([change(1), change(2), change(3)])
    await redis.xtrim(stream_of(7), maxlen=2, approximate=False)

    assert await numbers(live) == [2, 3]


async def test_a_cursor_older_than_what_is_kept_is_told_where_to_go_on(live: Live, redis: Redis) -> None:
    await live.append([change(1), change(2), change(3)])
    first, _, last = await told(live)
    await redis.xtrim(stream_of(7), maxlen=1, approximate=False)

    with pytest.raises(CursorExpired) as expired:
        await told(live, first.cursor)
    assert expired.value.resume_from == last.cursor


@pytest.mark.parametrize("after", ["0", "marker"])
async def test_what_is_trimmed_while_it_is_read_is_not_passed_over(live: Live, redis: Redis, after: str) -> None:
    marker = await live.open(7)
    await live.append([change(n, Order.CLEAR) for n in range(1, PAGE + 10)])
    last = await live.open(7)
    pages = live.history(7, marker if after == "marker" else after, last)
    await anext(pages)
    await redis.xtrim(stream_of(7), maxlen=1, approximate=False)

    with pytest.raises(CursorExpired) as expired:
        await anext(pages)
    assert expired.value.resume_from == last


async def test_a_cursor_that_is_newer_than_where_the_reading_ends_has_missed_nothing(live: Live) -> None:
    await live.append([change(1), change(2)])
    first, second = await told(live)

    assert [page async for page in live.history(7, second.cursor, first.cursor)] == []


async def test_an_id_that_comes_again_after_a_restore_is_another_thing(live: Live) -> None:
    await live.append([change(1), change(2), change(3)])

    assert await live.append([replace(change(1), subject_uuid=uuid_of(2))]) == [True]
    assert await numbers(live) == [1, 2, 3, 1]


async def test_the_last_change_is_remembered_for_longer_while_something_is_open(live: Live, redis: Redis) -> None:
    await live.append([change(1), replace(change(1, subject=2), settles=True)])

    assert await redis.ttl(f"hookline:seen:{uuid_of(1)}") > 23 * 3600
    assert 0 < await redis.ttl(f"hookline:seen:{uuid_of(2)}") <= 600


async def test_a_cursor_from_before_redis_was_emptied_has_expired(live: Live, redis: Redis) -> None:
    await live.append([change(1)])
    (entry,) = await told(live)
    # Ids begin with the millisecond. Wait for the next: no real Redis is lost and back within the same one.
    await asyncio.sleep(0.002)
    await redis.flushall()

    with pytest.raises(CursorExpired):
        await told(live, entry.cursor)


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "1-", "-1", "1-2-3", "1٣-0", "9" * 40 + "-0", "1 -0", f"1٣-{7 * SPAN}", f"{10**19}-{7 * SPAN}"],
)
async def test_what_is_no_cursor_is_refused(live: Live, cursor: str) -> None:
    with pytest.raises(BadCursor):
        await told(live, cursor)


async def test_a_cursor_of_another_workspace_is_refused(live: Live) -> None:
    await live.append([change(1)])
    theirs = await live.open(8)

    with pytest.raises(BadCursor):
        await told(live, theirs)


async def test_many_changes_of_one_millisecond_keep_their_order_and_their_workspace(live: Live) -> None:
    for number in range(0, 300, 3):
        await live.append([change(number + n, Order.CLEAR) for n in (1, 2, 3)])

    entries = await told(live)

    assert [entry.data["n"] for entry in entries] == list(range(1, 301))
    assert await told(live, entries[149].cursor) == entries[150:]
    assert {order_of(entry.cursor)[1] // SPAN for entry in entries} == {7}


@pytest.mark.parametrize(
    ("last", "following"),
    [(7 * SPAN, [(0, 7 * SPAN + 1), (0, 7 * SPAN + 2)]), (8 * SPAN - 2, [(0, 8 * SPAN - 1), (1, 7 * SPAN)])],
    ids=["in its millisecond", "where that is full"],
)
async def test_where_the_clock_is_set_back_cursors_go_on_from_the_last(
    live: Live, redis: Redis, last: int, following: list[tuple[int, int]]
) -> None:
    await live.open(7)
    ahead = 9_000_000_000_000
    await redis.xadd(stream_of(7), {"k": "d", "e": '{"n": 0}'}, id=f"{ahead}-{last}")

    await live.append([change(1), change(2)])

    entries = await told(live, f"{ahead}-{last}")
    assert [entry.data["n"] for entry in entries] == [1, 2]
    assert [order_of(entry.cursor) for entry in entries] == [(ahead + later, place) for later, place in following]


async def test_a_workspace_hears_nothing_of_another(live: Live) -> None:
    theirs = replace(change(1, subject=2), workspace_id=8, data={"n": 2})

    assert await live.append([change(1), theirs]) == [True, True]

    assert await numbers(live) == [1]
    last = await live.open(8)
    assert [entry.data["n"] async for page in live.history(8, "0", last) for entry in page] == [2]


async def test_a_redis_that_serves_another_hookline_is_told_nothing_and_tells_nothing(live: Live, redis: Redis) -> None:
    await live.append([change(1)])
    stranger = live_of(redis, "theirs")

    for refused in (
        stranger.claim(), stranger.open(7), stranger.open(8), stranger.append([change(2)]), stranger.erase(7)
    ):  # fmt: skip
        with pytest.raises(ForeignRedis):
            await refused
    assert await numbers(live) == [1]
    assert not await redis.exists(stream_of(8))


async def test_an_emptied_redis_serves_whoever_comes_first(live: Live, redis: Redis) -> None:
    await live.claim()
    await redis.flushdb()

    await live_of(redis, "theirs").append([change(1)])

    assert await redis.get(SERVED) == b"theirs"
    for refused in (live.claim(), live.open(7), live.append([change(2)])):
        with pytest.raises(ForeignRedis):
            await refused
