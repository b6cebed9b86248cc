"""The engine against a real PostgreSQL, Redis and receiver: what is owed arrives, whatever happens on the way."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from structlog.testing import capture_logs
from tortoise.transactions import in_transaction

from domain import deliveries, workspaces
from domain.database import rows
from domain.queue import Owed
from domain.settings import Settings
from domain.tables import Attempt, Delivery, Webhook
from domain.unit import Actor, Domain, opened
from domain.vocabulary import AttemptOutcome, DeliveryStatus, EventType, Role
from tests.away import close, gated, reopen
from tests.domain.at_once import beside
from tests.domain.breaking import break_reading, mend_reading
from tests.domain.doing import happen, listen
from tests.domain.untold import statuses
from tests.receiver import Answer, Receiver
from tests.waiting import until
from tests.workers.delivering import all_due_now, claimed, finished
from workers.engine import Engine
from workers.rescue import Rescue


async def test_a_repeated_hint_sends_nothing(domain: Domain, admin: Actor, engine: Engine, receiver: Receiver) -> None:
    webhook = await listen(domain, admin, callback_url=receiver.url)
    event = await happen(domain, admin)
    delivery = await Delivery.get(event_id=event.id)
    owed = [Owed(delivery.id, webhook.id, webhook.workspace_id)]
    before = claimed("hint")

    await asyncio.gather(*(engine.deliver(owed) for _ in range(5)))
    await finished(domain, engine)
    await engine.deliver(owed)

    assert (len(receiver.requests), claimed("hint") - before) == (1, 1)
    assert engine.lanes.free == domain.settings.worker_concurrency


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
    # The operator has put the key back.
    await rows("UPDATE webhook SET sealed_secret = $1", sealed)
    await all_due_now()
    await rescue.once()
    (delivery,) = await finished(domain, engine, 2)
    assert delivery.status is DeliveryStatus.SUCCEEDED


async def test_each_step_of_an_attempt_is_told_at_once(
    domain: Domain, admin: Actor, engine: Engine, receiver: Receiver
) -> None:
    webhook = await listen(domain, admin, callback_url=receiver.url)
    await happen(domain, admin)

    await engine.deliver([Owed((await Delivery.get()).id, webhook.id, webhook.workspace_id)])

    await until(
        lambda: _were_told(domain, admin, [DeliveryStatus.PENDING, DeliveryStatus.DELIVERING, DeliveryStatus.SUCCEEDED])
    )


async def _were_told(domain: Domain, actor: Actor, told: list[DeliveryStatus]) -> bool:
    return await statuses(domain, actor) == told


async def test_a_claim_whose_asker_is_cancelled_is_sent_all_the_same(
    domain: Domain, admin: Actor, engine: Engine, receiver: Receiver
) -> None:
    webhook = await listen(domain, admin, callback_url=receiver.url)
    event = await happen(domain, admin)
    delivery = await Delivery.get(event_id=event.id)
    places = engine.lanes.free
    async with in_transaction():
        await rows("SELECT FROM delivery FOR UPDATE")
        asking = await beside(engine.deliver([Owed(delivery.id, webhook.id, webhook.workspace_id)]))
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
        await break_reading("event")
        await rescue.once()
        await until(lambda: "engine.fill_broke" in {line["event"] for line in lines})
    await mend_reading("event")

    await rescue.once()

    (delivery,) = await finished(domain, engine)
    assert delivery.status is DeliveryStatus.SUCCEEDED


async def test_an_attempt_that_breaks_in_our_own_hands_gives_its_place_back_and_is_left_to_its_lease(
    domain: Domain, admin: Actor, engine: Engine, rescue: Rescue
) -> None:
    await listen(domain, admin)
    await happen(domain, admin)
    # As a newer version may write it.
    await rows("UPDATE webhook SET method = 'QUERY'")
    with capture_logs() as lines:
        await rescue.once()
        await until(lambda: "attempt.broke" in {line["event"] for line in lines})

    assert engine.lanes.free == domain.settings.worker_concurrency
    assert (await Delivery.get()).status is DeliveryStatus.DELIVERING


async def test_what_becomes_due_while_places_are_being_filled_is_not_forgotten(
    domain: Domain, admin: Actor, engine: Engine, receiver: Receiver
) -> None:
    idle, busy = [
        await listen(domain, admin, each, callback_url=receiver.url)
        for each in (EventType.POST_CREATED, EventType.ACCOUNT_DELETED)
    ]
    await happen(domain, admin, EventType.ACCOUNT_DELETED)
    places = engine.lanes.free
    async with in_transaction():
        await rows("LOCK TABLE event")
        engine.lanes.wanting(idle.id, idle.workspace_id)
        await until(lambda: engine.lanes.free < places)
        engine.lanes.wanting(busy.id, busy.workspace_id)

    (delivery,) = await finished(domain, engine)

    assert delivery.status is DeliveryStatus.SUCCEEDED


async def test_filling_goes_on_after_the_database_was_away(settings: Settings, receiver: Receiver) -> None:
    async with gated(settings) as gates, opened(gates.settings) as domain, Engine(domain).running() as engine:
        admin = Actor(await workspaces.create("Test"), None, Role.ADMIN)
        webhook = await listen(domain, admin, callback_url=receiver.url)
        await happen(domain, admin)
        close(gates.postgres)
        engine.lanes.wanting(webhook.id, webhook.workspace_id)
        await until(lambda: gates.postgres.refused)
        reopen(gates.postgres)

        await until(lambda: _is_found_again(engine, webhook))


async def _is_found_again(engine: Engine, webhook: Webhook) -> bool:
    """Ask as the database loop does each second."""
    engine.lanes.wanting(webhook.id, webhook.workspace_id)
    return await Delivery.exists(status=DeliveryStatus.SUCCEEDED)


async def test_leaving_waits_for_what_is_in_flight_records_it_and_begins_nothing_more(
    domain: Domain, admin: Actor, receiver: Receiver
) -> None:
    gate, locked = asyncio.Event(), asyncio.Event()
    receiver.answer(Answer(after=gate))
    webhook = await listen(domain, admin, callback_url=receiver.url)
    for _ in range(2):
        await happen(domain, admin)
    first, later = [Owed(delivery.id, webhook.id, webhook.workspace_id) for delivery in await Delivery.all()]

    async def ask(engine: Engine) -> None:
        await locked.wait()
        await engine.deliver([first])

    async with Engine(domain).running() as engine:
        places = engine.lanes.free
        asking = asyncio.create_task(ask(engine))
        async with in_transaction():
            await rows("SELECT FROM delivery WHERE id = $1 FOR UPDATE", first.delivery_id)
            locked.set()
            await until(lambda: engine.lanes.free < places)
            # The engine leaves while it is still claiming: no attempt has begun yet, but one will.
            leaving = asyncio.create_task(engine.stop())
            await until(engine._filling.done)
        await engine.deliver([later])
        await engine.probe([(webhook.id, webhook.workspace_id)])
        await receiver.wait_for(1)
        gate.set()
        await asyncio.gather(asking, leaving)

    assert [delivery.status for delivery in await Delivery.all().order_by("id")] == [
        DeliveryStatus.SUCCEEDED,
        DeliveryStatus.PENDING,
    ]


async def test_leaving_waits_no_longer_than_the_deadline(settings: Settings, receiver: Receiver) -> None:
    receiver.answer(Answer(after=asyncio.Event()))
    async with opened(replace(settings, shutdown_deadline=timedelta(milliseconds=50))) as domain:
        admin = Actor(await workspaces.create("Test"), None, Role.ADMIN)
        webhook = await listen(domain, admin, callback_url=receiver.url)
        await happen(domain, admin)
        delivery = await Delivery.get()
        async with Engine(domain).running() as engine:
            await engine.deliver([Owed(delivery.id, webhook.id, webhook.workspace_id)])
            await receiver.wait_for(1)

        assert not engine._in_flight
        assert (await Delivery.get()).status is DeliveryStatus.DELIVERING


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
