"""Endpoints that get less, or nothing, for a while: the crowded, the failing, the inactive and those that are gone."""

import asyncio
from typing import Any

from domain import deliveries, webhooks
from domain.database import now, rows
from domain.deliveries import Room
from domain.health import OPENS_AFTER
from domain.outcome import Failed
from domain.queue import Owed
from domain.tables import Attempt, Delivery, Webhook
from domain.unit import Actor, Domain
from domain.vocabulary import AttemptOutcome, DeliveryStatus, EventType, WebhookDisabledReason
from tests.domain.attempting import LEASE, SENT, TOOK
from tests.domain.doing import change_webhook, happen, listen
from tests.receiver import Answer, Receiver
from tests.waiting import until
from tests.workers.delivering import all_due_now, claimed, finished
from workers import metrics
from workers.engine import Engine
from workers.recorder import Recorder
from workers.rescue import Rescue

UNREACHED = Failed(AttemptOutcome.DNS_FAILED, "The name was not found.", TOOK)


async def test_more_than_an_endpoint_may_get_at_once_waits_in_the_database(
    domain: Domain, admin: Actor, engine: Engine, rescue: Rescue, receiver: Receiver
) -> None:
    gate = asyncio.Event()
    receiver.answer(*[Answer(after=gate)] * 30)
    await listen(domain, admin, callback_url=receiver.url)
    for _ in range(30):
        await happen(domain, admin)

    await engine.deliver([Owed(each.id, each.webhook_id, each.workspace_id) for each in await Delivery.all()])
    await rescue.once()
    await receiver.wait_for(10)
    assert await Delivery.filter(status=DeliveryStatus.PENDING).count() == 20
    gate.set()

    made = await finished(domain, engine, 30)
    assert {delivery.status for delivery in made} == {DeliveryStatus.SUCCEEDED}


async def test_gone_disables_the_webhook_and_ends_the_delivery(
    domain: Domain, admin: Actor, engine: Engine, rescue: Rescue, receiver: Receiver
) -> None:
    await listen(domain, admin, callback_url=receiver.url)
    await happen(domain, admin)
    receiver.answer(410)

    await rescue.once()
    (delivery,) = await finished(domain, engine)

    webhook = await Webhook.get()
    assert delivery.status is DeliveryStatus.FAILED
    assert (webhook.active, webhook.disabled_reason) == (False, WebhookDisabledReason.GONE)


async def test_a_webhook_that_only_failed_for_days_is_disabled_and_its_deliveries_wait(
    domain: Domain, admin: Actor, engine: Engine, rescue: Rescue, receiver: Receiver
) -> None:
    webhook = await listen(domain, admin, callback_url=receiver.url)
    await happen(domain, admin)
    receiver.answer(500, 500)
    await rescue.once()
    await finished(domain, engine)
    await rows("UPDATE webhook SET failing_since = failing_since - $1::interval", domain.settings.failing_limit)

    await all_due_now()
    await rescue.once()
    (delivery,) = await finished(domain, engine, 2)

    await webhook.refresh_from_db()
    assert (webhook.active, webhook.disabled_reason) == (False, WebhookDisabledReason.FAILING)
    assert delivery.status is DeliveryStatus.RETRYING
    await change_webhook(domain, admin, webhook, active=True)
    await all_due_now()
    await rescue.once()
    (delivery,) = await finished(domain, engine, 3)
    assert delivery.status is DeliveryStatus.SUCCEEDED


async def test_an_inactive_webhook_gets_a_test_and_nothing_else(
    domain: Domain, admin: Actor, engine: Engine, rescue: Rescue, receiver: Receiver
) -> None:
    webhook = await listen(domain, admin, callback_url=receiver.url)
    await happen(domain, admin)
    await change_webhook(domain, admin, webhook, active=False)
    await send_a_test(domain, admin, webhook)

    await rescue.once()
    await finished(domain, engine)

    (request,) = receiver.requests
    assert request.headers["X-Hookline-Event"] == "post.published"
    assert await Delivery.filter(status=DeliveryStatus.PENDING).count() == 1


async def test_repeated_failures_to_connect_open_the_circuit_and_one_probe_closes_it(
    domain: Domain, admin: Actor, engine: Engine, rescue: Rescue, receiver: Receiver, closed_port: str
) -> None:
    webhook = await listen(domain, admin, callback_url=closed_port)
    opened_before = metrics.REGISTRY.get_sample_value("hookline_circuits_opened_total") or 0
    probed_before, found_before = claimed("probe"), claimed("database")
    for _ in range(8):
        await happen(domain, admin)
    await rescue.once()
    made = await finished(domain, engine, 8)
    assert {delivery.status for delivery in made} == {DeliveryStatus.RETRYING}
    await webhook.refresh_from_db()
    assert webhook.circuit_open_until
    assert metrics.REGISTRY.get_sample_value("hookline_circuits_opened_total") == opened_before + 1
    assert engine.lanes.open == 1, "its lane is remembered, for it is narrow now"

    await all_due_now()
    await rescue.once()
    assert await Attempt.all().count() == 8, "nothing is sent while the circuit is open"

    await rows("UPDATE webhook SET circuit_open_until = now(), callback_url = $1", receiver.url)
    gate = asyncio.Event()
    receiver.answer(Answer(after=gate))
    await rescue.once()
    await receiver.wait_for(1)
    await rescue.once()
    assert len(receiver.requests) == 1, "one probe at a time"
    gate.set()
    await finished(domain, engine, 9)
    await rescue.once()

    made = await finished(domain, engine, 16)
    assert {delivery.status for delivery in made} == {DeliveryStatus.SUCCEEDED}
    assert claimed("probe") == probed_before + 1
    assert claimed("database") == found_before + await Attempt.all().count() - 1


async def test_only_a_probe_moves_an_open_circuit(domain: Domain, admin: Actor) -> None:
    webhook = await listen(domain, admin)
    early = await claim_the_next(domain, admin, webhook)
    await Webhook.all().update(circuit_open_until=await now(), unreachable_in_a_row=OPENS_AFTER)
    probe = await claim_the_next(domain, admin, webhook)

    for row, unreachable_in_a_row in ((early, OPENS_AFTER), (probe, OPENS_AFTER + 1)):
        async with Recorder(domain).running() as recorder:
            recorder.add(row, SENT, UNREACHED)
        await webhook.refresh_from_db()
        assert webhook.unreachable_in_a_row == unreachable_in_a_row


async def test_tests_that_fail_do_not_put_off_the_probe_and_one_that_is_answered_makes_it_needless(
    domain: Domain, admin: Actor, engine: Engine, rescue: Rescue, receiver: Receiver, closed_port: str
) -> None:
    webhook = await listen(domain, admin, callback_url=closed_port)
    await rows("UPDATE webhook SET unreachable_in_a_row = $1, circuit_open_until = now() + interval '1 h'", OPENS_AFTER)
    await webhook.refresh_from_db()
    before = (webhook.unreachable_in_a_row, webhook.circuit_open_until)

    await send_a_test(domain, admin, webhook)
    await send_a_test(domain, admin, webhook)
    await rescue.once()
    await finished(domain, engine, 2)
    await webhook.refresh_from_db()
    assert (webhook.unreachable_in_a_row, webhook.circuit_open_until) == before

    await rows("UPDATE webhook SET callback_url = $1", receiver.url)
    await send_a_test(domain, admin, webhook)
    await rescue.once()
    await finished(domain, engine, 3)
    await webhook.refresh_from_db()
    assert webhook.circuit_open_until is None


async def send_a_test(domain: Domain, actor: Actor, webhook: Webhook) -> None:
    async with domain.unit(actor) as unit:
        await webhooks.test(unit, webhook.id, EventType.POST_PUBLISHED)


async def claim_the_next(domain: Domain, actor: Actor, webhook: Webhook) -> Any:
    await happen(domain, actor)
    (row,) = await deliveries.claim_for([Room(webhook.id, 1, probe=True)], LEASE)
    return row


async def test_what_fails_together_is_not_tried_again_together(domain: Domain, admin: Actor) -> None:
    webhook = await listen(domain, admin)
    failed = [await claim_the_next(domain, admin, webhook) for _ in range(3)]

    async with Recorder(domain).running() as recorder:
        for row in failed:
            recorder.add(row, SENT, UNREACHED)

    assert len({delivery.due_at for delivery in await Delivery.all()}) == 3


async def test_what_waits_for_an_endpoint_that_is_spared_is_not_touched(
    domain: Domain, admin: Actor, engine: Engine, rescue: Rescue, receiver: Receiver
) -> None:
    webhook = await listen(domain, admin, callback_url=receiver.url)
    for _ in range(30):
        await happen(domain, admin)
    await rows("UPDATE webhook SET circuit_open_until = now() + interval '1 minute'")
    versions = "SELECT id, ctid::text AS place, xmin::text AS writer FROM delivery ORDER BY id"
    before = [dict(row) for row in await rows(versions)]

    await engine.deliver([Owed(row["id"], webhook.id, webhook.workspace_id) for row in before])
    engine.lanes.wanting(webhook.id, webhook.workspace_id)
    await until(lambda: engine.lanes.open == 0)
    await rescue.once()

    assert [dict(row) for row in await rows(versions)] == before
    assert receiver.requests == []
    assert engine.lanes.free == domain.settings.worker_concurrency, "no place is held for it"
    assert not engine.lanes.room_for_hungry.is_set(), "nor does anybody ask for it again and again"
