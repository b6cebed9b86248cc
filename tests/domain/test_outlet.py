"""The outlet: what units collected goes to Redis in order; nobody waits for it, and it never piles up."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any
from uuid import UUID

import orjson
import pytest
from arq.connections import ArqRedis
from structlog.testing import capture_logs
from tortoise.transactions import in_transaction

from domain import deliveries
from domain.database import rows
from domain.live import Change, Live, Order
from domain.live_scripts import stream_of
from domain.outlet import CLOSE_SECONDS, FURTHEST_HINT, MOST_WAITING, SETTLE, Outlet
from domain.queue import QUEUE_NAME, Owed, Queue
from domain.settings import Settings
from domain.tables import Delivery, Unsettled
from domain.unit import Actor, Domain, opened
from domain.verdicts import result_of
from tests.away import close, fall_silent, gated, reopen
from tests.domain.at_once import beside
from tests.domain.attempting import ILL, LEASE, SENT, WELL, claim, now_due, owe, record
from tests.domain.doing import happen, listen
from tests.waiting import until

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def outlet(redis: ArqRedis) -> Outlet:
    """An outlet that sends nothing by itself until a test lets it run."""

    async def committed_until() -> datetime:
        return NOW

    async def identity() -> str:
        return "ours"

    return Outlet(Live(redis, committed_until, identity), Queue(redis))


def change(number: int, subject: int = 1) -> Change:
    return Change("delivery", 7, subject, str(UUID(int=subject)), number, Order.CLEAR, NOW, {"n": number})


async def told(redis: ArqRedis) -> list[int]:
    found = await redis.xrange(stream_of(7))
    return [orjson.loads(fields[b"e"])["n"] for _, fields in found if b"e" in fields]


async def queued(redis: ArqRedis) -> list[list[Any]]:
    ids = await redis.zrange(QUEUE_NAME, 0, -1)
    return [orjson.loads(await redis.get(b"arq:job:" + id_))["a"] for id_ in ids]


async def test_changes_leave_in_the_order_in_which_they_were_announced(outlet: Outlet, redis: ArqRedis) -> None:
    outlet.announce([change(1), change(2)])
    outlet.announce([change(3)])

    await outlet.flush()

    assert await told(redis) == [1, 2, 3]
    assert not outlet._filled.is_set(), "or it goes on sending nothing"


async def test_hints_of_many_commits_share_a_job(outlet: Outlet, redis: ArqRedis) -> None:
    outlet.deliver([Owed(1, 10, 7)])
    outlet.deliver([Owed(2, 10, 7)])

    await outlet.flush()

    assert await queued(redis) == [[[1, 2], [10, 10], [7, 7]]]
    assert outlet.dropped == 0


async def test_retries_of_one_second_share_a_job_that_is_due_when_the_last_of_them_is(
    outlet: Outlet, redis: ArqRedis
) -> None:
    second = (datetime.now(UTC) + timedelta(minutes=1)).replace(microsecond=0)
    outlet.deliver([Owed(1, 10, 7)], at=second + timedelta(milliseconds=1))
    outlet.deliver([Owed(2, 10, 7)], at=second + timedelta(milliseconds=999))

    await outlet.flush()

    ((_, due),) = await redis.zrange(QUEUE_NAME, 0, -1, withscores=True)
    assert due == (second + timedelta(seconds=1)).timestamp() * 1000
    assert await queued(redis) == [[[1, 2], [10, 10], [7, 7]]]


async def test_what_is_due_much_later_is_left_to_the_database(outlet: Outlet, redis: ArqRedis) -> None:
    later = datetime.now(UTC) + FURTHEST_HINT + timedelta(minutes=1)
    outlet.deliver([Owed(1, 10, 7)], at=later)
    outlet.publish(1, at=later)
    outlet.publish(2, at=later - timedelta(minutes=2))

    await outlet.flush()

    assert await queued(redis) == [[2]]
    assert outlet.dropped == 0


async def test_where_too_much_of_a_kind_waits_all_of_it_is_dropped_and_counted(outlet: Outlet) -> None:
    outlet.announce(change(number) for number in range(MOST_WAITING + 1))
    outlet.deliver(Owed(number, 1, 1) for number in range(MOST_WAITING + 1))
    for number in range(MOST_WAITING + 1):
        outlet.publish(number)

    assert outlet.dropped == 3 * (MOST_WAITING + 1)
    assert (outlet._changes, outlet._owed, outlet._posts) == ([], {}, [])


async def test_what_redis_does_not_take_is_dropped_and_the_next_goes_out(settings: Settings, redis: ArqRedis) -> None:
    async with gated(settings) as gates, opened(gates.settings) as domain:
        close(gates.redis)
        with capture_logs() as lines:
            domain.outlet.announce([change(1)])
            domain.outlet.deliver([Owed(1, 10, 7), Owed(2, 10, 7)])
            domain.outlet.publish(1)
            await until(lambda: "outlet.dropped" in {line["event"] for line in lines})
        assert domain.outlet.dropped == 4
        reopen(gates.redis)

        domain.outlet.announce([change(2)])

        await until(lambda: _is(redis, [2]))
        assert await queued(redis) == []


async def test_what_redis_took_before_it_refused_something_is_not_counted_as_dropped(
    outlet: Outlet, redis: ArqRedis
) -> None:
    await redis.set(QUEUE_NAME, "no queue")
    outlet.announce([change(1)])
    outlet.deliver([Owed(1, 10, 7), Owed(2, 10, 7), Owed(3, 10, 7)])

    with capture_logs():
        await outlet.flush()

    assert (await told(redis), outlet.dropped) == ([1], 3)


async def _is(redis: ArqRedis, expected: list[int]) -> bool:
    return await told(redis) == expected


async def test_a_change_that_cannot_be_written_takes_nobody_after_it_along(outlet: Outlet, redis: ArqRedis) -> None:
    async with outlet.running():
        with capture_logs() as lines:
            outlet.announce([replace(change(1), data={"n": "\ud800"})])
            await until(lambda: "outlet.broke" in {line["event"] for line in lines})

        outlet.announce([change(2)])

        await until(lambda: _is(redis, [2]))


async def test_closing_sends_the_rest(outlet: Outlet, redis: ArqRedis) -> None:
    async with outlet.running():
        outlet.announce([change(1)])

    assert await told(redis) == [1]


async def test_closing_waits_a_moment_for_a_redis_that_never_answers(settings: Settings) -> None:
    async with gated(settings) as gates:
        fall_silent(gates.redis)
        with capture_logs():
            async with opened(gates.settings) as domain:
                domain.outlet.announce([change(1)])
                began = monotonic()

        assert monotonic() - began < CLOSE_SECONDS + 20


async def test_what_stands_in_the_stream_is_settled_and_what_does_not_is_left_to_the_loop(
    domain: Domain, admin: Actor
) -> None:
    await listen(domain, admin)
    claimed: list[Any] = []
    for _ in range(2):
        event = await happen(domain, admin)
        (found,) = await rows("SELECT id FROM delivery WHERE event_id = $1", event.id)
        claimed += await deliveries.claim([found["id"]], LEASE)
    changes = deliveries.ended(await deliveries.record([result_of(row, SENT, WELL, 0.0) for row in claimed]))
    # That the second was under way is never announced.
    domain.outlet.announce(deliveries.begun(claimed[:1]))
    domain.outlet.announce(changes)

    await until(lambda: _are_unsettled([claimed[1]["id"]]))
    assert domain.outlet._settled == []


async def test_closing_settles_the_rest_but_for_what_went_on_untold_meanwhile(
    domain: Domain, admin: Actor, redis: ArqRedis
) -> None:
    one = await owe(domain, admin)
    other = await Delivery.get(event_id=(await happen(domain, admin)).id)
    await domain.outlet.flush()
    claimed = await claim(one, other)
    changes = [*deliveries.begun(claimed), *[change for row in claimed for change in await record(row, ILL)]]
    # By a worker that died before it announced this.
    await now_due(other)
    (again,) = await claim(other)
    await record(again, WELL)

    async with Outlet(domain.hub.live, Queue(redis)).running() as outlet:
        outlet.announce(changes)

    assert await _are_unsettled([other.id])


async def test_what_another_process_is_settling_is_left_to_it_and_nobody_waits(domain: Domain, admin: Actor) -> None:
    one = await owe(domain, admin)
    other = await Delivery.get(event_id=(await happen(domain, admin)).id)
    await domain.outlet.flush()
    async with in_transaction():
        await rows("SELECT FROM unsettled WHERE delivery_id = $1 FOR UPDATE", one.id)
        settling = await beside(rows(SETTLE, [one.id, other.id], [1, 1]))
        assert settling.done()

    assert await _are_unsettled([one.id])


async def test_a_change_that_cannot_be_settled_keeps_no_other_from_it(domain: Domain, admin: Actor) -> None:
    delivery = await owe(domain, admin)
    await domain.outlet.flush()
    with capture_logs() as lines:
        domain.outlet.announce([replace(change(2**31), workspace_id=admin.workspace.id, settles=True)])
        await until(lambda: "outlet.settle_broke" in {line["event"] for line in lines})
    (row,) = await claim(delivery)

    domain.outlet.announce([*deliveries.begun([row]), *await record(row, WELL)])

    await until(lambda: _are_unsettled([]))


async def _are_unsettled(ids: list[int]) -> bool:
    return [row.delivery_id for row in await Unsettled.all().order_by("delivery_id")] == ids
