"""Webhooks: where deliveries go, and what a person may change about it."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from domain.tables import Delivery, Webhook
from domain.unit import Unit
from domain.vault import Vault
from domain.vocabulary import UNSET, ContentType, EventType, HttpMethod, Unset

Headers = tuple[tuple[str, str], ...]


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
    """What a person wants to be different; UNSET stays as it is. None is a fault but for secret and headers (removed)."""

    name: str | None | Unset = UNSET
    callback_url: str | None | Unset = UNSET
    events: tuple[EventType, ...] | None | Unset = UNSET
    method: HttpMethod | None | Unset = UNSET
    content_type: ContentType | None | Unset = UNSET
    max_attempts: int | None | Unset = UNSET
    active: bool | None | Unset = UNSET
    secret: str | None | Unset = field(default=UNSET, repr=False)
    headers: Headers | None | Unset = field(default=UNSET, repr=False)


@dataclass(frozen=True, slots=True)
class Stats:
    """How the deliveries of one webhook fared; response times in milliseconds, None where nobody answered."""

    deliveries: int = 0
    succeeded: int = 0
    failed: int = 0
    pending: int = 0
    attempts: int = 0
    success_rate: float | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None


async def create(unit: Unit, new: NewWebhook) -> tuple[Webhook, str | None]:
    """Returns the webhook and its secret (None where it has none)."""
    raise NotImplementedError


async def update(unit: Unit, webhook_id: int, changes: WebhookChanges) -> Webhook:
    raise NotImplementedError


async def delete(unit: Unit, webhook_id: int) -> None:
    raise NotImplementedError


async def rotate_secret(unit: Unit, webhook_id: int, secret: str | None, overlap: timedelta) -> tuple[Webhook, str]:
    raise NotImplementedError


async def test(unit: Unit, webhook_id: int, event_type: EventType) -> Delivery:
    raise NotImplementedError


async def stats(webhook_ids: list[int], since: datetime | None, until: datetime | None) -> dict[int, Stats]:
    raise NotImplementedError


def opened_headers(vault: Vault, webhook: Webhook) -> Headers:
    raise NotImplementedError
