"""Accounts: what a client may ask and change about them."""

from datetime import datetime
from typing import Annotated, Self

import strawberry

from domain import accounts, ids, tables
from domain.pages import PageRequest
from domain.vocabulary import Provider, Role
from schema.arguments import given
from schema.context import Info
from schema.errors import UserError
from schema.nodes import Node, shows
from schema.pages import After, Before, Connection, First, Last
from schema.permissions import mutation
from schema.scalars import JSON

AccountId = Annotated[strawberry.ID, strawberry.argument(description="The account's id.")]


@shows(tables.Account)
@strawberry.type(description="An identity on a social network that the workspace publishes through.")
class Account(Node):
    uuid: str = strawberry.field(description="The account's name in payloads; it never changes.")
    provider: Provider = strawberry.field(description="The network it lives on.")
    provider_id: str = strawberry.field(description="What the network calls it.")
    name: str = strawberry.field(description="The name that people see.")
    username: str | None = strawberry.field(description="Its handle on the network, if it has one.")
    image: str | None = strawberry.field(description="The URL of its picture, if it has one.")
    data: JSON = strawberry.field(description="What else the network tells of it, for example its server.")
    authorized: bool = strawberry.field(
        description="Whether its credentials work. False from the moment the network turns them down."
    )
    deleted: bool = strawberry.field(
        description="Whether it was removed. Then no list has it and its id is not found, but posts still refer to it."
    )
    created_at: datetime = strawberry.field(description="When it was connected.")
    updated_at: datetime = strawberry.field(description="When it last changed.")

    @classmethod
    def of(cls, row: tables.Account) -> Self:
        return cls(
            id=strawberry.ID(ids.make("Account", row.id)),
            uuid=str(row.uuid),
            provider=row.provider,
            provider_id=row.provider_id,
            name=row.name,
            username=row.username,
            image=row.image,
            data=JSON(row.data),
            authorized=row.authorized,
            deleted=row.deleted_at is not None,
            created_at=row.created_at,
            updated_at=row.updated_at,
        )


@strawberry.input(description="An account to connect. What is needed depends on the provider.")
class AccountAddInput:
    provider: Provider = strawberry.field(description="The network it lives on.")
    server: str | None = strawberry.field(
        default=None,
        description=(
            "Mastodon: the base URL of its server. Bluesky: that of its personal data server, https://bsky.social "
            "by default. Sandbox: what becomes of its posts, for example ok, slow, failing or unauthorized."
        ),
    )
    identifier: str | None = strawberry.field(
        default=None, description="Bluesky: the handle. Sandbox: any name. Mastodon does not need it."
    )
    credential: str | None = strawberry.field(
        default=None,
        description="Mastodon: an access token. Bluesky: an app password. It is kept sealed and never shown again.",
    )
    name: str | None = strawberry.field(default=None, description="A name of your own, instead of the network's.")


@strawberry.input(description="Changes to an account. What is left out stays as it is.")
class AccountUpdateInput:
    name: str | None = strawberry.field(default=strawberry.UNSET, description="The name that people see.")
    credential: str | None = strawberry.field(
        default=strawberry.UNSET, description="A new access token or app password; it is tried out at once."
    )


@strawberry.type(description="The result of connecting an account.")
class AccountAddPayload:
    account: Account | None = strawberry.field(default=None, description="The account; null if it was refused.")
    errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty if it was not."
    )


@strawberry.type(description="The result of changing an account.")
class AccountUpdatePayload:
    account: Account | None = strawberry.field(
        default=None, description="The account as it is now; null if the change was refused."
    )
    errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty if it was not."
    )


@strawberry.type(description="The result of removing an account.")
class AccountDeletePayload:
    deleted_account_id: strawberry.ID | None = strawberry.field(
        default=None, description="The id of the removed account; null if nothing was removed."
    )
    errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty if it was not."
    )


@strawberry.type
class AccountQuery:
    @strawberry.field(description="One account; null if there is none with this id.")
    async def account(self, info: Info, id: AccountId) -> Account | None:
        row = await info.context.loaders.one(tables.Account, ids.key("Account", id))
        return None if row is None or row.deleted_at is not None else Account.of(row)

    @strawberry.field(description="The workspace's accounts, newest first.")
    async def accounts(
        self, info: Info, *, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Account]:
        rows = tables.Account.filter(workspace_id=info.context.workspace_id, deleted_at=None)
        return await Connection[Account].of(rows, PageRequest(first, after, last, before))


@strawberry.type
class AccountMutation:
    @mutation(Role.MEMBER, "Connects an account, after asking its network whether the credentials are good.")
    async def account_add(
        self, info: Info, input: Annotated[AccountAddInput, strawberry.argument(description="The account.")]
    ) -> AccountAddPayload:
        new = accounts.NewAccount(
            provider=input.provider,
            server=input.server,
            identifier=input.identifier,
            credential=input.credential,
            name=input.name,
        )
        row = await accounts.add(info.context.domain, info.context.actor, new)
        return AccountAddPayload(account=Account.of(row))

    @mutation(Role.MEMBER, "Changes an account's name, or gives it new credentials.")
    async def account_update(
        self,
        info: Info,
        id: AccountId,
        input: Annotated[AccountUpdateInput, strawberry.argument(description="The changes.")],
    ) -> AccountUpdatePayload:
        changes = accounts.AccountChanges(name=given(input.name), credential=given(input.credential))
        row = await accounts.update(info.context.domain, info.context.actor, ids.key("Account", id), changes)
        return AccountUpdatePayload(account=Account.of(row))

    @mutation(Role.MEMBER, "Removes an account from the workspace. What it has published stays on its network.")
    async def account_delete(self, info: Info, id: AccountId) -> AccountDeletePayload:
        async with info.context.unit() as unit:
            await accounts.delete(unit, ids.key("Account", id))
        return AccountDeletePayload(deleted_account_id=id)
