"""Who did what: rows that are only ever added, in the transaction of the change that they describe."""

from typing import Any, NamedTuple

import orjson
from tortoise.models import Model

from domain.database import rows
from domain.unit import Unit


class Note(NamedTuple):
    """A row to insert: the values of COLUMNS."""

    workspace_id: int
    token_id: int | None
    action: str
    subject_type: str
    subject_id: int | None
    detail: str


COLUMNS = ", ".join(Note._fields)


def note(unit: Unit, action: str, subject: Model | None = None, **detail: Any) -> Note:
    """A note that the unit's actor did `action` ("webhook.create") to `subject`, for a statement that stores it.

    `detail` is JSON-able and for people to read: names, numbers, which fields changed; never a secret.
    """
    return Note(
        workspace_id=unit.workspace.id,
        token_id=unit.actor.token.id if unit.actor.token else None,
        action=action,
        subject_type="" if subject is None else type(subject).__name__.lower(),
        subject_id=None if subject is None else subject.pk,
        detail=orjson.dumps(detail).decode(),
    )


async def record(unit: Unit, action: str, subject: Model | None = None, **detail: Any) -> None:
    """Store a note in a statement of its own; see `note`."""
    await rows(_KEEP, *note(unit, action, subject, **detail))


_KEEP = """
INSERT INTO audit_event (COLUMNS, occurred_at) VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp())
""".replace("COLUMNS", COLUMNS)
