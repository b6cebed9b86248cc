"""An event is kept with one delivery for each webhook that listens, or not at all."""

import asyncio

import pytest

from domain import events, workspaces
from domain.database import rows
from domain.tables import Delivery, Event
from domain.unit import Actor, Domain
from domain.vocabulary import EventType, Role
from tests.domain.doing import delivered_to, happen, listen
from tests.domain.explaining import rows_read


async def test_only_active_webhooks_of_the_workspace_that_listen_get_a_delivery(domain: Domain, admin: Actor) -> None:
    other = Actor(await workspaces.create("Other"), None, Role.ADMIN)
    listening = await listen(domain, admin, EventType.ACCOUNT_DELETED)
    for deaf in (
        await listen(domain, admin, EventType.POST_CREATED),
        await listen(domain, admin, EventType.ACCOUNT_DELETED, active=False),
        await listen(domain, other, EventType.ACCOUNT_DELETED),
    ):
        assert deaf.id != listening.id
    event = await happen(domain, admin)
    assert [delivery.webhook_id for delivery in await Delivery.all()] == [listening.id]
    assert await delivered_to(listening) == ["account.deleted"]
    assert (await Event.get(id=event.id)).document == '{"event":"account.deleted","data":{"uuid":"x"}}'


@pytest.mark.unused_database
async def test_webhooks_that_were_deleted_are_not_read_for_an_event(domain: Domain, admin: Actor) -> None:
    listening = await listen(domain, admin)
    await rows(
        """INSERT INTO webhook (uuid, workspace_id, name, callback_url, method, content_type, max_attempts, active,
            events, unreachable_in_a_row, created_at, updated_at, deleted_at)
        SELECT gen_random_uuid(), workspace_id, name, callback_url, method, content_type, 10, false, events, 0, now(),
            now(), now() FROM webhook, generate_series(1, 2000)"""
    )

    async with rows_read("webhook") as count:
        await happen(domain, admin)

    assert [delivery.webhook_id for delivery in await Delivery.all()] == [listening.id]
    assert count.rows < 20


async def test_an_event_is_kept_though_nobody_listens(domain: Domain, admin: Actor) -> None:
    await happen(domain, admin)
    assert await Event.all().count() == 1


async def test_what_happens_later_has_the_later_time_though_its_transaction_began_first(
    domain: Domain, admin: Actor
) -> None:
    begun, happened = asyncio.Event(), asyncio.Event()

    async def wait_for_another() -> None:
        async with domain.unit(admin) as unit:
            await rows("SELECT now()")
            begun.set()
            await happened.wait()
            await events.record(unit, EventType.ACCOUNT_DELETED, {"uuid": "x"})

    waiting = asyncio.create_task(wait_for_another())
    await begun.wait()
    first = await happen(domain, admin)
    happened.set()
    await waiting
    assert [event.id for event in await Event.all().order_by("-occurred_at")][1] == first.id


async def test_an_event_falls_with_its_transaction(domain: Domain, admin: Actor) -> None:
    await listen(domain, admin)

    async def fail_late() -> None:
        async with domain.unit(admin) as unit:
            await events.record(unit, EventType.ACCOUNT_DELETED, {"uuid": "x"})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_late()
    assert await Event.all().count() == 0
    assert await Delivery.all().count() == 0
