"""The states of a delivery: claimed once, recorded under a fence, ended by people, rescued from the dead."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain import deliveries, dispatch, webhooks, workspaces
from domain.database import rows
from domain.deliveries import Room
from domain.errors import FaultCode, Refused
from domain.live import Change
from domain.outcome import Answer, Delivered, Failed, Outcome
from domain.request import OutgoingRequest
from domain.tables import Attempt, AuditEvent, Delivery, Unsettled, Webhook
from domain.unit import Actor, Domain
from domain.verdicts import MOST_INTERRUPTIONS, result_of
from domain.vocabulary import AttemptOutcome, DeliveryStatus, HttpMethod, Role
from tests.domain.doing import faults_of, happen, listen
from tests.domain.explaining import rows_read

LEASE = timedelta(seconds=30)
TOOK = timedelta(milliseconds=12)
SENT = OutgoingRequest("https://example.com/in", HttpMethod.POST, (("X-Hookline-Attempt", "1"),), b"{}")
WELL = Delivered(Answer(200, (), "ok", False), TOOK)
ILL = Failed(AttemptOutcome.HTTP_ERROR, "The receiver answered 500.", TOOK, Answer(500, (), "no", False))


@pytest.fixture
async def stranger(domain: Domain) -> Actor:
    """Someone who may do everything, in another workspace."""
    return Actor(await workspaces.create("Other"), None, Role.ADMIN)


async def owe(domain: Domain, admin: Actor, **webhook: Any) -> Delivery:
    """A delivery that is due now."""
    await listen(domain, admin, **webhook)
    event = await happen(domain, admin)
    return await Delivery.get(event_id=event.id)


async def claim(*wanted: Delivery) -> list[Any]:
    return list(await deliveries.claim([delivery.id for delivery in wanted], LEASE))


async def record(row: Any, outcome: Outcome) -> list[Change]:
    return deliveries.ended(await deliveries.record([result_of(row, SENT, outcome, 0.0)]))


async def now_due(delivery: Delivery) -> None:
    await rows("UPDATE delivery SET due_at = now() WHERE id = $1", delivery.id)


async def lease_ran_out(delivery: Delivery) -> None:
    await rows("UPDATE delivery SET leased_until = now() - interval '1 second' WHERE id = $1", delivery.id)
    await rows("UPDATE unsettled SET check_at = now() WHERE delivery_id = $1", delivery.id)


async def test_an_event_makes_one_delivery_for_each_active_webhook_that_listens(domain: Domain, admin: Actor) -> None:
    listening = await listen(domain, admin)
    await listen(domain, admin, active=False)

    await happen(domain, admin)

    assert [d.webhook_id for d in await Delivery.all()] == [listening.id]
    assert await Unsettled.all().count() == 1


async def test_a_claim_takes_what_is_due_with_all_that_the_attempt_needs(domain: Domain, admin: Actor) -> None:
    delivery = await owe(domain, admin, secret="s3cret")

    (row,) = await claim(delivery)

    assert (row["attempt_number"], row["status"], row["document"]) == (
        1, DeliveryStatus.DELIVERING, '{"event":"account.deleted","data":{"uuid":"x"}}'
    )  # fmt: skip
    assert row["callback_url"] == "https://example.com/in"
    assert row["sealed_secret"]


async def test_the_same_claim_twice_takes_nothing_the_second_time(domain: Domain, admin: Actor) -> None:
    delivery = await owe(domain, admin)

    assert len(await claim(delivery)) == 1
    assert await claim(delivery) == []


async def test_what_is_not_due_yet_is_not_claimed(domain: Domain, admin: Actor) -> None:
    delivery = await owe(domain, admin)
    await rows("UPDATE delivery SET due_at = now() + interval '1 minute'")

    assert await claim(delivery) == []
    assert await deliveries.claim_for([Room(delivery.webhook_id, 10)], LEASE) == []


@pytest.mark.parametrize(
    "column", ["active = false", "deleted_at = now()", "circuit_open_until = now() + interval '1 min'"]
)
async def test_what_may_not_be_sent_now_is_not_claimed(domain: Domain, admin: Actor, column: str) -> None:
    delivery = await owe(domain, admin)
    await rows("UPDATE webhook SET " + column)

    assert await claim(delivery) == []
    assert await deliveries.claim_for([Room(delivery.webhook_id, 10)], LEASE) == []


async def test_a_test_delivery_goes_to_an_inactive_webhook(domain: Domain, admin: Actor) -> None:
    webhook = await listen(domain, admin, active=False)
    async with domain.unit(admin) as unit:
        delivery = await webhooks.test(unit, webhook.id, (await happen(domain, admin)).type)

    assert len(await claim(delivery)) == 1


async def test_a_claim_by_room_takes_no_more_than_there_is_room_for(domain: Domain, admin: Actor) -> None:
    webhook = await listen(domain, admin)
    for _ in range(3):
        await happen(domain, admin)

    claimed = await deliveries.claim_for([Room(webhook.id, 2)], LEASE)

    assert [row["id"] for row in claimed] == [d.id for d in await Delivery.all().order_by("id").limit(2)]


async def test_a_success_ends_the_delivery_and_stands_in_the_log(domain: Domain, admin: Actor) -> None:
    delivery = await owe(domain, admin)
    (row,) = await claim(delivery)

    (change,) = await record(row, WELL)

    await delivery.refresh_from_db()
    attempt = await Attempt.get()
    assert (delivery.status, delivery.attempt_count) == (DeliveryStatus.SUCCEEDED, 1)
    assert delivery.finished_at
    assert delivery.leased_until is None
    assert (attempt.number, attempt.outcome, attempt.response_status, attempt.duration_ms) == (
        1, AttemptOutcome.SUCCEEDED, 200, 12
    )  # fmt: skip
    assert change.data["attempt"]["outcome"] is AttemptOutcome.SUCCEEDED
    assert change.number == delivery.change == 3


async def test_a_failure_waits_for_its_next_attempt(domain: Domain, admin: Actor) -> None:
    delivery = await owe(domain, admin)
    (row,) = await claim(delivery)

    (change,) = await record(row, ILL)

    await delivery.refresh_from_db()
    assert delivery.status is DeliveryStatus.RETRYING
    wait = delivery.due_at - datetime.now(UTC)
    assert timedelta(seconds=3) < wait <= timedelta(seconds=5)
    assert change.data["delivery"]["waiting_for"] == "backoff"
    assert change.data["delivery"]["next_attempt_at"] == delivery.due_at


async def test_what_the_receiver_asked_for_is_waited_and_said(domain: Domain, admin: Actor) -> None:
    delivery = await owe(domain, admin)
    (row,) = await claim(delivery)
    hour = timedelta(hours=1)
    busy = Failed(AttemptOutcome.HTTP_ERROR, "Busy.", TOOK, Answer(429, (), "", False), retry_after=hour)

    (change,) = await record(row, busy)

    await delivery.refresh_from_db()
    assert hour - timedelta(seconds=5) < delivery.due_at - datetime.now(UTC) <= hour
    assert change.data["delivery"]["waiting_for"] == "retry_after"


async def test_the_last_attempt_that_fails_ends_the_delivery(domain: Domain, admin: Actor) -> None:
    delivery = await owe(domain, admin, max_attempts=2)
    for _ in range(2):
        await now_due(delivery)
        (row,) = await claim(delivery)
        await record(row, ILL)

    await delivery.refresh_from_db()
    assert (delivery.status, delivery.attempt_count) == (DeliveryStatus.FAILED, 2)
    assert await claim(delivery) == []


async def test_a_worker_that_lost_its_lease_cannot_overwrite_the_result_of_its_successor(
    domain: Domain, admin: Actor
) -> None:
    delivery = await owe(domain, admin)
    (stale,) = await claim(delivery)
    await lease_ran_out(delivery)
    await deliveries.interrupt_expired(10)
    (fresh,) = await claim(delivery)

    assert await record(stale, ILL) == []
    assert len(await record(fresh, WELL)) == 1

    await delivery.refresh_from_db()
    assert delivery.status is DeliveryStatus.SUCCEEDED
    assert [a.outcome for a in await Attempt.all().order_by("number")] == [
        AttemptOutcome.INTERRUPTED, AttemptOutcome.SUCCEEDED
    ]  # fmt: skip


async def test_a_result_is_recorded_once(domain: Domain, admin: Actor) -> None:
    delivery = await owe(domain, admin)
    (row,) = await claim(delivery)

    assert len(await record(row, WELL)) == 1
    assert await record(row, WELL) == []
    assert await Attempt.all().count() == 1


async def test_a_death_of_long_ago_can_be_logged_too(domain: Domain, admin: Actor) -> None:
    delivery = await owe(domain, admin)
    await claim(delivery)
    await lease_ran_out(delivery)
    # Its duration in milliseconds is more than an integer holds.
    await Delivery.filter(id=delivery.id).update(claimed_at=datetime.now(UTC) - timedelta(days=60))

    assert await deliveries.interrupt_expired(10) == 1


async def test_a_death_is_logged_and_costs_no_attempt(domain: Domain, admin: Actor) -> None:
    delivery = await owe(domain, admin, max_attempts=1)
    await claim(delivery)
    await lease_ran_out(delivery)

    assert await deliveries.interrupt_expired(10) == 1

    await delivery.refresh_from_db()
    assert (delivery.status, delivery.attempt_count) == (DeliveryStatus.RETRYING, 0)
    assert (await Attempt.get()).outcome is AttemptOutcome.INTERRUPTED
    (row,) = await claim(delivery)
    assert row["attempt_number"] == 2


async def test_an_attempt_that_this_machine_had_no_means_for_costs_none(domain: Domain, admin: Actor) -> None:
    delivery = await owe(domain, admin, max_attempts=1)
    (row,) = await claim(delivery)

    await record(row, Failed(AttemptOutcome.INTERRUPTED, "No sockets were left.", TOOK))

    await delivery.refresh_from_db()
    assert (delivery.status, delivery.attempt_count, delivery.interrupted_count) == (DeliveryStatus.RETRYING, 0, 1)
    assert (await Webhook.get()).failing_since is None


async def test_a_payload_that_kills_its_workers_ends(domain: Domain, admin: Actor) -> None:
    delivery = await owe(domain, admin)
    for _ in range(MOST_INTERRUPTIONS):
        assert len(await claim(delivery)) == 1
        await lease_ran_out(delivery)
        await deliveries.interrupt_expired(10)

    await delivery.refresh_from_db()
    assert (delivery.status, delivery.attempt_count) == (DeliveryStatus.FAILED, 0)
    assert await claim(delivery) == []


async def test_a_lease_that_lasts_is_left_alone(domain: Domain, admin: Actor) -> None:
    delivery = await owe(domain, admin)
    await claim(delivery)
    await rows("UPDATE unsettled SET check_at = now()")

    assert await deliveries.interrupt_expired(10) == 0


async def test_a_waiting_delivery_can_be_cancelled_and_is_never_sent(domain: Domain, admin: Actor) -> None:
    delivery = await owe(domain, admin)

    async with domain.unit(admin) as unit:
        cancelled = await deliveries.cancel(unit, delivery.id)

    assert cancelled.status is DeliveryStatus.CANCELLED
    assert cancelled.finished_at
    assert await claim(delivery) == []
    assert await AuditEvent.filter(action="delivery.cancel").count() == 1


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


async def test_a_finished_delivery_is_sent_again_as_a_new_one_of_the_same_event(domain: Domain, admin: Actor) -> None:
    delivery = await owe(domain, admin)
    (row,) = await claim(delivery)
    await record(row, WELL)

    async with domain.unit(admin) as unit:
        again = await dispatch.retry(unit, delivery.id)

    assert (again.retry_of_id, again.event_id, again.status) == (
        delivery.id, delivery.event_id, DeliveryStatus.PENDING
    )  # fmt: skip
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
        await deliveries.interrupt_expired(10)
    else:
        await record(row, ILL)

    await delivery.refresh_from_db()
    assert delivery.status is DeliveryStatus.CANCELLED


async def test_another_workspaces_delivery_does_not_exist(domain: Domain, admin: Actor, stranger: Actor) -> None:
    delivery = await owe(domain, admin)

    for verb in (deliveries.cancel, dispatch.retry):
        with pytest.raises(Refused) as refused:
            async with domain.unit(stranger) as unit:
                await verb(unit, delivery.id)
        assert faults_of(refused) == {("id", FaultCode.NOT_FOUND)}


@pytest.mark.unused_database
async def test_looking_for_the_dead_does_not_read_what_has_finished(domain: Domain, admin: Actor) -> None:
    delivery = await owe(domain, admin)
    (row,) = await claim(delivery)
    await record(row, WELL)
    await rows(
        """INSERT INTO delivery (workspace_id, event_id, webhook_id, event_type, max_attempts, status, finished_at)
        SELECT workspace_id, event_id, webhook_id, event_type, 10, 'succeeded', now()
        FROM delivery, generate_series(1, 3000)"""
    )
    # As after an hour without Redis: much is unsettled, and next to nothing is DELIVERING.
    await rows("INSERT INTO unsettled (delivery_id, from_change, check_at) SELECT -id, 1, now() FROM delivery")
    for table in ("delivery", "unsettled"):
        await rows("ANALYZE " + table)

    async with rows_read("delivery") as count:
        assert await deliveries.interrupt_expired(10) == 0

    assert count.rows < 100
