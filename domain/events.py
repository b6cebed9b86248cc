"""Events: what happened, as the document that webhooks receive."""

from typing import Any

from domain import dispatch, payloads
from domain.audit import Note
from domain.tables import Event
from domain.unit import Unit
from domain.vocabulary import EventType


async def record(unit: Unit, event_type: EventType, data: dict[str, Any], note: Note | None = None) -> None:
    """Store an event, with one delivery for each active webhook of the workspace that listens to it, if any.

    `data` comes from `payloads`; `note`, if given, is an audit note to store as well. All of it is committed with the
    unit's transaction, or none of it.
    """
    await dispatch.create_with_event(unit, event_type, payloads.document(event_type, data), note)


async def make(unit: Unit, event_type: EventType, data: dict[str, Any]) -> Event:
    """Store an event without deliveries: the example that a test delivery carries."""
    document = payloads.document(event_type, data)
    return await Event.create(workspace_id=unit.workspace.id, type=event_type, document=document)
