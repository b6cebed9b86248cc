"""Settling: what a dying process left untold is told within seconds, in order, once."""

import asyncio
from typing import Any

from tortoise.transactions import in_transaction

from domain import deliveries, settling
from domain.database import rows
from domain.live import Entry
from domain.tables import Delivery, Unsettled
from domain.unit import Actor, Domain
from domain.verdicts import result_of
from tests.domain.doing import happen, listen
from tests.domain.test_deliveries import ILL, LEASE, SENT, WELL, lease_ran_out


async def check_now() -> None:
    await rows("UPDATE unsettled SET check_at = now()")


async def entries(domain: Domain, actor: Actor) -> list[Entry]:
    live = domain.hub.live
    last = await live.open(actor.workspace.id)
    return [entry async for page in live.history(actor.workspace.id, "0", last) for entry in page]


async def statuses(domain: Domain, actor: Actor) -> list[str]:
    return [entry.data["status"] for entry in await entries(domain, actor)]


async def untold_delivery(domain: Domain, actor: Actor) -> Delivery:
    """A delivery whose API process died between its commit and its announcement."""
    await domain.hub.live.open(actor.workspace.id)
    webhook = await listen(domain, actor)
    await rows(
        """WITH e AS (INSERT INTO event (workspace_id, type, document) VALUES ($1, 'post.created', '{}') RETURNING id),
        d AS (INSERT INTO delivery (workspace_id, event_id, webhook_id, event_type, max_attempts)
            SELECT $1, id, $2, 'post.created', 10 FROM e RETURNING id)
        INSERT INTO unsettled (delivery_id, from_change) SELECT id, 1 FROM d""",
        actor.workspace.id, webhook.id,
    )  # fmt: skip
    return await Delivery.get()


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
    await attempt(delivery, ILL)
    assert await deliveries.claim([delivery.id], LEASE) == []
    await attempt(delivery, WELL)
    await check_now()

    await settling.settle(domain.hub.live, 10)
    await check_now()
    await settling.settle(domain.hub.live, 10)

    told = await entries(domain, admin)
    assert [entry.data["status"] for entry in told] == [
        "pending", "delivering", "retrying", "delivering", "succeeded"
    ]  # fmt: skip
    assert [entry.data["attempt"] and entry.data["attempt"]["number"] for entry in told] == [None, None, 1, None, 2]
    assert [entry.data["delivery"]["attempt_count"] for entry in told] == [0, 0, 1, 1, 2]


async def test_what_was_announced_in_time_is_not_told_again(domain: Domain, admin: Actor) -> None:
    await listen(domain, admin)
    event = await happen(domain, admin)
    delivery = await Delivery.get(event_id=event.id)
    (row,) = await deliveries.claim([delivery.id], LEASE)
    changes = await deliveries.record([result_of(row, SENT, WELL, 0.0)])
    domain.outlet.announce([*deliveries.begun([row]), *changes])
    await domain.outlet.flush()

    await rows("INSERT INTO unsettled (delivery_id, from_change) SELECT id, 1 FROM delivery ON CONFLICT DO NOTHING")
    await check_now()
    await settling.settle(domain.hub.live, 10)

    assert await statuses(domain, admin) == ["pending", "delivering", "succeeded"]


async def test_an_attempt_under_way_is_told_and_looked_at_again_when_its_lease_has_run_out(
    domain: Domain, admin: Actor
) -> None:
    delivery = await untold_delivery(domain, admin)
    await deliveries.claim([delivery.id], LEASE)
    await check_now()

    await settling.settle(domain.hub.live, 10)
    assert await statuses(domain, admin) == ["pending", "delivering"]
    await settling.settle(domain.hub.live, 10)
    await lease_ran_out(delivery)
    await deliveries.interrupt_expired(10)
    await settling.settle(domain.hub.live, 10)

    assert await statuses(domain, admin) == ["pending", "delivering", "retrying"]
    assert (await entries(domain, admin))[-1].data["attempt"]["outcome"] == "interrupted"
    assert await Unsettled.all().count() == 0


async def test_a_cancelled_delivery_is_told_last(domain: Domain, admin: Actor) -> None:
    delivery = await untold_delivery(domain, admin)
    await attempt(delivery, ILL)
    async with domain.unit(admin) as unit:
        await deliveries.cancel_all_of(unit, delivery.webhook_id)
    await domain.outlet.flush()
    await check_now()

    await settling.settle(domain.hub.live, 10)

    assert await statuses(domain, admin) == ["pending", "delivering", "retrying", "cancelled"]


async def test_what_is_being_claimed_as_it_is_settled_stays_under_watch(domain: Domain, admin: Actor) -> None:
    delivery = await untold_delivery(domain, admin)
    await check_now()
    may_settle, settled = asyncio.Event(), asyncio.Event()

    async def settle() -> None:
        await may_settle.wait()
        await settling.settle(domain.hub.live, 10)
        settled.set()

    # A task of before the transaction is outside of it.
    settling_meanwhile = asyncio.create_task(settle())
    async with in_transaction():
        await deliveries.claim([delivery.id], LEASE)
        may_settle.set()
        async with asyncio.timeout(5):
            await settled.wait()
    await settling_meanwhile

    await lease_ran_out(delivery)
    assert await deliveries.interrupt_expired(10) == 1, "or nobody would know when its worker dies"
