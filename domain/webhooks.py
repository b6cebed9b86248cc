"""Webhooks: where deliveries go, and what a person may change about it."""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from typing import Any

from domain import audit, catalogue, database, deliveries, dispatch, events, owed, signing
from domain.addresses import AddressPolicy
from domain.errors import FaultCode, Faults, not_found
from domain.ids import is_key
from domain.request import HIDDEN, Headers, keep_hidden
from domain.tables import Delivery, Webhook, Workspace
from domain.unit import Unit
from domain.vault import CannotOpen, Vault
from domain.vocabulary import UNSET, ContentType, EventType, HttpMethod, Unset
from domain.webhook_checks import check_fields

MOST_WEBHOOKS = 1000
LONGEST_OVERLAP = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class NewWebhook:
    """What a person asks for; checked by `create`."""

    name: str
    callback_url: str
    events: tuple[EventType, ...]
    method: HttpMethod = HttpMethod.POST
    content_type: ContentType = ContentType.JSON
    max_attempts: int = 10
    active: bool = True
    secret: str | None = field(default=None, repr=False)
    generate_secret: bool = False
    headers: Headers = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class WebhookChanges:
    """What to change; UNSET leaves a field as it is. None removes secret and headers, and is a fault elsewhere.

    In `headers`, the value `(hidden)` keeps the stored value of the secret header of that name.
    """

    name: str | Unset | None = UNSET
    callback_url: str | Unset | None = UNSET
    events: tuple[EventType, ...] | Unset | None = UNSET
    method: HttpMethod | Unset | None = UNSET
    content_type: ContentType | Unset | None = UNSET
    max_attempts: int | Unset | None = UNSET
    active: bool | Unset | None = UNSET
    secret: str | Unset | None = field(default=UNSET, repr=False)
    headers: Headers | Unset | None = field(default=UNSET, repr=False)


async def create(unit: Unit, new: NewWebhook) -> tuple[Webhook, str | None]:
    """Make a webhook; returns it with its secret, if it has one. Raises Refused with all that is wrong."""
    await _check_new(unit, new)
    secret = signing.generate_secret() if new.generate_secret else new.secret
    webhook = Webhook(
        workspace_id=unit.workspace.id,
        name=new.name.strip(),
        callback_url=new.callback_url,
        method=new.method,
        content_type=new.content_type,
        max_attempts=new.max_attempts,
        active=new.active,
        events=_distinct(new.events),
    )
    webhook.sealed_secret = _seal(unit.domain.vault, webhook, "sealed_secret", secret)
    webhook.sealed_headers = _seal_headers(unit.domain.vault, webhook, new.headers)
    await webhook.save()
    await audit.record(unit, "webhook.create", webhook, name=webhook.name, signed=secret is not None)
    return webhook, secret


async def update(unit: Unit, webhook_id: int, changes: WebhookChanges) -> Webhook:
    """Change what is given. Except for secret and headers, a value that the webhook already has changes nothing.

    Switching it on again, or changing its URL, forgets that its endpoint was failing, and makes what waits to be tried
    again due at once. What the receiver put off by Retry-After keeps its time, unless the URL changes. Raises Refused
    with all that is wrong.
    """
    webhook = await _locked(unit, webhook_id)
    given = {each.name: value for each in fields(changes) if (value := getattr(changes, each.name)) is not UNSET}
    if any(value == HIDDEN for _, value in given.get("headers") or ()):
        given["headers"] = keep_hidden(given["headers"], opened_headers(unit.domain.vault, webhook))
    _check_changes(unit.domain.policy, given)
    changed = _changed(webhook, given)
    wakes, moves = changed.get("active") is True, "callback_url" in changed
    touched = _apply(unit.domain.vault, webhook, changed)
    if wakes or moves:
        touched |= _forget_failures(webhook, wakes)
        # Another receiver has not asked for any wait.
        await owed.make_due(webhook.id, asked_for_too=moves)
    if touched:
        await webhook.save(update_fields=[*touched, "updated_at"])
        await audit.record(unit, "webhook.update", webhook, name=webhook.name, changed=sorted(changed))
    return webhook


async def delete(unit: Unit, webhook_id: int) -> None:
    """Delete a webhook and wipe its secrets; its log stays. Raises Refused (NOT_FOUND).

    What waits for it is cancelled: 5,000 deliveries at once. If there are more, the database loop cancels as many each
    second.
    """
    webhook = await _locked(unit, webhook_id)
    webhook.deleted_at = datetime.now(UTC)
    webhook.active = False
    webhook.sealed_secret = webhook.sealed_previous_secret = webhook.sealed_headers = None
    webhook.previous_secret_until = None
    await webhook.save()
    await deliveries.cancel_all_of(unit, webhook.id)
    await audit.record(unit, "webhook.delete", webhook, name=webhook.name)


async def rotate_secret(
    unit: Unit, webhook_id: int, secret: str | None, overlap: timedelta, now: datetime | None = None
) -> tuple[Webhook, str]:
    """Sign with another secret (a generated one if none is given); the old one also signs for `overlap`.

    A third secret drops the first. Giving the current secret changes nothing, so that a client may ask again.
    Returns the webhook and its new secret. Raises Refused with all that is wrong: the overlap is from 0 to 7 days.
    """
    webhook = await _locked(unit, webhook_id)
    faults = Faults()
    if secret is not None:
        faults.extend(signing.check_secret(secret), "secret")
    if not timedelta() <= overlap <= LONGEST_OVERLAP:
        faults.add(FaultCode.OUT_OF_RANGE, "The old secret may stay for 0 to 604,800 seconds.", "overlap_seconds")
    faults.raise_if_any()
    current = None
    # A secret that no key opens no longer signs anything, so it needs no overlap.
    with suppress(CannotOpen):
        current = _open(unit.domain.vault, webhook, "sealed_secret")
    if secret is not None and secret == current:
        return webhook, secret
    old = current if overlap else None
    fresh = secret or signing.generate_secret()
    webhook.sealed_previous_secret = _seal(unit.domain.vault, webhook, "sealed_previous_secret", old)
    # By the database's clock, which decides for each attempt whether the old one still signs.
    webhook.previous_secret_until = (now or await database.now()) + overlap if old else None
    webhook.sealed_secret = _seal(unit.domain.vault, webhook, "sealed_secret", fresh)
    await webhook.save(update_fields=["sealed_secret", "sealed_previous_secret", "previous_secret_until", "updated_at"])
    seconds = int(overlap.total_seconds())
    await audit.record(unit, "webhook.rotate_secret", webhook, name=webhook.name, overlap_seconds=seconds)
    return webhook, fresh


async def test(unit: Unit, webhook_id: int, event_type: EventType) -> Delivery:
    """Send the catalogue's example of an event to this webhook alone, whatever it listens to, active or not.

    Raises Refused (NOT_FOUND).
    """
    webhook = await _locked(unit, webhook_id)
    example = catalogue.EVENT_TYPES[event_type].example
    event = await events.make(unit, event_type, example["data"])
    delivery = await dispatch.create_test(unit, webhook, event)
    await audit.record(unit, "webhook.test", webhook, name=webhook.name, event_type=event_type.value)
    return delivery


def opened_headers(vault: Vault, webhook: Webhook) -> Headers:
    """The webhook's own headers as they are sent; code that shows them must hide the secret ones (`request.hide`).

    Empty if no key opens them: a list of webhooks must not break at one whose headers have to be set again.
    """
    text = None
    with suppress(CannotOpen):
        text = _open(vault, webhook, "sealed_headers")
    return tuple((name, value) for name, value in json.loads(text)) if text else ()


async def _locked(unit: Unit, webhook_id: int) -> Webhook:
    mine = Webhook.filter(workspace_id=unit.workspace.id, id=webhook_id, deleted_at=None)
    found = await mine.select_for_update(no_key=True).first() if is_key(webhook_id) else None
    return found or not_found("webhook")


async def _check_new(unit: Unit, new: NewWebhook) -> None:
    faults = Faults()
    check_fields(faults, unit.domain.policy, {each.name: getattr(new, each.name) for each in fields(new)})
    if new.secret is not None and new.generate_secret:
        faults.add(FaultCode.INVALID, "Give a secret or have one generated, not both.", "generate_secret")
    # A concurrent creation in the same workspace waits here, so that the count holds.
    await Workspace.filter(id=unit.workspace.id).select_for_update(no_key=True)
    if await Webhook.filter(workspace_id=unit.workspace.id, deleted_at=None).count() >= MOST_WEBHOOKS:
        faults.add(FaultCode.LIMIT_REACHED, f"A workspace may have {MOST_WEBHOOKS:,} webhooks.")
    faults.raise_if_any()


def _check_changes(policy: AddressPolicy, given: Mapping[str, Any]) -> None:
    faults = Faults()
    for name, value in given.items():
        if value is None and name not in {"secret", "headers"}:
            faults.add(FaultCode.REQUIRED, "Leave it out, or give it a value.", name)
    check_fields(faults, policy, given)
    faults.raise_if_any()


def _changed(webhook: Webhook, given: Mapping[str, Any]) -> dict[str, Any]:
    """The given values that differ, as the columns hold them. Sealed ones always count: their key may be lost."""
    held = dict(given)
    if "name" in held:
        held["name"] = held["name"].strip()
    if "events" in held:
        held["events"] = _distinct(held["events"])
    return {name: value for name, value in held.items() if name in _SEALED or value != getattr(webhook, name)}


_SEALED = frozenset({"secret", "headers"})


def _distinct(listened_to: tuple[EventType, ...]) -> list[str]:
    return [event_type.value for event_type in dict.fromkeys(listened_to)]


def _forget_failures(webhook: Webhook, wakes: bool) -> set[str]:
    """A person gives the endpoint another chance; returns the columns that changed."""
    webhook.failing_since = webhook.circuit_open_until = None
    webhook.unreachable_in_a_row = 0
    touched = {"failing_since", "circuit_open_until", "unreachable_in_a_row"}
    if wakes:
        webhook.disabled_reason = None  # type: ignore[assignment] # nullable, which Tortoise's types do not tell
        webhook.disabled_at = None
        touched |= {"disabled_reason", "disabled_at"}
    return touched


def _apply(vault: Vault, webhook: Webhook, changed: Mapping[str, Any]) -> set[str]:
    """Put these values in their columns; returns the columns that changed."""
    touched = set()
    for name, value in changed.items():
        match name:
            case "secret":
                webhook.sealed_secret = _seal(vault, webhook, "sealed_secret", value)
                # Setting a secret outright makes the old one worthless at once; a rotation lets both sign.
                webhook.sealed_previous_secret = webhook.previous_secret_until = None
                touched |= {"sealed_secret", "sealed_previous_secret", "previous_secret_until"}
            case "headers":
                webhook.sealed_headers = _seal_headers(vault, webhook, value or ())
                touched.add("sealed_headers")
            case _:
                setattr(webhook, name, value)
                touched.add(name)
    return touched


def _seal_headers(vault: Vault, webhook: Webhook, headers: Headers) -> bytes | None:
    return _seal(vault, webhook, "sealed_headers", json.dumps(headers)) if headers else None


def _seal(vault: Vault, webhook: Webhook, column: str, plain: str | None) -> bytes | None:
    if plain is None:
        return None
    return vault.seal(plain, workspace_id=webhook.workspace_id, row=str(webhook.uuid), field=column)


def _open(vault: Vault, webhook: Webhook, column: str) -> str | None:
    sealed = getattr(webhook, column)
    if sealed is None:
        return None
    return vault.open(sealed, workspace_id=webhook.workspace_id, row=str(webhook.uuid), field=column)
