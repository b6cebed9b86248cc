"""Deliveries in the hands of an engine: due at once, and finished."""

import asyncio

from domain.database import rows
from domain.tables import Attempt, Delivery
from domain.unit import Domain
from domain.vocabulary import DeliveryStatus
from workers.engine import Engine


async def all_due_now() -> None:
    await rows("UPDATE delivery SET due_at = now() WHERE finished_at IS NULL")


async def finished(domain: Domain, engine: Engine, count: int = 1) -> list[Delivery]:
    """All deliveries, once this many attempts are recorded and none is under way."""
    async with asyncio.timeout(60):
        while await Attempt.all().count() < count or await Delivery.filter(status=DeliveryStatus.DELIVERING).exists():
            await asyncio.sleep(0.01)
    return await Delivery.all().order_by("id")
