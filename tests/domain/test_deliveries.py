"""The states of a delivery: claimed once, recorded under a fence."""

from datetime import timedelta

import pytest
from tortoise.transactions import in_transaction

from domain import deliveries, webhooks
from domain.database import now, rows
from domain.deliveries import Room
from domain.live import Order
from domain.outcome import Answer, Failed
from domain.tables import Attempt, Delivery, Unsettled
from domain.unit import Actor, Domain
from domain.vocabulary import AttemptOutcome, DeliveryStatus, EventType
from tests.domain.at_once import beside
from tests.domain.attempting import ILL, LEASE, TOOK, WELL, claim, lease_ran_out, now_due, owe, record
from tests.domain.doing import happen, listen, multiply
from tests.domain.explaining import rows_read

# The first of the schedule, without jitter.
FIRST_WAIT = timedelta(seconds=5)
MANY = 500


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


async def test_a_claim_by_room_takes_what_is_due_longest_and_no_more_than_there_is_room_for(
    domain: Domain, admin: Actor
) -> None:
    webhook = await listen(domain, admin)
    for _ in range(3):
        await happen(domain, admin)
    await rows("UPDATE delivery SET due_at = now() - id * interval '1 second'")
    newest_first = [delivery.id for delivery in await Delivery.all().order_by("-id")]

    for room, expected in ((2, newest_first[:2]), (2, newest_first[2:]), (2, [])):
        claimed = await deliveries.claim_for([Room(webhook.id, room)], LEASE)
        assert sorted(row["id"] for row in claimed) == sorted(expected)


async def test_a_test_takes_a_place_like_any_other(domain: Domain, admin: Actor) -> None:
    webhook = await listen(domain, admin)
    await happen(domain, admin)
    async with domain.unit(admin) as unit:
        await webhooks.test(unit, webhook.id, EventType.POST_CREATED)

    assert len(await deliveries.claim_for([Room(webhook.id, 1)], LEASE)) == 1


async def test_workers_that_claim_at_once_do_not_wait_for_each_other(domain: Domain, admin: Actor) -> None:
    webhook = await listen(domain, admin)
    for _ in range(2):
        await happen(domain, admin)
    async with in_transaction():
        first = await deliveries.claim_for([Room(webhook.id, 1)], LEASE)
        second = await beside(deliveries.claim_for([Room(webhook.id, 1)], LEASE))
        assert second.done()

    claimed = [row["id"] for row in (*first, *await second)]
    assert claimed == [delivery.id for delivery in await Delivery.all().order_by("id")]


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

    before = await now()

    (change,) = await record(row, ILL)

    await delivery.refresh_from_db()
    assert delivery.status is DeliveryStatus.RETRYING
    assert before + FIRST_WAIT <= delivery.due_at <= await now() + FIRST_WAIT
    assert change.data["delivery"]["waiting_for"] == "backoff"
    assert change.data["delivery"]["next_attempt_at"] == delivery.due_at


async def test_what_the_receiver_asked_for_is_waited_and_said(domain: Domain, admin: Actor) -> None:
    delivery = await owe(domain, admin)
    (row,) = await claim(delivery)
    hour = timedelta(hours=1)
    busy = Failed(AttemptOutcome.HTTP_ERROR, "Busy.", TOOK, Answer(429, (), "", False), retry_after=hour)
    before = await now()

    (change,) = await record(row, busy)

    await delivery.refresh_from_db()
    assert before + hour <= delivery.due_at <= await now() + hour
    assert change.data["delivery"]["waiting_for"] == "retry_after"


async def test_a_claim_tells_whether_all_that_came_before_it_has_been_told(domain: Domain, admin: Actor) -> None:
    delivery = await owe(domain, admin)
    (untold,) = await claim(delivery)
    await record(untold, ILL)
    await Unsettled.all().delete()
    await now_due(delivery)
    (told,) = await claim(delivery)

    assert [change.order for change in deliveries.begun([untold, told])] == [Order.NEXT, Order.CLEAR]
    assert (await Unsettled.get()).from_change == told["change"], "the loop tells nothing twice"


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
    await deliveries.Watch().interrupt_expired(10)
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


@pytest.mark.unused_database
@pytest.mark.parametrize("statement", [deliveries._CLAIM_THESE, deliveries._CLAIM_FOR], ids=["these", "for webhooks"])
async def test_a_claim_whose_plan_was_made_while_the_tables_were_empty_reads_no_event_but_its_own(
    domain: Domain, admin: Actor, statement: str
) -> None:
    wanted = ([1], [MANY], [False]) if statement == deliveries._CLAIM_FOR else ([*range(1, MANY + 1)],)

    async with rows_read("event") as count:
        # The tables are empty, as after retention has removed everything.
        await rows("ANALYZE delivery, unsettled, event, webhook")
        # After five executions PostgreSQL keeps the plan, until it notices the new rows by itself.
        for _ in range(10):
            await rows(statement, LEASE, *wanted)
        await owe(domain, admin)
        await multiply(MANY - 1)
        await rows(
            """INSERT INTO event (workspace_id, uuid, type, occurred_at, document)
            SELECT workspace_id, gen_random_uuid(), type, occurred_at, document FROM event, generate_series(2, $1)""",
            MANY,
        )
        await rows("UPDATE delivery SET event_id = id")
        claimed = await rows(statement, LEASE, *wanted)

    assert len(claimed) == MANY
    assert count.rows < 20 * MANY
