"""The engine against a real PostgreSQL, Redis and receiver: what is owed arrives, whatever happens on the way."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from urllib.parse import parse_qs

import pytest
from structlog.testing import capture_logs
from tortoise.transactions import in_transaction

from domain import deliveries, webhooks
from domain.database import rows
from domain.queue import Owed
from domain.tables import Attempt, Delivery, Webhook
from domain.unit import Actor, Domain
from domain.vocabulary import (
    AttemptOutcome,
    ContentType,
    DeliveryStatus,
    EventType,
    HttpMethod,
    WebhookDisabledReason,
)
from tests.domain.doing import change_webhook, happen, listen
from tests.receiver import Answer, Receiver
from tests.waiting import until
from workers.engine import Engine
from workers.rescue import Rescue


@pytest.fixture
async def engine(domain: Domain) -> AsyncIterator[Engine]:
    async with Engine(domain).running() as engine:
        yield engine


@pytest.fixture
def rescue(domain: Domain, engine: Engine) -> Rescue:
    return Rescue(domain, engine)


async def finished(domain: Domain, engine: Engine, count: int = 1) -> list[Delivery]:
    """All deliveries, once this many attempts are recorded and none is under way."""
    async with asyncio.timeout(60):
        while await Attempt.all().count() < count or await Delivery.filter(status=DeliveryStatus.DELIVERING).exists():
            await asyncio.sleep(0.01)
    return await Delivery.all().order_by("id")


async def all_due_now() -> None:
    await rows("UPDATE delivery SET due_at = now() WHERE finished_at IS NULL")


@pytest.mark.parametrize("method", list(HttpMethod))
async def test_a_delivery_arrives_signed_with_its_method_and_its_own_headers(
    domain: Domain, admin: Actor, rescue: Rescue, receiver: Receiver, method: HttpMethod
) -> None:
    await listen(domain, admin, callback_url=receiver.url, secret="s3cret", method=method, headers=(("X-Team", "a"),))
    await happen(domain, admin)

    await rescue.once()

    (request,) = await receiver.wait_for(1)
    assert request.method == method
    assert json.loads(request.body) == {"event": "account.deleted", "data": {"uuid": "x"}}
    assert request.headers["X-Signature"] == hmac.new(b"s3cret", request.body, hashlib.sha256).hexdigest()
    assert request.headers["X-Team"] == "a"


async def test_the_log_has_the_url_as_it_arrived(
    domain: Domain, admin: Actor, engine: Engine, rescue: Rescue, receiver: Receiver
) -> None:
    await listen(domain, admin, callback_url=receiver.url_of("/a/../in?to=%2Fcrm#part"))
    await happen(domain, admin)

    await rescue.once()

    (request,) = await receiver.wait_for(1)
    await finished(domain, engine)
    assert (await Attempt.get()).request_url == receiver.url_of(request.path) == receiver.url_of("/in?to=/crm")


async def test_a_form_carries_the_document_in_its_payload(
    domain: Domain, admin: Actor, rescue: Rescue, receiver: Receiver
) -> None:
    await listen(domain, admin, callback_url=receiver.url, content_type=ContentType.FORM)
    event = await happen(domain, admin)

    await rescue.once()

    (request,) = await receiver.wait_for(1)
    assert parse_qs(request.body.decode()) == {"payload": [event.document]}
    assert "X-Signature" not in request.headers


async def test_the_bytes_and_the_id_are_the_same_over_all_attempts(
    domain: Domain, admin: Actor, engine: Engine, rescue: Rescue, receiver: Receiver
) -> None:
    await listen(domain, admin, callback_url=receiver.url, secret="s3cret")
    event = await happen(domain, admin)
    receiver.answer(500, 302)

    for attempt in (1, 2, 3):
        await all_due_now()
        await rescue.once()
        await finished(domain, engine, attempt)

    requests = await receiver.wait_for(3)
    assert len({request.body for request in requests}) == 1
    assert {request.headers["webhook-id"] for request in requests} == {str(event.uuid)}
    assert [request.headers["X-Hookline-Attempt"] for request in requests] == ["1", "2", "3"]
    (delivery,) = await Delivery.all()
    assert (delivery.status, delivery.attempt_count) == (DeliveryStatus.SUCCEEDED, 3)


async def test_a_repeated_hint_sends_nothing(domain: Domain, admin: Actor, engine: Engine, receiver: Receiver) -> None:
    webhook = await listen(domain, admin, callback_url=receiver.url)
    event = await happen(domain, admin)
    delivery = await Delivery.get(event_id=event.id)
    owed = [Owed(delivery.id, webhook.id, webhook.workspace_id)]

    await asyncio.gather(*(engine.deliver(owed) for _ in range(5)))
    await finished(domain, engine)
    await engine.deliver(owed)

    assert len(receiver.requests) == 1
    assert engine.lanes.free == domain.settings.worker_concurrency


async def test_more_than_an_endpoint_may_get_at_once_waits_in_the_database(
    domain: Domain, admin: Actor, engine: Engine, rescue: Rescue, receiver: Receiver
) -> None:
    gate = asyncio.Event()
    receiver.answer(*[Answer(after=gate)] * 30)
    await listen(domain, admin, callback_url=receiver.url)
    for _ in range(30):
        await happen(domain, admin)

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
    async with domain.unit(admin) as unit:
        await webhooks.test(unit, webhook.id, EventType.POST_PUBLISHED)

    await rescue.once()
    await finished(domain, engine)

    (request,) = receiver.requests
    assert request.headers["X-Hookline-Event"] == "post.published"
    assert await Delivery.filter(status=DeliveryStatus.PENDING).count() == 1


async def test_repeated_failures_to_connect_open_the_circuit_and_one_probe_closes_it(
    domain: Domain, admin: Actor, engine: Engine, rescue: Rescue, receiver: Receiver, closed_port: str
) -> None:
    webhook = await listen(domain, admin, callback_url=closed_port)
    for _ in range(8):
        await happen(domain, admin)
    await rescue.once()
    made = await finished(domain, engine, 8)
    assert {delivery.status for delivery in made} == {DeliveryStatus.RETRYING}
    await webhook.refresh_from_db()
    assert webhook.circuit_open_until

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


async def test_secrets_that_do_not_open_send_nothing_and_say_so(
    domain: Domain, admin: Actor, engine: Engine, rescue: Rescue, receiver: Receiver
) -> None:
    await listen(domain, admin, callback_url=receiver.url, secret="s3cret")
    await happen(domain, admin)
    sealed = (await Webhook.get()).sealed_secret
    await rows("UPDATE webhook SET sealed_secret = '\\x00'")

    await rescue.once()
    (delivery,) = await finished(domain, engine)

    assert receiver.requests == []
    attempt = await Attempt.get()
    assert (attempt.outcome, attempt.request_url) == (AttemptOutcome.INTERRUPTED, receiver.url)
    assert attempt.error == "Nothing was sent: Hookline could not open the secrets of this webhook."
    assert (delivery.status, delivery.attempt_count) == (DeliveryStatus.RETRYING, 0)
    # Whoever runs it has put the key back.
    await rows("UPDATE webhook SET sealed_secret = $1", sealed)
    await all_due_now()
    await rescue.once()
    (delivery,) = await finished(domain, engine, 2)
    assert delivery.status is DeliveryStatus.SUCCEEDED


async def test_a_claim_whose_asker_is_cancelled_is_sent_all_the_same(
    domain: Domain, admin: Actor, engine: Engine, receiver: Receiver
) -> None:
    webhook = await listen(domain, admin, callback_url=receiver.url)
    event = await happen(domain, admin)
    delivery = await Delivery.get(event_id=event.id)
    places = engine.lanes.free
    asking = asyncio.create_task(engine.deliver([Owed(delivery.id, webhook.id, webhook.workspace_id)]))
    async with in_transaction():
        await rows("SELECT FROM delivery FOR UPDATE")
        await until(lambda: engine.lanes.free < places)
        asking.cancel()
        await asyncio.wait({asking})

    (delivery,) = await finished(domain, engine)

    assert asking.cancelled()
    assert delivery.status is DeliveryStatus.SUCCEEDED
    await until(lambda: engine.lanes.free == places)


async def test_a_hint_that_names_another_webhook_costs_no_places(
    domain: Domain, admin: Actor, engine: Engine, receiver: Receiver
) -> None:
    webhook = await listen(domain, admin, callback_url=receiver.url)
    event = await happen(domain, admin)
    delivery = await Delivery.get(event_id=event.id)
    places = engine.lanes.free

    await engine.deliver([Owed(delivery.id, webhook.id + 7, webhook.workspace_id)])

    (delivery,) = await finished(domain, engine)
    assert delivery.status is DeliveryStatus.SUCCEEDED
    await until(lambda: engine.lanes.free == places)
    assert engine.lanes.open == 0


async def test_filling_goes_on_after_a_fault_that_nobody_foresaw(
    domain: Domain, admin: Actor, engine: Engine, rescue: Rescue, receiver: Receiver
) -> None:
    await listen(domain, admin, callback_url=receiver.url)
    await happen(domain, admin)
    with capture_logs() as lines:
        await rows("ALTER TABLE event RENAME TO elsewhere")
        await rescue.once()
        await until(lambda: "engine.fill_broke" in {line["event"] for line in lines})
    await rows("ALTER TABLE elsewhere RENAME TO event")

    await rescue.once()

    (delivery,) = await finished(domain, engine)
    assert delivery.status is DeliveryStatus.SUCCEEDED


async def test_leaving_waits_for_what_is_in_flight_and_records_it(
    domain: Domain, admin: Actor, receiver: Receiver
) -> None:
    gate = asyncio.Event()
    receiver.answer(Answer(after=gate))
    webhook = await listen(domain, admin, callback_url=receiver.url)
    event = await happen(domain, admin)
    delivery = await Delivery.get(event_id=event.id)

    async with Engine(domain).running() as engine:
        await engine.deliver([Owed(delivery.id, webhook.id, webhook.workspace_id)])
        await receiver.wait_for(1)
        gate.set()

    await delivery.refresh_from_db()
    assert delivery.status is DeliveryStatus.SUCCEEDED


async def test_the_loop_sends_again_what_a_dead_worker_had_in_flight(
    domain: Domain, admin: Actor, engine: Engine, rescue: Rescue, receiver: Receiver
) -> None:
    await listen(domain, admin, callback_url=receiver.url)
    event = await happen(domain, admin)
    delivery = await Delivery.get(event_id=event.id)
    await deliveries.claim([delivery.id], timedelta(seconds=30))
    await rows("UPDATE delivery SET leased_until = now() - interval '1 second'")
    await rows("UPDATE unsettled SET check_at = now()")

    await rescue.once()
    await finished(domain, engine, 2)

    assert [attempt.outcome for attempt in await Attempt.all().order_by("number")] == [
        AttemptOutcome.INTERRUPTED,
        AttemptOutcome.SUCCEEDED,
    ]
    await delivery.refresh_from_db()
    assert delivery.attempt_count == 1
