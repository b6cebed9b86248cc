"""Webhooks: what a person may ask for, and what becomes of it."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain import owed, webhooks, workspaces
from domain.errors import FaultCode, Refused
from domain.request import HIDDEN
from domain.tables import AuditEvent, Delivery, Event, Webhook
from domain.unit import Actor, Domain
from domain.vocabulary import (
    ContentType,
    DeliveryStatus,
    EventType,
    HttpMethod,
    Role,
    WebhookDisabledReason,
)
from domain.webhooks import NewWebhook, opened_headers
from tests.domain.doing import change_webhook, faults_of, happen, listen

NOW = datetime.now(UTC)
LONG_URL = "https://a.example/" + "x" * 2048
GOOD = NewWebhook("Hook", "https://example.com/in", (EventType.POST_PUBLISHED,))


async def create(domain: Domain, actor: Actor, **asked: Any) -> tuple[Webhook, str | None]:
    values = {"name": GOOD.name, "callback_url": GOOD.callback_url, "events": GOOD.events, **asked}
    async with domain.unit(actor) as unit:
        return await webhooks.create(unit, NewWebhook(**values))


def opened(domain: Domain, webhook: Webhook, column: str) -> str:
    return domain.vault.open(
        getattr(webhook, column), workspace_id=webhook.workspace_id, row=str(webhook.uuid), field=column
    )


async def test_a_webhook_is_kept_as_asked_with_each_event_once(domain: Domain, admin: Actor) -> None:
    made, secret = await create(
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


async def test_no_secret_stands_in_the_database_in_clear(domain: Domain, admin: Actor) -> None:
    await create(domain, admin, secret="pl4nted-one", headers=(("X-Key", "pl4nted-two"),))
    kept = repr([*await Webhook.all().values(), *await AuditEvent.all().values()])
    assert "pl4nted" not in kept


async def test_a_secret_is_generated_on_request(domain: Domain, admin: Actor) -> None:
    made, secret = await create(domain, admin, generate_secret=True)
    assert secret is not None
    assert secret.startswith("whsec_")
    assert opened(domain, made, "sealed_secret") == secret


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        pytest.param({"name": " "}, ("name", FaultCode.REQUIRED), id="blank name"),
        pytest.param({"name": "\u200b \ufeff"}, ("name", FaultCode.REQUIRED), id="name that nobody sees"),
        pytest.param({"name": "a\u202eb"}, ("name", FaultCode.INVALID), id="name that turns its line around"),
        pytest.param({"name": "n" * 201}, ("name", FaultCode.TOO_LONG), id="long name"),
        pytest.param({"name": "a\x00b"}, ("name", FaultCode.INVALID), id="NUL"),
        pytest.param({"name": "a\udc00"}, ("name", FaultCode.INVALID), id="half a surrogate pair"),
        pytest.param({"callback_url": ""}, ("callback_url", FaultCode.REQUIRED), id="no URL"),
        pytest.param({"callback_url": "nonsense"}, ("callback_url", FaultCode.INVALID), id="no URL at all"),
        pytest.param({"callback_url": "ftp://example.com"}, ("callback_url", FaultCode.INVALID), id="ftp"),
        pytest.param({"callback_url": "https://a/\x00"}, ("callback_url", FaultCode.INVALID), id="NUL in the URL"),
        pytest.param({"callback_url": "http://10.0.0.1/"}, ("callback_url", FaultCode.ADDRESS_REFUSED), id="inside"),
        pytest.param({"callback_url": LONG_URL}, ("callback_url", FaultCode.TOO_LONG), id="long URL"),
        pytest.param({"events": ()}, ("events", FaultCode.REQUIRED), id="no events"),
        pytest.param({"max_attempts": 0}, ("max_attempts", FaultCode.OUT_OF_RANGE), id="no attempts"),
        pytest.param({"max_attempts": 21}, ("max_attempts", FaultCode.OUT_OF_RANGE), id="21 attempts"),
        pytest.param({"secret": ""}, ("secret", FaultCode.REQUIRED), id="empty secret"),
        pytest.param({"secret": "s" * 10_000}, ("secret", FaultCode.TOO_LONG), id="long secret"),
        pytest.param({"secret": "a\nb"}, ("secret", FaultCode.INVALID), id="unprintable secret"),
        pytest.param({"secret": "a\ud800"}, ("secret", FaultCode.INVALID), id="half a pair in the secret"),
        pytest.param({"secret": "s", "generate_secret": True}, ("generate_secret", FaultCode.INVALID), id="both"),
        pytest.param({"headers": (("Host", "x"),)}, ("headers.0.name", FaultCode.INVALID), id="reserved header"),
        pytest.param({"headers": (("X", "a\r\nb"),)}, ("headers.0.value", FaultCode.INVALID), id="smuggled header"),
        pytest.param({"headers": (("X-Key", HIDDEN),)}, ("headers.0.value", FaultCode.INVALID), id="hidden header"),
    ],
)  # fmt: skip
async def test_what_cannot_be_is_refused_when_new_and_when_changed(
    domain: Domain, admin: Actor, asked: dict[str, Any], fault: tuple[str, FaultCode]
) -> None:
    with pytest.raises(Refused) as refused:
        await create(domain, admin, **asked)
    assert faults_of(refused) == {fault}
    assert not await Webhook.exists()
    if "generate_secret" in asked:
        return
    made, _ = await create(domain, admin)
    with pytest.raises(Refused) as refused:
        await change_webhook(domain, admin, made, **asked)
    assert faults_of(refused) == {fault}
    assert await Webhook.all().values() == [await Webhook.get(id=made.id).values()]


async def test_all_faults_are_told_at_once(domain: Domain, admin: Actor) -> None:
    with pytest.raises(Refused) as refused:
        await create(domain, admin, name="", callback_url="x", events=(), max_attempts=0, secret="")
    assert {field for field, _ in faults_of(refused)} == {"name", "callback_url", "events", "max_attempts", "secret"}


async def test_a_change_touches_only_what_is_given(domain: Domain, admin: Actor) -> None:
    made, _ = await create(domain, admin, secret="s", headers=(("X-A", "1"),))
    changed = await change_webhook(domain, admin, made, name="New", events=(EventType.POST_DELETED,))
    found = await Webhook.get(id=made.id)
    assert (found.name, found.events, found.callback_url) == ("New", ["post.deleted"], made.callback_url)
    assert found.sealed_secret == made.sealed_secret
    assert found.sealed_headers == made.sealed_headers
    assert changed.updated_at > made.updated_at
    await change_webhook(domain, admin, made, secret=None, headers=None)
    found = await Webhook.get(id=made.id)
    assert (found.sealed_secret, found.sealed_headers) == (None, None)


async def test_whoever_sends_hidden_back_keeps_the_secret_that_it_stands_for(domain: Domain, admin: Actor) -> None:
    made, _ = await create(domain, admin, headers=(("Authorization", "Bearer x"), ("X-Team", "Basic y"), ("X-A", "1")))
    sent_back = (("authorization", HIDDEN), ("X-Team", HIDDEN), ("X-A", "2"))
    changed = await change_webhook(domain, admin, made, headers=sent_back)
    kept = (("authorization", "Bearer x"), ("X-Team", "Basic y"), ("X-A", "2"))
    assert opened_headers(domain.vault, changed) == kept


async def test_hidden_is_a_fault_where_it_stands_for_nothing(domain: Domain, admin: Actor) -> None:
    made, _ = await create(domain, admin, headers=(("Authorization", "Bearer x"), ("X-A", "1")))
    with pytest.raises(Refused) as refused:
        await change_webhook(
            domain, admin, made, headers=(("Authorization", HIDDEN), ("X-Key", HIDDEN), ("X-A", HIDDEN))
        )
    assert faults_of(refused) == {("headers.1.value", FaultCode.INVALID), ("headers.2.value", FaultCode.INVALID)}
    assert "give the value itself" in str(refused.value.faults[0].message)
    assert (await Webhook.get(id=made.id)).sealed_headers == made.sealed_headers


async def test_headers_that_no_key_opens_can_be_replaced(domain: Domain, admin: Actor) -> None:
    made, _ = await create(domain, admin, headers=(("X-Key", "lost"),))
    await Webhook.filter(id=made.id).update(sealed_headers=b"of a key that is gone")
    changed = await change_webhook(domain, admin, made, headers=(("X-Key", "new"),))
    assert opened_headers(domain.vault, changed) == (("X-Key", "new"),)


async def test_null_is_a_fault_where_there_must_be_something(domain: Domain, admin: Actor) -> None:
    made, _ = await create(domain, admin)
    with pytest.raises(Refused) as refused:
        await change_webhook(domain, admin, made, name=None, events=None, active=None)
    assert faults_of(refused) == {(name, FaultCode.REQUIRED) for name in ("name", "events", "active")}


async def test_switching_it_on_again_forgets_its_failures(domain: Domain, admin: Actor) -> None:
    made, _ = await create(domain, admin)
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
    made, _ = await create(domain, admin)
    await Webhook.filter(id=made.id).update(failing_since=NOW, unreachable_in_a_row=9, circuit_open_until=NOW)
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
    late = await Delivery.filter(due_at__gt=NOW + timedelta(hours=1))
    # What the receiver itself has asked for holds, unless it is another receiver.
    assert {each.id for each in late if each.webhook_id == made.id} == (set() if asked_for_too else {asked_for.id})
    assert len([each for each in late if each.webhook_id == other.id]) == 2


async def test_deleting_cancels_what_waits_wipes_secrets_and_keeps_the_log(domain: Domain, admin: Actor) -> None:
    made, _ = await create(domain, admin, events=tuple(EventType), secret="s", headers=(("X-A", "1"),))
    await happen(domain, admin)
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


async def test_a_rotation_keeps_the_old_secret_for_the_overlap(domain: Domain, admin: Actor) -> None:
    made, _ = await create(domain, admin, secret="old")
    async with domain.unit(admin) as unit:
        rotated, secret = await webhooks.rotate_secret(unit, made.id, None, timedelta(hours=2), NOW)
    found = await Webhook.get(id=rotated.id)
    assert opened(domain, found, "sealed_secret") == secret != "old"
    assert opened(domain, found, "sealed_previous_secret") == "old"
    assert found.previous_secret_until == NOW + timedelta(hours=2)
    async with domain.unit(admin) as unit:
        await webhooks.rotate_secret(unit, made.id, "chosen", timedelta())
    found = await Webhook.get(id=rotated.id)
    assert opened(domain, found, "sealed_secret") == "chosen"
    assert (found.sealed_previous_secret, found.previous_secret_until) == (None, None)


@pytest.mark.parametrize("overlap", [timedelta(hours=1), timedelta()], ids=["with an overlap", "without one"])
async def test_a_rotation_that_is_repeated_changes_nothing(domain: Domain, admin: Actor, overlap: timedelta) -> None:
    made, _ = await create(domain, admin, secret="old")
    async with domain.unit(admin) as unit:
        await webhooks.rotate_secret(unit, made.id, "new", timedelta(hours=2), NOW)
    async with domain.unit(admin) as unit:
        await webhooks.rotate_secret(unit, made.id, "new", overlap)
    found = await Webhook.get(id=made.id)
    assert opened(domain, found, "sealed_secret") == "new"
    assert opened(domain, found, "sealed_previous_secret") == "old"
    assert found.previous_secret_until == NOW + timedelta(hours=2)
    assert await AuditEvent.filter(action="webhook.rotate_secret").count() == 1


async def test_a_third_secret_drops_the_first(domain: Domain, admin: Actor) -> None:
    made, _ = await create(domain, admin, secret="first")
    for secret in ("second", "third"):
        async with domain.unit(admin) as unit:
            await webhooks.rotate_secret(unit, made.id, secret, timedelta(hours=2))
    found = await Webhook.get(id=made.id)
    assert (opened(domain, found, "sealed_secret"), opened(domain, found, "sealed_previous_secret")) == (
        "third",
        "second",
    )


async def test_setting_a_secret_outright_ends_an_overlap(domain: Domain, admin: Actor) -> None:
    made, _ = await create(domain, admin, secret="old")
    async with domain.unit(admin) as unit:
        await webhooks.rotate_secret(unit, made.id, None, timedelta(hours=2))
    changed = await change_webhook(domain, admin, made, secret="leaked no more")
    assert (changed.sealed_previous_secret, changed.previous_secret_until) == (None, None)


@pytest.mark.parametrize("overlap", [timedelta(seconds=-1), timedelta(days=7, seconds=1), timedelta.max])
async def test_an_overlap_out_of_range_is_refused(domain: Domain, admin: Actor, overlap: timedelta) -> None:
    made, _ = await create(domain, admin, secret="old")
    with pytest.raises(Refused) as refused:
        async with domain.unit(admin) as unit:
            await webhooks.rotate_secret(unit, made.id, "", overlap)
    assert faults_of(refused) == {("overlap_seconds", FaultCode.OUT_OF_RANGE), ("secret", FaultCode.REQUIRED)}


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
    results = await asyncio.gather(*(create(domain, admin) for _ in range(4)), return_exceptions=True)
    refusals = [result for result in results if isinstance(result, Refused)]
    assert [fault.code for refusal in refusals for fault in refusal.faults] == [FaultCode.LIMIT_REACHED] * 2
    assert await Webhook.all().count() == 2
