"""Webhooks: what a person may ask for, and what becomes of it."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain import owed, webhooks, workspaces
from domain.errors import FaultCode, Refused
from domain.tables import AuditEvent, Delivery, Event, Webhook
from domain.unit import Actor, Domain
from domain.vocabulary import ContentType, DeliveryStatus, EventType, HttpMethod, Role, WebhookDisabledReason
from domain.webhooks import opened_headers
from tests.domain.at_once import beside
from tests.domain.doing import change_webhook, create_webhook, faults_of, happen, listen, opened

NOW = datetime.now(UTC)


async def test_a_webhook_is_kept_as_asked_with_each_event_once(domain: Domain, admin: Actor) -> None:
    made, secret = await create_webhook(
        domain,
        admin,
        name="  CRM ",
        events=(EventType.POST_DELETED, EventType.POST_CREATED, EventType.POST_DELETED),
        method=HttpMethod.PUT,
        content_type=ContentType.FORM,
        max_attempts=20,
        active=False,
        secret="s3cret",
        headers=(("X-Tenant", "7"), ("Authorization", "Bearer x")),
    )
    found = await Webhook.get(id=made.id)
    assert (found.name, found.events, found.method) == ("CRM", ["post.deleted", "post.created"], HttpMethod.PUT)
    assert (found.content_type, found.max_attempts, found.active) == (ContentType.FORM, 20, False)
    assert secret == opened(domain, found, "sealed_secret") == "s3cret"
    assert opened_headers(domain.vault, found) == (("X-Tenant", "7"), ("Authorization", "Bearer x"))


async def test_a_change_touches_only_what_is_given(domain: Domain, admin: Actor) -> None:
    made, _ = await create_webhook(domain, admin, secret="s", headers=(("X-A", "1"),))
    changed = await change_webhook(domain, admin, made, name="New", events=(EventType.POST_DELETED,))
    found = await Webhook.get(id=made.id)
    assert (found.name, found.events, found.callback_url) == ("New", ["post.deleted"], made.callback_url)
    assert found.sealed_secret == made.sealed_secret
    assert found.sealed_headers == made.sealed_headers
    assert changed.updated_at > made.updated_at
    await change_webhook(domain, admin, made, secret=None, headers=None)
    found = await Webhook.get(id=made.id)
    assert (found.sealed_secret, found.sealed_headers) == (None, None)


async def test_what_a_webhook_is_already_changes_nothing(domain: Domain, admin: Actor) -> None:
    made, _ = await create_webhook(domain, admin, events=(EventType.POST_DELETED,))
    same = {
        "name": f" {made.name} ",
        "callback_url": made.callback_url,
        "events": (EventType.POST_DELETED, EventType.POST_DELETED),
        "method": made.method,
        "content_type": made.content_type,
        "active": made.active,
    }
    await change_webhook(domain, admin, made, **same, max_attempts=made.max_attempts)
    assert (await Webhook.get(id=made.id)).updated_at == made.updated_at
    assert not await AuditEvent.filter(action="webhook.update").exists()
    await change_webhook(domain, admin, made, **same, max_attempts=3)
    assert (await AuditEvent.get(action="webhook.update")).detail["changed"] == ["max_attempts"]


async def test_switching_it_on_again_forgets_its_failures(domain: Domain, admin: Actor) -> None:
    made, _ = await create_webhook(domain, admin)
    await Webhook.filter(id=made.id).update(
        active=False,
        disabled_reason=WebhookDisabledReason.FAILING,
        disabled_at=NOW,
        failing_since=NOW,
        unreachable_in_a_row=9,
        circuit_open_until=NOW,
    )
    await change_webhook(domain, admin, made, name="Other")
    assert (await Webhook.get(id=made.id)).disabled_reason is WebhookDisabledReason.FAILING
    await change_webhook(domain, admin, made, active=True)
    found = await Webhook.get(id=made.id)
    assert found.active
    forgotten: list[object] = [found.disabled_reason, found.disabled_at, found.failing_since, found.circuit_open_until]
    assert forgotten == [None] * 4
    assert found.unreachable_in_a_row == 0


async def test_another_url_forgets_the_failures_of_the_old_one(domain: Domain, admin: Actor) -> None:
    made, _ = await create_webhook(domain, admin)
    await Webhook.filter(id=made.id).update(failing_since=NOW, unreachable_in_a_row=9, circuit_open_until=NOW)
    await change_webhook(domain, admin, made, callback_url=made.callback_url)
    assert (await Webhook.get(id=made.id)).failing_since == NOW, "it is the same one"
    await change_webhook(domain, admin, made, callback_url="https://example.org/")
    found = await Webhook.get(id=made.id)
    assert (found.failing_since, found.unreachable_in_a_row, found.circuit_open_until) == (None, 0, None)


@pytest.mark.parametrize(
    ("was_active", "change", "asked_for_too"),
    [
        pytest.param(False, {"active": True}, False, id="switched on"),
        pytest.param(True, {"callback_url": "https://example.org/"}, True, id="another URL"),
    ],
)
async def test_what_waits_to_be_tried_again_is_due_at_once(
    domain: Domain, admin: Actor, was_active: bool, change: dict[str, Any], asked_for_too: bool
) -> None:
    made, other = await listen(domain, admin), await listen(domain, admin)
    for _ in range(2):
        await happen(domain, admin)
    await Delivery.all().update(status=DeliveryStatus.RETRYING, due_at=NOW + timedelta(hours=9))
    asked_for = await Delivery.filter(webhook_id=made.id).order_by("-id").first()
    assert asked_for is not None
    await Delivery.filter(id=asked_for.id).update(retry_after=True)
    await Webhook.filter(id=made.id).update(active=was_active)
    await change_webhook(domain, admin, made, name="Other", active=was_active)
    assert not await owed.due_webhooks(10)
    await change_webhook(domain, admin, made, **change)
    assert [row["webhook_id"] for row in await owed.due_webhooks(10)] == [made.id]
    late = await Delivery.filter(due_at__gt=NOW + timedelta(hours=8))
    # A wait that the receiver itself asked for stays, unless the URL leads to another receiver.
    assert {each.id for each in late if each.webhook_id == made.id} == (set() if asked_for_too else {asked_for.id})
    assert len([each for each in late if each.webhook_id == other.id]) == 2


async def test_deleting_cancels_what_waits_wipes_secrets_and_keeps_the_log(domain: Domain, admin: Actor) -> None:
    made, _ = await create_webhook(domain, admin, events=tuple(EventType), secret="s", headers=(("X-A", "1"),))
    await happen(domain, admin)
    async with domain.unit(admin) as unit:
        await webhooks.rotate_secret(unit, made.id, None, timedelta(hours=1))
    async with domain.unit(admin) as unit:
        await webhooks.delete(unit, made.id)
    found = await Webhook.get(id=made.id)
    assert found.deleted_at is not None
    assert (found.sealed_secret, found.sealed_previous_secret, found.sealed_headers) == (None, None, None)
    assert [delivery.status for delivery in await Delivery.all()] == [DeliveryStatus.CANCELLED]
    await happen(domain, admin)
    assert await Delivery.all().count() == 1
    with pytest.raises(Refused) as refused:
        await change_webhook(domain, admin, made, name="x")
    assert faults_of(refused) == {("id", FaultCode.NOT_FOUND)}


async def test_a_change_that_comes_as_it_is_deleted_finds_it_gone(domain: Domain, admin: Actor) -> None:
    made, _ = await create_webhook(domain, admin)
    async with domain.unit(admin) as unit:
        await webhooks.delete(unit, made.id)
        changing = await beside(change_webhook(domain, admin, made, secret="late"))
    with pytest.raises(Refused) as refused:
        await changing
    assert faults_of(refused) == {("id", FaultCode.NOT_FOUND)}
    assert (await Webhook.get(id=made.id)).sealed_secret is None


async def test_a_test_goes_to_one_webhook_alone_though_inactive(domain: Domain, admin: Actor) -> None:
    made = await listen(domain, admin, EventType.POST_DELETED, active=False)
    await listen(domain, admin)
    async with domain.unit(admin) as unit:
        delivery = await webhooks.test(unit, made.id, EventType.POST_PUBLISHED)
    assert (delivery.webhook_id, delivery.is_test, delivery.event_type) == (made.id, True, EventType.POST_PUBLISHED)
    assert await Delivery.all().count() == 1
    assert '"event":"post.published"' in (await Event.get(id=delivery.event_id)).document


async def test_another_workspace_s_webhook_does_not_exist(domain: Domain, admin: Actor) -> None:
    other = Actor(await workspaces.create("Other"), None, Role.ADMIN)
    theirs = await listen(domain, other)
    for unknown in (theirs.id, 2**70, 0, -5):
        for verb in (
            lambda unit, id_: webhooks.update(unit, id_, webhooks.WebhookChanges(name="x")),
            webhooks.delete,
            lambda unit, id_: webhooks.rotate_secret(unit, id_, None, timedelta()),
            lambda unit, id_: webhooks.test(unit, id_, EventType.POST_CREATED),
        ):
            with pytest.raises(Refused) as refused:
                async with domain.unit(admin) as unit:
                    await verb(unit, unknown)
            assert faults_of(refused) == {("id", FaultCode.NOT_FOUND)}
    assert (await Webhook.get(id=theirs.id)).deleted_at is None


async def test_a_workspace_has_a_limit_of_webhooks(
    domain: Domain, admin: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "MOST_WEBHOOKS", 2)
    await listen(domain, Actor(await workspaces.create("Other"), None, Role.ADMIN))
    gone = await listen(domain, admin)
    async with domain.unit(admin) as unit:
        await webhooks.delete(unit, gone.id)
    results = await asyncio.gather(*(create_webhook(domain, admin) for _ in range(4)), return_exceptions=True)
    refusals = [result for result in results if isinstance(result, Refused)]
    assert [fault.code for refusal in refusals for fault in refusal.faults] == [FaultCode.LIMIT_REACHED] * 2
    assert await Webhook.filter(workspace_id=admin.workspace.id, deleted_at=None).count() == 2
