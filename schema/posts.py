"""Posts: what a client may ask of them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Self, cast

import strawberry
from tortoise.queryset import QuerySet

from domain import ids, post_checks, tables
from domain.pages import PageRequest
from domain.vocabulary import PostAccountStatus, PostStatus
from schema.accounts import Account
from schema.context import Context, Info
from schema.nodes import Node, shows
from schema.pages import After, Before, Connection, First, Last

PostId = Annotated[strawberry.ID, strawberry.argument(description="The post's id.")]


@strawberry.type(description="What one account says instead of the post's text.")
class PostVariant:
    body: str = strawberry.field(description="The text for this account.")
    account_key: strawberry.Private[int]

    @strawberry.field(description="The account that says it.")
    async def account(self, info: Info) -> Account:
        return await _account(info.context, self.account_key)


@strawberry.type(description="The state of a post on one of its accounts.")
class PostAccount:
    status: PostAccountStatus = strawberry.field(description="Whether it is out there.")
    provider_post_id: str | None = strawberry.field(description="What the network calls the post, once it is out.")
    external_url: str | None = strawberry.field(description="Where people can see it, once it is out.")
    errors: list[str] = strawberry.field(description="Why it could not be published there, a sentence each.")
    account_key: strawberry.Private[int]
    variant: strawberry.Private[str | None]

    @strawberry.field(description="The account. It may have been removed since; then its id is not found.")
    async def account(self, info: Info) -> Account:
        return await _account(info.context, self.account_key)

    @classmethod
    def of(cls, row: tables.PostAccount) -> Self:
        return cls(
            status=row.status,
            provider_post_id=row.provider_post_id,
            external_url=row.external_url,
            errors=row.errors,
            account_key=row.account_id,
            variant=row.variant,
        )

    @classmethod
    def seen(cls, data: dict[str, Any]) -> Self:
        """The state as a live change describes it."""
        return cls(
            status=PostAccountStatus(data["status"]),
            provider_post_id=data["provider_post_id"],
            external_url=data["external_url"],
            errors=data["errors"],
            account_key=data["account_id"],
            variant=data["variant"],
        )


@shows(tables.Post)
@strawberry.type(description="A text that goes out through one or more accounts.")
class Post(Node):
    uuid: str = strawberry.field(description="The post's name in payloads; it never changes.")
    status: PostStatus = strawberry.field(description="Its state.")
    body: str = strawberry.field(description="Its text, for the accounts that have none of their own.")
    scheduled_at: datetime | None = strawberry.field(description="When it goes out by itself; null if no time is set.")
    published_at: datetime | None = strawberry.field(description="When it was out on every account; null until then.")
    trashed: bool = strawberry.field(description="Whether it is in the trash.")
    created_at: datetime = strawberry.field(description="When it was written.")
    updated_at: datetime = strawberry.field(description="When it last changed.")
    key: strawberry.Private[int]
    # The accounts as a live change describes them; None if the post comes from the database.
    known: strawberry.Private[list[PostAccount] | None] = None

    @classmethod
    def of(cls, row: tables.Post) -> Self:
        return cls(
            id=strawberry.ID(ids.make("Post", row.id)),
            uuid=str(row.uuid),
            status=row.status,
            body=row.body,
            scheduled_at=row.scheduled_at,
            published_at=row.published_at,
            trashed=row.trashed,
            created_at=row.created_at,
            updated_at=row.updated_at,
            key=row.id,
        )

    @strawberry.field(description="Its accounts, and its state on each.")
    def accounts(self, info: Info) -> list[PostAccount]:
        if self.known is not None:
            return self.known
        return cast("list[PostAccount]", _accounts(info.context, self.key))

    @strawberry.field(description="The texts of the accounts that say something else than the post.")
    def variants(self, info: Info) -> list[PostVariant]:
        if self.known is not None:
            return _variants(self.known)
        return cast("list[PostVariant]", _loaded_variants(info.context, self.key))


# A deleted account is shown too: posts that went out through it still refer to it.
async def _account(context: Context, key: int) -> Account:
    return Account.of(await context.loaders.referred(tables.Account, key))


async def _accounts(context: Context, key: int) -> list[PostAccount]:
    return [PostAccount.of(row) for row in await context.loaders.post_accounts.load(key)]


async def _loaded_variants(context: Context, key: int) -> list[PostVariant]:
    return _variants(await _accounts(context, key))


def _variants(accounts: Sequence[PostAccount]) -> list[PostVariant]:
    return [
        PostVariant(body=account.variant, account_key=account.account_key)
        for account in accounts
        if account.variant is not None
    ]


@strawberry.type(description="How a text would fare on one account.")
class PostPreview:
    length: int = strawberry.field(description="How long the text is, as the network counts.")
    limit: int = strawberry.field(description="How long it may be there.")
    links: list[str] = strawberry.field(description="What in the text would become a link.")


@strawberry.input(description="Which posts to list. What is left out does not restrict the list.")
class PostFilter:
    statuses: list[PostStatus] | None = strawberry.field(
        default=None, description="Only posts with one of these statuses."
    )
    account_id: strawberry.ID | None = strawberry.field(default=None, description="Only posts with this account.")
    scheduled_after: datetime | None = strawberry.field(
        default=None, description="Only posts that are scheduled for this instant or later."
    )
    scheduled_before: datetime | None = strawberry.field(
        default=None, description="Only posts that are scheduled for before this instant."
    )
    trashed: bool | None = strawberry.field(
        default=None, description="Only posts in the trash, or only the others; all by default."
    )

    def applied_to(self, rows: QuerySet[tables.Post]) -> QuerySet[tables.Post]:
        conditions = {
            "status__in": self.statuses,
            "scheduled_at__gte": self.scheduled_after,
            "scheduled_at__lt": self.scheduled_before,
            "trashed": self.trashed,
        }
        rows = rows.filter(**{name: value for name, value in conditions.items() if value is not None})
        if self.account_id is not None:
            rows = rows.filter(accounts__account_id=ids.key("Account", self.account_id))
        return rows


@strawberry.type
class PostQuery:
    @strawberry.field(description="One post; null if there is none with this id.")
    async def post(self, info: Info, id: PostId) -> Post | None:
        row = await info.context.loaders.one(tables.Post, ids.key("Post", id))
        return None if row is None else Post.of(row)

    @strawberry.field(description="The workspace's posts, newest first.")
    async def posts(
        self,
        info: Info,
        *,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: Annotated[PostFilter | None, strawberry.argument(description="Which posts to list.")] = None,
    ) -> Connection[Post]:
        rows = tables.Post.filter(workspace_id=info.context.workspace_id)
        wanted = rows if filter is None else filter.applied_to(rows)
        return await Connection[Post].of(wanted, PageRequest(first, after, last, before))

    @strawberry.field(description="Measures a text the way the network of an account would, before it is posted.")
    async def post_preview(
        self,
        info: Info,
        body: Annotated[str, strawberry.argument(description="The text.")],
        account_id: Annotated[strawberry.ID, strawberry.argument(description="The account it is meant for.")],
    ) -> PostPreview:
        measure = await post_checks.preview(info.context.actor.workspace, body, ids.key("Account", account_id))
        return PostPreview(length=measure.length, limit=measure.limit, links=list(measure.links))
