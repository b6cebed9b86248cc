"""Deliveries that people end or send again: cancelled, retried, left behind by a deleted webhook."""

from collections.abc import Awaitable, Callable

import pytest
from tortoise.transactions import in_transaction

from domain import deliveries, dispatch, owed, settling, webhooks, workspaces
from domain.database import rows
from domain.errors import FaultCode, Refused
from domain.tables import AuditEvent, Delivery, Webhook
from domain.unit import Actor, Domain, Unit
from domain.vocabulary import DeliveryStatus, Role
from tests.domain.at_once import beside
from tests.domain.attempting import ILL, WELL, claim, lease_ran_out, owe, record
from tests.domain.doing import faults_of
from tests.domain.untold import check_now, statuses, untold_delivery


@pytest.fixture
async def stranger(domain: Domain) -> Actor:
    """An admin of another workspace."""
    return Actor(await workspaces.create("Other"), None, Role.ADMIN)


async def test_a_waiting_delivery_can_be_cancelled_and_is_never_sent(domain: Domain, admin: Actor) -> None:
    delivery = await owe(domain, admin)

    async with domain.unit(admin) as unit:
        cancelled = await deliveries.cancel(unit, delivery.id)

    assert cancelled.status is DeliveryStatus.CANCELLED
    assert cancelled.finished_at
    assert await claim(delivery) == []
    assert await AuditEvent.filter(action="delivery.cancel").count() == 1


@pytest.mark.parametrize("by_deleting_its_webhook", [False, True])
async def test_a_delivery_that_waited_for_long_is_told_to_be_cancelled_at_once(
    domain: Domain, admin: Actor, by_deleting_its_webhook: bool
) -> None:
    delivery = await owe(domain, admin)
    await told_long_ago(domain, delivery)

    async with domain.unit(admin) as unit:
        if by_deleting_its_webhook:
            await webhooks.delete(unit, delivery.webhook_id)
        else:
            await deliveries.cancel(unit, delivery.id)
    await domain.outlet.flush()

    assert await statuses(domain, admin) == ["pending", "cancelled"]


async def test_a_delivery_of_which_something_is_untold_is_not_told_to_be_cancelled_before_that(
    domain: Domain, admin: Actor
) -> None:
    delivery = await untold_delivery(domain, admin)

    async with domain.unit(admin) as unit:
        await deliveries.cancel(unit, delivery.id)
    await domain.outlet.flush()
    assert await statuses(domain, admin) == []

    await check_now()
    await settling.settle(domain.hub.live, 10)
    assert await statuses(domain, admin) == ["pending", "cancelled"]


async def told_long_ago(domain: Domain, delivery: Delivery) -> None:
    """As after ten minutes: the stream no longer remembers the delivery's last change."""
    await domain.outlet.flush()
    await check_now()
    await settling.settle(domain.hub.live, 10)
    await domain.redis.delete(f"hookline:seen:{delivery.uuid}")


async def test_what_is_under_way_or_finished_cannot_be_cancelled(domain: Domain, admin: Actor) -> None:
    delivery = await owe(domain, admin)
    (row,) = await claim(delivery)
    for finish in (False, True):
        if finish:
            await record(row, WELL)
        with pytest.raises(Refused) as refused:
            async with domain.unit(admin) as unit:
                await deliveries.cancel(unit, delivery.id)
        assert faults_of(refused) == {("id", FaultCode.WRONG_STATE)}


async def test_who_cancels_what_a_worker_is_just_claiming_is_told_that_it_is_under_way(
    domain: Domain, admin: Actor
) -> None:
    delivery = await owe(domain, admin)
    async with in_transaction():
        await claim(delivery)
        cancelling = await beside(in_a_unit(domain, admin, deliveries.cancel, delivery.id))

    with pytest.raises(Refused) as refused:
        await cancelling
    assert faults_of(refused) == {("id", FaultCode.WRONG_STATE)}


async def test_deleting_a_webhook_does_not_cancel_what_a_worker_is_just_claiming(domain: Domain, admin: Actor) -> None:
    delivery = await owe(domain, admin)
    async with in_transaction():
        await claim(delivery)
        deleting = await beside(in_a_unit(domain, admin, webhooks.delete, delivery.webhook_id))
    await deleting

    await delivery.refresh_from_db()
    assert (delivery.status, delivery.finished_at) == (DeliveryStatus.DELIVERING, None)


async def in_a_unit(domain: Domain, actor: Actor, verb: Callable[[Unit, int], Awaitable[object]], id_: int) -> None:
    async with domain.unit(actor) as unit:
        await verb(unit, id_)


async def test_a_finished_delivery_is_sent_again_as_a_new_one_of_the_same_event(domain: Domain, admin: Actor) -> None:
    delivery = await owe(domain, admin)
    (row,) = await claim(delivery)
    await record(row, WELL)
    await rows("UPDATE delivery SET is_test = true")
    await rows("UPDATE webhook SET max_attempts = 3")

    async with domain.unit(admin) as unit:
        again = await dispatch.retry(unit, delivery.id)

    assert (again.is_test, again.max_attempts) == (True, 3)
    assert (again.retry_of_id, again.event_id, again.status) == (
        delivery.id, delivery.event_id, DeliveryStatus.PENDING
    )  # fmt: skip
    noted = await AuditEvent.get(action="delivery.retry")
    assert (noted.subject_id, noted.detail) == (again.id, {"retry_of": str(delivery.uuid)})
    (second,) = await claim(again)
    assert second["document"] == row["document"]


async def test_an_unfinished_delivery_and_one_of_a_deleted_webhook_are_not_sent_again(
    domain: Domain, admin: Actor
) -> None:
    delivery = await owe(domain, admin)
    for deleted in (False, True):
        if deleted:
            async with domain.unit(admin) as unit:
                await webhooks.delete(unit, delivery.webhook_id)
        with pytest.raises(Refused) as refused:
            async with domain.unit(admin) as unit:
                await dispatch.retry(unit, delivery.id)
        assert faults_of(refused) == {("id", FaultCode.WRONG_STATE)}


async def test_deleting_a_webhook_cancels_what_waits_and_keeps_the_log(domain: Domain, admin: Actor) -> None:
    delivery = await owe(domain, admin)

    async with domain.unit(admin) as unit:
        await webhooks.delete(unit, delivery.webhook_id)

    await delivery.refresh_from_db()
    assert delivery.status is DeliveryStatus.CANCELLED
    assert (await Webhook.get()).sealed_secret is None


@pytest.mark.parametrize("dies", [True, False])
async def test_an_attempt_under_way_while_its_webhook_is_deleted_is_its_last(
    domain: Domain, admin: Actor, dies: bool
) -> None:
    delivery = await owe(domain, admin)
    (row,) = await claim(delivery)
    async with domain.unit(admin) as unit:
        await webhooks.delete(unit, delivery.webhook_id)

    if dies:
        await lease_ran_out(delivery)
        await deliveries.Watch().interrupt_expired(10)
    else:
        await record(row, ILL)
    (due,) = await owed.due_webhooks(10)
    assert due["deleted"]
    await deliveries.cancel_left([due["webhook_id"]])

    await delivery.refresh_from_db()
    assert delivery.status is DeliveryStatus.CANCELLED


async def test_another_workspaces_delivery_does_not_exist(domain: Domain, admin: Actor, stranger: Actor) -> None:
    delivery = await owe(domain, admin)

    for verb in (deliveries.cancel, dispatch.retry):
        with pytest.raises(Refused) as refused:
            async with domain.unit(stranger) as unit:
                await verb(unit, delivery.id)
        assert faults_of(refused) == {("id", FaultCode.NOT_FOUND)}
