"""Deliveries in the hands of an engine: due at once, and finished."""

from domain.database import rows
from domain.tables import Attempt, Delivery
from domain.unit import Domain
from domain.vocabulary import DeliveryStatus
from tests.waiting import until
from workers import metrics
from workers.engine import Engine


async def all_due_now() -> None:
    await rows("UPDATE delivery SET due_at = now() WHERE finished_at IS NULL")


async def finished(domain: Domain, engine: Engine, count: int = 1) -> list[Delivery]:
    """All deliveries, once this many attempts are recorded, with what they say of their endpoints, and none goes on."""

    async def is_over() -> bool:
        goes_on = await Delivery.filter(status=DeliveryStatus.DELIVERING).exists()
        return await Attempt.all().count() >= count and not goes_on and not engine._recorder._groups

    await until(is_over)
    return await Delivery.all().order_by("id")


def claimed(by: str) -> float:
    """How many were taken so far because this told of them, as the metrics of this process have it."""
    return metrics.REGISTRY.get_sample_value("hookline_claimed_total", {"by": by}) or 0.0
