"""Assignments: what a worker needs for an attempt, with the secrets opened."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from domain import deliveries, webhooks
from domain.assignments import assignment_of
from domain.database import rows
from domain.tables import Delivery
from domain.unit import Actor, Domain
from domain.vault import CannotOpen, Vault
from domain.vocabulary import ContentType, EventType, HttpMethod
from tests.domain.attempting import LEASE
from tests.domain.doing import happen, listen

KEY, OTHER_KEY = bytes(range(32)), bytes(32)


def row(vault: Vault, **secrets: str) -> dict[str, Any]:
    """A claimed row for a new webhook, with these columns sealed."""
    webhook = uuid4()
    sealed = {name: vault.seal(plain, workspace_id=1, row=str(webhook), field=name) for name, plain in secrets.items()}
    return {
        "id": 5, "uuid": uuid4(), "workspace_id": 1, "webhook_id": 9, "webhook_uuid": webhook, "attempt_number": 3,
        "max_attempts": 10, "attempt_count": 2, "event_uuid": uuid4(), "event_type": "post.published",
        "event_occurred_at": datetime.now(UTC), "document": "{}", "callback_url": "https://example.com",
        "method": "PUT", "content_type": "application/json", "sealed_secret": None, "sealed_previous_secret": None,
        "sealed_headers": None, **sealed,
    }  # fmt: skip


async def test_a_claimed_row_becomes_what_the_request_is_made_of(domain: Domain, admin: Actor) -> None:
    await listen(
        domain, admin, secret="s3cret", headers=(("X-Team", "a"),), method=HttpMethod.PUT, content_type=ContentType.FORM
    )
    event = await happen(domain, admin)
    delivery = await Delivery.get(event_id=event.id)
    (claimed,) = await deliveries.claim([delivery.id], LEASE)

    made = assignment_of(domain.vault, claimed)

    assert (made.delivery_uuid, made.event_uuid) == (str(delivery.uuid), str(event.uuid))
    assert made.occurred_at == event.occurred_at
    assert (made.url, made.method, made.content_type) == ("https://example.com/in", HttpMethod.PUT, ContentType.FORM)
    assert (made.event_type, made.document, made.number) == (EventType.ACCOUNT_DELETED, event.document, 1)
    assert (made.secret, made.previous_secret, made.headers) == ("s3cret", None, (("X-Team", "a"),))


async def test_the_old_secret_is_there_while_a_rotation_overlaps_and_not_after(domain: Domain, admin: Actor) -> None:
    webhook = await listen(domain, admin, secret="old")
    async with domain.unit(admin) as unit:
        await webhooks.rotate_secret(unit, webhook.id, "new", LEASE)
    for left, expected in (("0 seconds", "old"), ("1 hour", None)):
        await rows(f"UPDATE webhook SET previous_secret_until = previous_secret_until - interval '{left}'")
        event = await happen(domain, admin)
        delivery = await Delivery.get(event_id=event.id)
        (claimed,) = await deliveries.claim([delivery.id], LEASE)

        made = assignment_of(domain.vault, claimed)

        assert (made.secret, made.previous_secret) == ("new", expected)


def test_a_webhook_without_secrets_has_none() -> None:
    made = assignment_of(Vault([KEY]), row(Vault([KEY])))

    assert (made.secret, made.previous_secret, made.headers) == (None, None, ())


@pytest.mark.parametrize("column", ["sealed_secret", "sealed_previous_secret", "sealed_headers"])
def test_a_missing_key_is_told(column: str) -> None:
    with pytest.raises(CannotOpen):
        assignment_of(Vault([OTHER_KEY]), row(Vault([KEY]), **{column: "[]"}))


def test_one_webhooks_secret_in_the_row_of_another_does_not_open() -> None:
    vault = Vault([KEY])
    victim = row(vault, sealed_secret="s3cret")
    moved = {**row(vault), "sealed_secret": victim["sealed_secret"]}

    assert assignment_of(vault, victim).secret == "s3cret"
    with pytest.raises(CannotOpen):
        assignment_of(vault, moved)


def test_secrets_are_not_shown_by_accident() -> None:
    made = assignment_of(Vault([KEY]), row(Vault([KEY]), sealed_secret="s3cret", sealed_headers='[["X-A","hush"]]'))

    assert "s3cret" not in repr(made)
    assert "hush" not in repr(made)
