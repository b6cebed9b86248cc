"""Deliveries that an engine works on: due at once, hinted at, and finished."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from domain.database import rows
from domain.tables import Attempt, Delivery
from domain.tasks import end
from domain.unit import Domain
from domain.vocabulary import DeliveryStatus
from tests.waiting import until
from workers import metrics
from workers.engine import Engine
from workers.main import take_hints
from workers.publish import Publisher


async def all_due_now() -> None:
    await rows("UPDATE delivery SET due_at = now() WHERE finished_at IS NULL")


async def finished(domain: Domain, engine: Engine, count: int = 1) -> list[Delivery]:
    """All deliveries, once none is under way, and this many attempts and the health of their endpoints are recorded."""

    async def is_over() -> bool:
        goes_on = await Delivery.filter(status=DeliveryStatus.DELIVERING).exists()
        return await Attempt.all().count() >= count and not goes_on and not engine._recorder._groups

    await until(is_over)
    return await Delivery.all().order_by("id")


def claimed(by: str) -> float:
    """How many deliveries were claimed so far because of `by`, according to the metrics of this process."""
    return metrics.REGISTRY.get_sample_value("hookline_claimed_total", {"by": by}) or 0.0


@asynccontextmanager
async def taking_hints(domain: Domain) -> AsyncIterator["asyncio.Task[None]"]:
    """A worker without its database loop: it delivers only what it is told of."""
    async with Engine(domain).running() as engine, Publisher(domain).running() as publisher:
        task = asyncio.create_task(take_hints(domain, engine, publisher))
        try:
            yield task
        finally:
            await end(task)
