"""Tokens and the workspace they open."""

from datetime import datetime
from typing import Annotated, Self

import strawberry

from domain import ids, tables, workspaces
from domain.pages import PageRequest
from domain.vocabulary import Role
from schema.context import Info
from schema.errors import UserError
from schema.nodes import Node, shows
from schema.pages import After, Before, Connection, First, Last
from schema.permissions import mutation


@shows(tables.Token)
@strawberry.type(description="A key to a workspace. The key itself is shown once, when it is created.")
class Token(Node):
    name: str = strawberry.field(description="What people call it, for example the program that uses it.")
    role: Role = strawberry.field(description="What it may do.")
    prefix: str = strawberry.field(description="How the token begins, so that people can tell which one it is.")
    created_at: datetime = strawberry.field(description="When it was created.")
    last_used_at: datetime | None = strawberry.field(
        description="When it last opened the workspace, to the minute; null if it never did."
    )
    expires_at: datetime | None = strawberry.field(description="When it expires; null if it does not.")
    revoked_at: datetime | None = strawberry.field(description="When somebody made it stop working.")

    @classmethod
    def of(cls, row: tables.Token) -> Self:
        return cls(
            id=strawberry.ID(ids.make("Token", row.id)),
            name=row.name,
            role=row.role,
            prefix=row.prefix,
            created_at=row.created_at,
            last_used_at=row.last_used_at,
            expires_at=row.expires_at,
            revoked_at=row.revoked_at,
        )


@shows(tables.Workspace)
@strawberry.type(description="What everything belongs to. Nothing of one workspace can be seen from another.")
class Workspace(Node):
    name: str = strawberry.field(description="What people call it.")
    created_at: datetime = strawberry.field(description="When it was created.")
    key: strawberry.Private[int]

    @classmethod
    def of(cls, row: tables.Workspace) -> Self:
        return cls(
            id=strawberry.ID(ids.make("Workspace", row.id)), name=row.name, created_at=row.created_at, key=row.id
        )

    @strawberry.field(description="Its tokens, newest first, the revoked ones too.")
    async def tokens(
        self, *, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Token]:
        rows = tables.Token.filter(workspace_id=self.key)
        return await Connection[Token].of(rows, PageRequest(first, after, last, before))


@strawberry.input(description="A token to create.")
class TokenCreateInput:
    name: str = strawberry.field(description="What to call it.")
    role: Role = strawberry.field(description="What it may do.")
    expires_at: datetime | None = strawberry.field(default=None, description="When it expires; never by default.")


@strawberry.type(description="The result of creating a token.")
class TokenCreatePayload:
    token: Token | None = strawberry.field(default=None, description="The token; null if it was refused.")
    secret: str | None = strawberry.field(
        default=None, description="What to send as `Authorization: Bearer ...`. Keep it: it is never shown again."
    )
    errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty if it was not."
    )


@strawberry.type(description="The result of revoking a token.")
class TokenRevokePayload:
    token: Token | None = strawberry.field(
        default=None, description="The token as it is now; null if nothing was revoked."
    )
    errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty if it was not."
    )


@strawberry.type
class TokenMutation:
    @mutation(Role.ADMIN, "Makes a token for a person or a program.")
    async def token_create(
        self, info: Info, input: Annotated[TokenCreateInput, strawberry.argument(description="The token.")]
    ) -> TokenCreatePayload:
        new = workspaces.NewToken(name=input.name, role=input.role, expires_at=input.expires_at)
        async with info.context.unit() as unit:
            row, secret = await workspaces.create_token(unit, new)
        return TokenCreatePayload(token=Token.of(row), secret=secret)

    @mutation(Role.ADMIN, "Makes a token stop working at once, and ends the subscriptions that it has open.")
    async def token_revoke(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The token's id.")]
    ) -> TokenRevokePayload:
        async with info.context.unit() as unit:
            row = await workspaces.revoke_token(unit, ids.key("Token", id))
        return TokenRevokePayload(token=Token.of(row))
