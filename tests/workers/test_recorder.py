"""The recorder: outcomes in groups, kept while PostgreSQL is away, and no group spoilt by one of its members."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any

import pytest
from structlog.testing import capture_logs

from domain import deliveries, workspaces
from domain.database import rows
from domain.health import OPENS_AFTER
from domain.outcome import Answer, Delivered, Failed
from domain.queue import QUEUE_NAME
from domain.settings import Settings
from domain.tables import Attempt, Delivery, Webhook
from domain.unit import Actor, Domain, opened
from domain.vocabulary import AttemptOutcome, DeliveryStatus, DeliveryWaitReason, Role, WebhookDisabledReason
from tests.away import Gates, close, gated, reopen
from tests.databases import connected
from tests.domain.attempting import ILL, LEASE, SENT, TOOK, WELL
from tests.domain.breaking import break_updating
from tests.domain.doing import happen, listen
from tests.domain.untold import entries, statuses
from tests.waiting import until, waiting_for_locks
from workers import metrics
from workers.recorder import MOST_AT_ONCE, Recorder

GONE = Failed(AttemptOutcome.HTTP_ERROR, "The receiver answered 410.", TOOK, Answer(410, (), "", False), gone=True)


@pytest.fixture
async def recorder(domain: Domain) -> AsyncIterator[Recorder]:
    async with Recorder(domain).running() as recorder:
        yield recorder


@pytest.fixture
async def gates(settings: Settings) -> AsyncIterator[Gates]:
    async with gated(settings) as gates:
        yield gates


async def claimed(domain: Domain, actor: Actor, count: int = 1, **webhook: Any) -> list[Any]:
    """Rows of claimed deliveries to one webhook."""
    await listen(domain, actor, **webhook)
    ids = [(await Delivery.get(event_id=(await happen(domain, actor)).id)).id for _ in range(count)]
    return list(await deliveries.claim(ids, LEASE))


async def recorded(count: int) -> None:
    await until(lambda: _are_recorded(count))


async def _are_recorded(count: int) -> bool:
    return await Attempt.all().count() >= count


async def test_what_ends_together_is_written_together_and_all_of_it(
    domain: Domain, admin: Actor, recorder: Recorder
) -> None:
    (row,) = await claimed(domain, admin)
    await rows(
        """INSERT INTO delivery (workspace_id, event_id, webhook_id, event_type, max_attempts, status, attempt_number,
            claimed_at, leased_until)
        SELECT workspace_id, event_id, webhook_id, event_type, 10, 'delivering', 1, now(), now() + interval '30 seconds'
        FROM delivery, generate_series(1, $1)""",
        MOST_AT_ONCE,
    )
    for delivery in await Delivery.all():
        recorder.add({**row, "id": delivery.id, "uuid": delivery.uuid}, SENT, WELL)

    await recorded(MOST_AT_ONCE + 1)

    assert await Delivery.filter(status=DeliveryStatus.SUCCEEDED).count() == MOST_AT_ONCE + 1
    written = await rows("SELECT count(DISTINCT finished_at) AS statements FROM delivery")
    assert written[0]["statements"] == 2


async def test_what_an_attempt_came_to_is_announced(domain: Domain, admin: Actor, recorder: Recorder) -> None:
    (row,) = await claimed(domain, admin)
    domain.outlet.announce(deliveries.begun([row]))

    recorder.add(row, SENT, WELL)

    await until(lambda: _is_told(domain, admin, DeliveryStatus.SUCCEEDED))
    assert not recorder._filled.is_set(), "it waits for the next"


async def test_what_is_announced_of_a_retry_knows_that_its_endpoint_has_just_begun_to_be_spared(
    domain: Domain, admin: Actor, recorder: Recorder
) -> None:
    (row,) = await claimed(domain, admin)
    await Webhook.all().update(unreachable_in_a_row=OPENS_AFTER - 1)
    domain.outlet.announce(deliveries.begun([row]))

    recorder.add(row, SENT, Failed(AttemptOutcome.DNS_FAILED, "The name was not found.", TOOK))

    await until(lambda: _is_told(domain, admin, DeliveryStatus.RETRYING))
    assert (await entries(domain, admin))[-1].data["delivery"]["waiting_for"] == DeliveryWaitReason.CIRCUIT_OPEN


async def test_an_attempt_is_told_of_though_the_health_of_its_endpoint_cannot_be_noted(
    domain: Domain, admin: Actor, recorder: Recorder
) -> None:
    (row,) = await claimed(domain, admin)
    domain.outlet.announce(deliveries.begun([row]))
    await break_updating("webhook")

    with capture_logs() as lines:
        recorder.add(row, SENT, ILL)
        await until(lambda: _is_told(domain, admin, DeliveryStatus.RETRYING))

    assert [line["event"] for line in lines if line["log_level"] == "error"] == ["recorder.health_broke"]
    assert (await entries(domain, admin))[-1].data["delivery"]["waiting_for"] == DeliveryWaitReason.BACKOFF


async def test_what_follows_from_a_recorded_attempt_follows_though_the_database_has_gone_away_since(
    gates: Gates, settings: Settings
) -> None:
    async with opened(gates.settings) as domain, Recorder(domain).running() as recorder:
        admin = Actor(await workspaces.create("Test"), None, Role.ADMIN)
        (row,) = await claimed(domain, admin)
        before = _retries()
        async with connected(settings.database_url) as apart, apart.transaction():
            # The row in which the endpoint's health is noted.
            await apart.execute("SELECT FROM webhook FOR UPDATE")
            recorder.add(row, SENT, ILL)
            await until(lambda: waiting_for_locks(apart))
            close(gates.postgres)
            await until(lambda: _retries() > before)


def _retries() -> float:
    return metrics.REGISTRY.get_sample_value("hookline_deliveries_total", {"status": "retrying"}) or 0


async def _is_told(domain: Domain, actor: Actor, status: DeliveryStatus) -> bool:
    return status in await statuses(domain, actor)


async def test_a_retry_is_hinted_at_for_its_time(domain: Domain, admin: Actor, recorder: Recorder) -> None:
    (row,) = await claimed(domain, admin)
    await domain.outlet.flush()
    await domain.redis.delete(QUEUE_NAME)

    recorder.add(row, SENT, ILL)
    await recorded(1)
    await until(lambda: _is_queued(domain))

    ((_, due_ms),) = await domain.redis.zrange(QUEUE_NAME, 0, -1, withscores=True)
    delivery = await Delivery.get()
    assert timedelta() <= datetime.fromtimestamp(due_ms / 1000, UTC) - delivery.due_at <= timedelta(seconds=1)


async def test_a_retry_that_waits_for_a_person_is_hinted_at_to_nobody(domain: Domain, admin: Actor) -> None:
    async with Recorder(domain).running() as recorder:
        (row,) = await claimed(domain, admin)
        await domain.outlet.flush()
        await domain.redis.delete(QUEUE_NAME)
        await Webhook.all().update(active=False)
        recorder.add(row, SENT, ILL)
    await domain.outlet.flush()

    assert (await Delivery.get()).status is DeliveryStatus.RETRYING
    assert not await _is_queued(domain)


async def _is_queued(domain: Domain) -> bool:
    return bool(await domain.redis.zcard(QUEUE_NAME))


async def test_what_a_group_says_of_its_endpoint_stands_in_the_webhook_the_log_and_the_figures(
    domain: Domain, admin: Actor, recorder: Recorder
) -> None:
    (row,) = await claimed(domain, admin)
    before = metrics.REGISTRY.get_sample_value("hookline_webhooks_disabled_total", {"reason": "gone"}) or 0

    with capture_logs() as lines:
        recorder.add(row, SENT, GONE)
        await recorded(1)
        await until(lambda: "webhook.disabled" in {line["event"] for line in lines})

    assert (await Webhook.get()).disabled_reason is WebhookDisabledReason.GONE
    await until(
        lambda: metrics.REGISTRY.get_sample_value("hookline_webhooks_disabled_total", {"reason": "gone"}) == before + 1
    )


async def test_who_lost_its_lease_says_nothing_of_the_endpoint(domain: Domain, admin: Actor) -> None:
    (late,) = await claimed(domain, admin)
    await rows("UPDATE delivery SET attempt_number = 2")

    async with Recorder(domain).running() as recorder:
        recorder.add(late, SENT, GONE)

    assert (await Webhook.get()).active


async def test_the_state_that_a_delivery_came_to_is_counted_where_it_was_stored(domain: Domain, admin: Actor) -> None:
    late, row = await claimed(domain, admin, 2)
    await Delivery.filter(id=late["id"]).update(attempt_number=2)
    before = metrics.REGISTRY.get_sample_value("hookline_deliveries_total", {"status": "succeeded"}) or 0

    async with Recorder(domain).running() as recorder:
        recorder.add(late, SENT, WELL)
        recorder.add(row, SENT, WELL)

    assert metrics.REGISTRY.get_sample_value("hookline_deliveries_total", {"status": "succeeded"}) == before + 1


async def test_a_success_that_was_claimed_before_the_first_failure_ends_the_failing(
    domain: Domain, admin: Actor, recorder: Recorder
) -> None:
    early, other = await claimed(domain, admin, 2)
    recorder.add(other, SENT, ILL)
    await until(lambda: Webhook.exists(failing_since__not_isnull=True))

    recorder.add(early, SENT, WELL)

    await until(lambda: Webhook.exists(failing_since=None))


async def test_a_result_that_cannot_be_kept_does_not_take_its_group_with_it(
    domain: Domain, admin: Actor, recorder: Recorder
) -> None:
    well, spoilt, also_well = await claimed(domain, admin, 3)
    # Answer.from_wire lets no such answer through. If one ever came, it must not take others with it.
    poison = Delivered(Answer(200, (), "\x00", truncated=False), TOOK)

    with capture_logs() as lines:
        for row, outcome in ((well, WELL), (spoilt, poison), (also_well, WELL)):
            recorder.add(row, SENT, outcome)
        await recorded(2)
        await until(lambda: [line["attempts"] for line in lines if line["event"] == "recorder.broke"] == [3, 1])

    assert [delivery.status for delivery in await Delivery.all().order_by("id")] == [
        DeliveryStatus.SUCCEEDED,
        DeliveryStatus.DELIVERING,
        DeliveryStatus.SUCCEEDED,
    ]


async def test_a_result_is_kept_while_postgresql_is_away(gates: Gates) -> None:
    async with opened(gates.settings) as domain, Recorder(domain).running() as recorder:
        admin = Actor(await workspaces.create("Test"), None, Role.ADMIN)
        (row,) = await claimed(domain, admin)
        close(gates.postgres)
        recorder.add(row, SENT, WELL)
        await until(lambda: gates.postgres.refused > 2)
        reopen(gates.postgres)

        await recorded(1)

        assert (await Delivery.get()).status is DeliveryStatus.SUCCEEDED


async def test_a_result_is_given_up_when_its_lease_has_run_out(gates: Gates) -> None:
    settings = replace(gates.settings, lease=timedelta(seconds=0.1))
    async with opened(settings) as domain, Recorder(domain).running() as recorder:
        admin = Actor(await workspaces.create("Test"), None, Role.ADMIN)
        (row,) = await claimed(domain, admin)
        close(gates.postgres)
        with capture_logs() as lines:
            recorder.add(row, SENT, WELL)
            await until(lambda: "recorder.gave_up" in {line["event"] for line in lines})
        reopen(gates.postgres)

        assert (await Delivery.get()).status is DeliveryStatus.DELIVERING


async def test_a_worker_that_stops_waits_a_moment_and_not_a_lease_for_a_database_that_is_away(gates: Gates) -> None:
    async with opened(gates.settings) as domain:
        admin = Actor(await workspaces.create("Test"), None, Role.ADMIN)
        async with Recorder(domain).running() as recorder:
            (row,) = await claimed(domain, admin)
            close(gates.postgres)
            recorder.add(row, SENT, WELL)
            began = monotonic()

        assert monotonic() - began < 15
        assert not recorder._groups


async def test_leaving_records_the_rest(domain: Domain, admin: Actor) -> None:
    async with Recorder(domain).running() as recorder:
        (row,) = await claimed(domain, admin)
        recorder.add(row, SENT, WELL)

    assert (await Delivery.get()).status is DeliveryStatus.SUCCEEDED
