"""The secrets of a webhook: sealed, hidden, replaced, and rotated with an overlap."""

from datetime import UTC, datetime, timedelta

import pytest

from domain import webhooks
from domain.errors import FaultCode, Refused
from domain.request import HIDDEN
from domain.tables import AuditEvent, Webhook
from domain.unit import Actor, Domain
from domain.webhooks import opened_headers
from tests.clocks import shift
from tests.domain.attempting import claim, owe
from tests.domain.doing import change_webhook, create_webhook, faults_of, opened

NOW = datetime.now(UTC)


async def test_no_secret_stands_in_the_database_in_clear(domain: Domain, admin: Actor) -> None:
    await create_webhook(domain, admin, secret="pl4nted-one", headers=(("X-Key", "pl4nted-two"),))
    kept = repr([*await Webhook.all().values(), *await AuditEvent.all().values()])
    assert "pl4nted" not in kept


async def test_a_secret_is_generated_on_request(domain: Domain, admin: Actor) -> None:
    made, secret = await create_webhook(domain, admin, generate_secret=True)
    assert secret is not None
    assert secret.startswith("whsec_")
    assert opened(domain, made, "sealed_secret") == secret


async def test_whoever_sends_hidden_back_keeps_the_secret_that_it_stands_for(domain: Domain, admin: Actor) -> None:
    made, _ = await create_webhook(
        domain, admin, headers=(("Authorization", "Bearer x"), ("X-Team", "Basic y"), ("X-A", "1"))
    )
    sent_back = (("authorization", HIDDEN), ("X-Team", HIDDEN), ("X-A", "2"))
    changed = await change_webhook(domain, admin, made, headers=sent_back)
    kept = (("authorization", "Bearer x"), ("X-Team", "Basic y"), ("X-A", "2"))
    assert opened_headers(domain.vault, changed) == kept


async def test_hidden_is_a_fault_where_it_stands_for_nothing(domain: Domain, admin: Actor) -> None:
    made, _ = await create_webhook(domain, admin, headers=(("Authorization", "Bearer x"), ("X-A", "1")))
    with pytest.raises(Refused) as refused:
        await change_webhook(
            domain, admin, made, headers=(("Authorization", HIDDEN), ("X-Key", HIDDEN), ("X-A", HIDDEN))
        )
    assert faults_of(refused) == {("headers.1.value", FaultCode.INVALID), ("headers.2.value", FaultCode.INVALID)}
    assert "Give the value itself" in str(refused.value.faults[0].message)
    assert (await Webhook.get(id=made.id)).sealed_headers == made.sealed_headers


async def test_headers_that_no_key_opens_can_be_replaced(domain: Domain, admin: Actor) -> None:
    made, _ = await create_webhook(domain, admin, headers=(("X-Key", "lost"),))
    await Webhook.filter(id=made.id).update(sealed_headers=b"of a key that is gone")
    with pytest.raises(Refused) as refused:
        await change_webhook(domain, admin, made, headers=(("X-Key", HIDDEN),))
    assert faults_of(refused) == {("headers.0.value", FaultCode.INVALID)}
    changed = await change_webhook(domain, admin, made, headers=(("X-Key", "new"),))
    assert opened_headers(domain.vault, changed) == (("X-Key", "new"),)


@pytest.mark.parametrize("chosen", [None, "new"])
async def test_a_secret_that_no_key_opens_is_rotated_away(domain: Domain, admin: Actor, chosen: str | None) -> None:
    made, _ = await create_webhook(domain, admin, secret="lost")
    await Webhook.filter(id=made.id).update(sealed_secret=b"of a key that is gone")
    async with domain.unit(admin) as unit:
        rotated, secret = await webhooks.rotate_secret(unit, made.id, chosen, timedelta(hours=2))
    assert opened(domain, rotated, "sealed_secret") == secret
    assert (rotated.sealed_previous_secret, rotated.previous_secret_until) == (None, None)


async def test_a_rotation_keeps_the_old_secret_for_the_overlap(domain: Domain, admin: Actor) -> None:
    made, _ = await create_webhook(domain, admin, secret="old")
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
    made, _ = await create_webhook(domain, admin, secret="old")
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
    made, _ = await create_webhook(domain, admin, secret="first")
    for secret in ("second", "third"):
        async with domain.unit(admin) as unit:
            await webhooks.rotate_secret(unit, made.id, secret, timedelta(hours=2))
    found = await Webhook.get(id=made.id)
    assert (opened(domain, found, "sealed_secret"), opened(domain, found, "sealed_previous_secret")) == (
        "third",
        "second",
    )


async def test_setting_a_secret_outright_ends_an_overlap(domain: Domain, admin: Actor) -> None:
    made, _ = await create_webhook(domain, admin, secret="old")
    async with domain.unit(admin) as unit:
        await webhooks.rotate_secret(unit, made.id, None, timedelta(hours=2))
    changed = await change_webhook(domain, admin, made, secret="leaked no more")
    assert (changed.sealed_previous_secret, changed.previous_secret_until) == (None, None)


@pytest.mark.parametrize("overlap", [timedelta(seconds=-1), timedelta(days=7, seconds=1), timedelta.max])
async def test_an_overlap_out_of_range_is_refused(domain: Domain, admin: Actor, overlap: timedelta) -> None:
    made, _ = await create_webhook(domain, admin, secret="old")
    with pytest.raises(Refused) as refused:
        async with domain.unit(admin) as unit:
            await webhooks.rotate_secret(unit, made.id, "", overlap)
    assert faults_of(refused) == {("overlap_seconds", FaultCode.OUT_OF_RANGE), ("secret", FaultCode.REQUIRED)}


async def test_the_old_secret_signs_for_the_whole_overlap_though_this_machine_s_clock_is_behind(
    domain: Domain, admin: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = await owe(domain, admin, secret="old")
    shift(monkeypatch, "domain.webhooks", -timedelta(hours=1))
    async with domain.unit(admin) as unit:
        await webhooks.rotate_secret(unit, delivery.webhook_id, "new", timedelta(minutes=30))

    (row,) = await claim(delivery)
    assert row["sealed_previous_secret"] is not None
