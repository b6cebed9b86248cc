"""Who did what: rows that are only ever added, in the transaction of what they tell of."""

from typing import Any

from tortoise.models import Model

from domain.tables import AuditEvent
from domain.unit import Unit


async def record(unit: Unit, action: str, subject: Model | None = None, **detail: Any) -> None:
    """Note that the unit's actor did `action` ("webhook.create") to `subject`.

    `detail` is JSON-able and for people to read: names, numbers, which fields changed; never a secret.
    """
    await AuditEvent.create(
        workspace_id=unit.workspace.id,
        token_id=unit.actor.token.id if unit.actor.token else None,
        action=action,
        subject_type="" if subject is None else type(subject).__name__.lower(),
        subject_id=None if subject is None else subject.pk,
        detail=detail,
    )
