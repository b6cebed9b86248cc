"""Attempts that nobody ended are found and logged, and use up no attempt; after several, the delivery is given up."""

from datetime import UTC, datetime, timedelta

import pytest

from domain import deliveries
from domain.database import rows
from domain.outcome import Failed
from domain.tables import Attempt, Delivery, Webhook
from domain.unit import Actor, Domain
from domain.verdicts import MOST_INTERRUPTIONS
from domain.vocabulary import AttemptOutcome, DeliveryStatus
from tests.domain.attempting import TOOK, WELL, claim, lease_ran_out, owe, record
from tests.domain.doing import happen, listen
from tests.domain.explaining import rows_read


# Sixty days are more milliseconds than an integer column holds.
@pytest.mark.parametrize(("ago", "logged"), [(timedelta(hours=1), 3_600_000), (timedelta(days=60), 2**31 - 1)])
async def test_a_death_of_long_ago_can_be_logged_too(domain: Domain, admin: Actor, ago: timedelta, logged: int) -> None:
    delivery = await owe(domain, admin)
    await claim(delivery)
    await lease_ran_out(delivery)
    await Delivery.filter(id=delivery.id).update(claimed_at=datetime.now(UTC) - ago)

    assert await deliveries.Watch().interrupt_expired(10) == 1

    assert (await Attempt.get()).duration_ms == pytest.approx(logged, rel=0.01)


async def test_a_death_is_logged_and_costs_no_attempt(domain: Domain, admin: Actor) -> None:
    delivery = await owe(domain, admin, max_attempts=1)
    await claim(delivery)
    await lease_ran_out(delivery)

    assert await deliveries.Watch().interrupt_expired(10) == 1

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
        await deliveries.Watch().interrupt_expired(10)

    await delivery.refresh_from_db()
    assert (delivery.status, delivery.attempt_count) == (DeliveryStatus.FAILED, 0)
    assert await claim(delivery) == []


async def test_a_lease_that_lasts_is_left_alone(domain: Domain, admin: Actor) -> None:
    delivery = await owe(domain, admin)
    await claim(delivery)
    await rows("UPDATE unsettled SET check_at = now()")

    assert await deliveries.Watch().interrupt_expired(10) == 0


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
    # As after an hour without Redis: many are unsettled, and hardly any is DELIVERING.
    await rows("INSERT INTO unsettled (delivery_id, from_change, check_at) SELECT 10000 + id, 1, now() FROM delivery")
    for table in ("delivery", "unsettled"):
        await rows("ANALYZE " + table)

    async with rows_read("delivery") as count:
        assert await deliveries.Watch().interrupt_expired(10) == 0

    assert count.rows < 100


@pytest.mark.unused_database
async def test_of_very_many_that_are_unsettled_each_look_takes_a_page_and_none_is_left_out(
    domain: Domain, admin: Actor
) -> None:
    await listen(domain, admin)
    for _ in range(20):
        await happen(domain, admin)
    lost = (await Delivery.all().order_by("id"))[::3]
    watch = deliveries.Watch()
    await claim(*lost)
    await rows("UPDATE unsettled SET check_at = now()")
    await rows("UPDATE delivery SET leased_until = now() - interval '1 second' WHERE status = 'delivering'")

    ended = []
    for _ in range(4):
        async with rows_read("unsettled") as count:
            ended.append(await watch.interrupt_expired(10, page=6))
        assert count.rows <= 40

    assert ended == [2, 2, 2, 1]
    # The last page was not full, so the next look begins anew. A page that reaches the limit is looked at again.
    await claim(*lost)
    await rows("UPDATE delivery SET leased_until = now() - interval '1 second' WHERE status = 'delivering'")
    assert [await watch.interrupt_expired(1, page=6) for _ in range(4)] == [1, 1, 0, 1]
