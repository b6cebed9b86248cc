"""Who did what: rows that are only ever added, in the transaction of what they tell of."""

import json
from typing import Any

from tortoise.models import Model

from domain.database import rows
from domain.unit import Unit


async def record(unit: Unit, action: str, subject: Model | None = None, **detail: Any) -> None:
    """Note that the unit's actor did `action` ("webhook.create") to `subject`.

    `detail` is JSON-able and for people to read: names, numbers, which fields changed; never a secret.
    """
    await rows(
        _NOTE,
        unit.workspace.id,
        unit.actor.token.id if unit.actor.token else None,
        action,
        "" if subject is None else type(subject).__name__.lower(),
        None if subject is None else subject.pk,
        json.dumps(detail),
    )


_NOTE = """
INSERT INTO audit_event (workspace_id, token_id, action, subject_type, subject_id, detail, occurred_at)
VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp())
"""
