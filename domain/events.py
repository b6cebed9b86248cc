"""Events: what happened, as the document that webhooks receive."""

from typing import Any

from domain import dispatch, payloads
from domain.audit import Note
from domain.tables import Event
from domain.unit import Unit
from domain.vocabulary import EventType


async def record(unit: Unit, event_type: EventType, data: dict[str, Any], note: Note | None = None) -> None:
    """Keep that something happened, with one delivery for each active webhook of the workspace that listens.

    `data` is what `payloads` made; `note` is of who did it, where that is to be kept as well. It all stands or falls
    with the unit's transaction; nobody need listen.
    """
    await dispatch.create_with_event(unit, event_type, payloads.document(event_type, data), note)


async def make(unit: Unit, event_type: EventType, data: dict[str, Any]) -> Event:
    """Keep an event that goes to nobody by itself: the example that a test delivery carries."""
    document = payloads.document(event_type, data)
    return await Event.create(workspace_id=unit.workspace.id, type=event_type, document=document)
