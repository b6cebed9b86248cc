"""An event is kept with one delivery for each webhook that listens, or not at all."""

import pytest

from domain import events, workspaces
from domain.tables import Delivery, Event
from domain.unit import Actor, Domain
from domain.vocabulary import EventType, Role
from tests.domain.doing import delivered_to, happen, listen


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


async def test_an_event_is_kept_though_nobody_listens(domain: Domain, admin: Actor) -> None:
    await happen(domain, admin)
    assert await Event.all().count() == 1


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
