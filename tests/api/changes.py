"""Invented live changes: what a worker would announce, put into the stream of a real Redis."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from itertools import count
from typing import Any, TypeVar
from uuid import UUID

from redis.exceptions import RedisError

from domain.errors import Unavailable
from domain.live import Change, Order
from domain.unit import Domain
from domain.vocabulary import DeliveryStatus, EventType

T = TypeVar("T")

PATIENCE_SECONDS = 300
AT = datetime(2030, 1, 31, 9, 30, tzinfo=UTC)
_subjects = count(1_000)


def delivery_change(
    workspace_id: int,
    subject: int,
    number: int = 1,
    status: DeliveryStatus = DeliveryStatus.SUCCEEDED,
    *,
    event_type: EventType = EventType.POST_PUBLISHED,
    webhook_id: int = 7,
    event_id: int = 5,
    attempt: dict[str, Any] | None = None,
) -> Change:
    """One change of a delivery that is in no table."""
    delivery = {
        "id": subject,
        "uuid": f"00000000-0000-0000-0000-{subject:012}",
        "status": status,
        "attempt_count": 1,
        "max_attempts": 10,
        "created_at": AT,
        "finished_at": AT,
        "next_attempt_at": None,
        "waiting_for": None,
        "retry_of_id": None,
        "webhook_id": webhook_id,
        "event_id": event_id,
    }
    event = {"id": event_id, "uuid": "00000000-0000-0000-0000-000000000005", "type": event_type, "occurred_at": AT}
    data = {"status": status, "occurred_at": AT, "delivery": delivery, "event": event, "attempt": attempt}
    return Change("delivery", workspace_id, subject, str(UUID(int=subject)), number, Order.CLEAR, AT, data)


def succeeded(number: int = 1) -> dict[str, Any]:
    """An attempt as the stream carries it."""
    return {
        "number": number,
        "started_at": AT,
        "duration_ms": 12,
        "outcome": "succeeded",
        "error": None,
        "response_status": 200,
    }


def some_changes(workspace_id: int, number: int, **details: Any) -> list[Change]:
    """Changes of this many different deliveries."""
    return [delivery_change(workspace_id, next(_subjects), **details) for _ in range(number)]


async def announce(domain: Domain, changes: Sequence[Change]) -> None:
    """Put them into the stream."""
    assert all(await patiently(partial(domain.hub.live.append, changes)))


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask a Redis that may be slow until it answers, as subscribers and the database loop do."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            with suppress(RedisError, Unavailable):
                return await ask()
