"""Events: what happened, as the document that webhooks receive."""

from typing import Any

from domain.tables import Event
from domain.unit import Unit
from domain.vocabulary import EventType


async def record(unit: Unit, event_type: EventType, data: dict[str, Any]) -> Event:
    raise NotImplementedError
