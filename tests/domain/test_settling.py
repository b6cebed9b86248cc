"""Settling: what a dying process did not announce is announced within seconds, in order, once."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from tortoise.transactions import in_transaction

from domain import deliveries, settling, webhooks
from domain.database import rows
from domain.live import Entry
from domain.outcome import Answer, Failed
from domain.post_records import announce, entries_of
from domain.tables import Delivery, Post, PostChange, Unsettled
from domain.unit import Actor, Domain
from domain.verdicts import result_of
from domain.vocabulary import AttemptOutcome
from tests.domain.attempting import ILL, LEASE, SENT, TOOK, WELL, lease_ran_out
from tests.domain.doing import happen, listen
from tests.domain.untold import (
    begin_long_ago,
    check_now,
    entries,
    posts_told,
    statuses,
    untold_delivery,
    untold_post,
)
from tests.waiting import until

WAITING = ("waiting_for", "next_attempt_at")


async def is_settled() -> bool:
    return not await Unsettled.exists()


async def attempt(delivery: Delivery, outcome: Any) -> None:
    """An attempt whose worker announced nothing."""
    await rows("UPDATE delivery SET due_at = now()")
    (row,) = await deliveries.claim([delivery.id], LEASE)
    await deliveries.record([result_of(row, SENT, outcome, 0.0)])


async def test_a_change_that_nobody_announced_is_told_and_settled(domain: Domain, admin: Actor) -> None:
    await untold_delivery(domain, admin)
    await check_now()

    await settling.settle(domain.hub.live, 10)

    assert await statuses(domain, admin) == ["pending"]
    assert await Unsettled.all().count() == 0


async def test_a_whole_life_that_nobody_announced_is_told_in_order(domain: Domain, admin: Actor) -> None:
    delivery = await untold_delivery(domain, admin)
    await attempt(delivery, Failed(AttemptOutcome.INTERRUPTED, "This one does not count.", TOOK))
    await attempt(delivery, ILL)
    await rows("UPDATE delivery SET due_at = now() + interval '1 hour'")
    assert await deliveries.claim([delivery.id], LEASE) == []
    await attempt(delivery, WELL)
    await check_now()

    await settling.settle(domain.hub.live, 10)
    await check_now()
    await settling.settle(domain.hub.live, 10)

    told = await entries(domain, admin)
    assert [entry.data["status"] for entry in told] == [
        "pending", "delivering", "retrying", "delivering", "retrying", "delivering", "succeeded"
    ]  # fmt: skip
    assert [entry.data["attempt"] and entry.data["attempt"]["number"] for entry in told] == [
        None, None, 1, None, 2, None, 3
    ]  # fmt: skip
    assert [entry.data["delivery"]["attempt_count"] for entry in told] == [0, 0, 0, 0, 1, 1, 2]


async def test_what_was_announced_in_time_is_not_told_again(domain: Domain, admin: Actor) -> None:
    await listen(domain, admin)
    event = await happen(domain, admin)
    delivery = await Delivery.get(event_id=event.id)
    (row,) = await deliveries.claim([delivery.id], LEASE)
    changes = deliveries.ended(await deliveries.record([result_of(row, SENT, WELL, 0.0)]))
    domain.outlet.announce([*deliveries.begun([row]), *changes])
    await domain.outlet.flush()
    await until(is_settled)

    await rows("INSERT INTO unsettled (delivery_id, from_change) SELECT id, 1 FROM delivery")
    await check_now()
    await settling.settle(domain.hub.live, 10)

    assert await statuses(domain, admin) == ["pending", "delivering", "succeeded"]


async def test_an_end_that_the_readers_of_a_new_stream_find_in_the_database_is_not_told_to_them(
    domain: Domain, admin: Actor
) -> None:
    delivery = await untold_delivery(domain, admin)
    await attempt(delivery, WELL)
    await domain.redis.flushall()
    await domain.hub.live.open(admin.workspace.id)
    await check_now()

    await settling.settle(domain.hub.live, 10)

    assert await statuses(domain, admin) == []
    assert await is_settled()


async def test_an_attempt_that_ends_well_as_the_loop_looks_is_not_told_as_a_failed_one(
    domain: Domain, admin: Actor
) -> None:
    delivery = await untold_delivery(domain, admin)
    (claimed,) = await deliveries.claim([delivery.id], LEASE)
    await check_now()
    may_settle = asyncio.Event()

    async def settle() -> None:
        await may_settle.wait()
        await settling.settle(domain.hub.live, 10)

    # Created before the transaction, the task is outside of it: it reads the old state, and waits for the attempts.
    settling_meanwhile = asyncio.create_task(settle())
    async with in_transaction():
        await rows("LOCK TABLE attempt")
        await deliveries.record([result_of(claimed, SENT, WELL, 0.0)])
        may_settle.set()
        await until(somebody_waits_for_attempts)
    await settling_meanwhile
    assert await statuses(domain, admin) == ["pending", "delivering"]

    await check_now()
    await settling.settle(domain.hub.live, 10)
    assert await statuses(domain, admin) == ["pending", "delivering", "succeeded"]


async def somebody_waits_for_attempts() -> bool:
    return bool(await rows("SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'attempt'::regclass"))


async def test_an_attempt_under_way_is_told_and_looked_at_again_when_its_lease_has_run_out(
    domain: Domain, admin: Actor
) -> None:
    delivery = await untold_delivery(domain, admin)
    await deliveries.claim([delivery.id], LEASE)
    await check_now()

    await settling.settle(domain.hub.live, 10)
    assert await statuses(domain, admin) == ["pending", "delivering"]
    watched = await Unsettled.get()
    await delivery.refresh_from_db()
    assert (watched.check_at, watched.from_change) == (delivery.leased_until, 3)
    await settling.settle(domain.hub.live, 10)
    await lease_ran_out(delivery)
    await deliveries.Watch().interrupt_expired(10)
    await settling.settle(domain.hub.live, 10)

    assert await statuses(domain, admin) == ["pending", "delivering", "retrying"]
    assert (await entries(domain, admin))[-1].data["attempt"]["outcome"] == "interrupted"
    assert await Unsettled.all().count() == 0


async def test_an_attempt_whose_worker_died_is_told_to_be_due_at_once(domain: Domain, admin: Actor) -> None:
    delivery = await untold_delivery(domain, admin)
    put_off = Failed(AttemptOutcome.HTTP_ERROR, "503", TOOK, Answer(503, (), "", False), retry_after=timedelta(hours=1))
    await attempt(delivery, put_off)
    await rows("UPDATE delivery SET due_at = now()")
    await deliveries.claim([delivery.id], LEASE)
    await lease_ran_out(delivery)
    # In one transaction, in which now() stands still.
    async with in_transaction():
        await rows("UPDATE delivery SET claimed_at = now() - interval '1.0004 seconds'")
        await deliveries.Watch().interrupt_expired(10)
    await check_now()
    await settling.settle(domain.hub.live, 10)

    told = (await entries(domain, admin))[-1].data
    assert told["attempt"]["outcome"] == "interrupted"
    assert told["delivery"]["waiting_for"] == "queued"


async def test_a_cancelled_delivery_is_told_last(domain: Domain, admin: Actor) -> None:
    delivery = await untold_delivery(domain, admin)
    await attempt(delivery, ILL)
    async with domain.unit(admin) as unit:
        await webhooks.delete(unit, delivery.webhook_id)
    await domain.outlet.flush()
    await check_now()

    await settling.settle(domain.hub.live, 10)

    assert await statuses(domain, admin) == ["pending", "delivering", "retrying", "cancelled"]


async def test_what_the_loop_cancels_of_a_delivery_at_rest_is_told_at_its_next_look(
    domain: Domain, admin: Actor
) -> None:
    delivery = await untold_delivery(domain, admin)
    await check_now()
    await settling.settle(domain.hub.live, 10)
    assert await is_settled()
    await rows("UPDATE webhook SET deleted_at = now()")

    await deliveries.cancel_left([delivery.webhook_id])
    await settling.settle(domain.hub.live, 10)

    assert await statuses(domain, admin) == ["pending", "cancelled"]


async def test_what_is_being_claimed_as_it_is_settled_stays_under_watch(domain: Domain, admin: Actor) -> None:
    delivery = await untold_delivery(domain, admin)
    await check_now()
    may_settle, settled = asyncio.Event(), asyncio.Event()

    async def settle() -> None:
        await may_settle.wait()
        await settling.settle(domain.hub.live, 10)
        settled.set()

    # Created before the transaction, the task is outside of it.
    settling_meanwhile = asyncio.create_task(settle())
    async with in_transaction():
        await deliveries.claim([delivery.id], LEASE)
        may_settle.set()
        async with asyncio.timeout(60):
            await settled.wait()
    await settling_meanwhile

    await lease_ran_out(delivery)
    assert await deliveries.Watch().interrupt_expired(10) == 1, "or nobody would know when its worker dies"


async def test_what_is_told_late_is_what_would_have_been_told_in_time(domain: Domain, admin: Actor) -> None:
    await listen(domain, admin)
    event = await happen(domain, admin)
    delivery = await Delivery.get(event_id=event.id)
    for outcome in (ILL, WELL):
        await rows("UPDATE delivery SET due_at = now()")
        (row,) = await deliveries.claim([delivery.id], LEASE)
        changes = deliveries.ended(await deliveries.record([result_of(row, SENT, outcome, 0.0)]))
        domain.outlet.announce([*deliveries.begun([row]), *changes])
    await domain.outlet.flush()
    await until(is_settled)
    in_time = await entries(domain, admin)

    await domain.redis.flushall()
    await begin_long_ago(domain, admin)
    await rows("INSERT INTO unsettled (delivery_id, from_change) VALUES ($1, 1)", delivery.id)
    await check_now()
    await settling.settle(domain.hub.live, 10)

    assert [stripped(entry) for entry in await entries(domain, admin)] == [stripped(entry) for entry in in_time]
    assert len(in_time) == 5


def stripped(entry: Entry) -> dict[str, Any]:
    """A change without what the database does not keep: its exact time, and what it then waited for until when."""
    delivery = {name: value for name, value in entry.data["delivery"].items() if name not in WAITING}
    return {**entry.data, "delivery": delivery, "occurred_at": None}


async def test_a_post_s_changes_that_nobody_announced_are_told_in_order_and_once(domain: Domain, admin: Actor) -> None:
    await untold_post(domain, admin)
    # In one transaction, in which now() stands still.
    async with in_transaction():
        await rows("UPDATE post_change SET occurred_at = now() - interval '0.9 seconds'")
        assert await settling.settle_posts(domain.hub.live, 10) == 0, "whoever committed may be about to tell"

    await rows("UPDATE post_change SET occurred_at = occurred_at - interval '2 seconds'")
    await settling.settle_posts(domain.hub.live, 10)
    await settling.settle_posts(domain.hub.live, 10)

    assert await posts_told(domain, admin) == [("post", "draft"), ("post", "publishing")]
    assert await PostChange.all().count() == 0


async def test_of_large_posts_fewer_are_told_in_one_go(
    domain: Domain, admin: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settling, "MOST_BYTES", 1)
    await untold_post(domain, admin)
    await rows("UPDATE post_change SET occurred_at = occurred_at - interval '2 seconds'")

    assert [await settling.settle_posts(domain.hub.live, 10) for _ in range(3)] == [1, 1, 0]

    assert await posts_told(domain, admin) == [("post", "draft"), ("post", "publishing")]


async def test_a_post_s_next_change_waits_until_the_ones_before_it_are_told(domain: Domain, admin: Actor) -> None:
    post = await untold_post(domain, admin)
    async with domain.unit(admin) as unit:
        await announce(unit, await Post.get(id=post.id), await entries_of(post))
    await domain.outlet.flush()
    assert await posts_told(domain, admin) == []

    await rows("UPDATE post_change SET occurred_at = occurred_at - interval '2 seconds'")
    await settling.settle_posts(domain.hub.live, 10)

    assert [status for _, status in await posts_told(domain, admin)] == ["draft", "publishing", "publishing"]
