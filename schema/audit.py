"""The audit trail: who did what. For admins."""

from datetime import datetime
from typing import Self, cast

import strawberry

from domain import ids, tables
from domain.pages import PageRequest
from domain.vocabulary import Role
from schema.context import Info
from schema.nodes import Node, shown, shows
from schema.pages import After, Before, Connection, First, Last
from schema.permissions import query
from schema.scalars import JSON
from schema.tokens import Token


@shows(tables.AuditEvent)
@strawberry.type(
    description="Something that somebody did in the workspace. It is written together with what it tells of, and stays."
)
class AuditEvent(Node):
    action: str = strawberry.field(
        description="The thing and what was done to it, for example `webhook.rotate_secret`."
    )
    subject_type: str = strawberry.field(description="What kind of thing it was done to, for example `webhook`.")
    subject_id: strawberry.ID | None = strawberry.field(
        description="The id of that thing, which may be gone by now. Null if it was done to no single thing."
    )
    detail: JSON = strawberry.field(description="Details of the action. They contain no secrets.")
    occurred_at: datetime = strawberry.field(description="When it was done.")
    token_key: strawberry.Private[int | None]

    @classmethod
    def of(cls, row: tables.AuditEvent) -> Self:
        return cls(
            id=strawberry.ID(ids.make("AuditEvent", row.id)),
            action=row.action,
            subject_type=row.subject_type,
            subject_id=_subject(row),
            detail=JSON(row.detail),
            occurred_at=row.occurred_at,
            token_key=row.token_id,
        )

    @strawberry.field(description="The token that was used; null for what the command line or the system itself did.")
    async def token(self, info: Info) -> Token | None:
        return cast("Token | None", shown(await info.context.loaders.one(tables.Token, self.token_key)))


def _subject(row: tables.AuditEvent) -> strawberry.ID | None:
    if row.subject_id is None:
        return None
    return strawberry.ID(ids.make(row.subject_type[:1].upper() + row.subject_type[1:], row.subject_id))


@strawberry.type
class AuditQuery:
    @query(Role.ADMIN, "What was done in the workspace and by which token, newest first. For admins only.")
    async def audit_events(
        self, info: Info, *, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[AuditEvent]:
        rows = tables.AuditEvent.filter(workspace_id=info.context.workspace_id)
        return await Connection[AuditEvent].of(rows, PageRequest(first, after, last, before))
