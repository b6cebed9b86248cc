"""Posts: what a client may change about them."""

from datetime import datetime
from typing import Annotated

import strawberry

from domain import ids, posts
from domain.vocabulary import Role, Unset
from schema.arguments import given
from schema.context import Info
from schema.errors import UserError
from schema.permissions import mutation
from schema.posts import Post, PostId


@strawberry.input(description="A text of its own for one of a post's accounts.")
class PostVariantInput:
    account_id: strawberry.ID = strawberry.field(description="The account; it must be one of the post's.")
    body: str = strawberry.field(description="What it says instead of the post's text.")


@strawberry.input(description="A post to write.")
class PostCreateInput:
    body: str = strawberry.field(description="Its text.")
    account_ids: list[strawberry.ID] = strawberry.field(
        description="The accounts it goes out through; for a draft there may be none yet."
    )
    variants: list[PostVariantInput] | None = strawberry.field(
        default=None, description="Texts of their own for some of the accounts."
    )
    scheduled_at: datetime | None = strawberry.field(
        default=None,
        description="When it goes out by itself; it must be in the future. Without it, the post is a draft.",
    )
    idempotency_key: str | None = strawberry.field(
        default=None,
        description=(
            "A word of your own for this request. When it comes a second time within a day, by whichever token of the "
            "workspace and with whatever input, the post of the first time is given back and none is made."
        ),
    )


@strawberry.input(description="Changes to a post. What is left out stays as it is.")
class PostUpdateInput:
    body: str | None = strawberry.field(default=strawberry.UNSET, description="Its text.")
    account_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET,
        description="The accounts it goes out through; the whole list. Those that stay keep their texts of their own, "
        "unless `variants` is given.",
    )
    variants: list[PostVariantInput] | None = strawberry.field(
        default=strawberry.UNSET, description="Texts of their own; the whole list. With null there are none."
    )
    scheduled_at: datetime | None = strawberry.field(
        default=strawberry.UNSET, description="When it goes out by itself. With null it is a draft again."
    )


@strawberry.type(description="The result of writing a post.")
class PostCreatePayload:
    post: Post | None = strawberry.field(default=None, description="The post; null if it was refused.")
    errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty if it was not."
    )


@strawberry.type(description="The result of changing a post.")
class PostUpdatePayload:
    post: Post | None = strawberry.field(
        default=None, description="The post as it is now; null if the change was refused."
    )
    errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty if it was not."
    )


@strawberry.type(description="The result of scheduling a post.")
class PostSchedulePayload:
    post: Post | None = strawberry.field(
        default=None, description="The post as it is now; null if it was not scheduled."
    )
    errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty if it was not."
    )


@strawberry.type(description="The result of publishing a post.")
class PostPublishPayload:
    post: Post | None = strawberry.field(
        default=None, description="The post as it is now, on its way; null if it was refused."
    )
    errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty if it was not."
    )


@strawberry.type(description="The result of deleting posts.")
class PostDeletePayload:
    deleted_post_ids: list[strawberry.ID] = strawberry.field(
        default_factory=list, description="The posts that were deleted, or moved to the trash."
    )
    errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty if it was not."
    )


@strawberry.type
class PostMutation:
    @mutation(Role.MEMBER, "Writes a post: a draft, or one that goes out at a given time.")
    async def post_create(
        self, info: Info, input: Annotated[PostCreateInput, strawberry.argument(description="The post.")]
    ) -> PostCreatePayload:
        new = posts.NewPost(
            body=input.body,
            account_ids=tuple(ids.keys("Account", input.account_ids)),
            variants=_pairs(input.variants or []),
            scheduled_at=input.scheduled_at,
            idempotency_key=input.idempotency_key,
        )
        async with info.context.unit() as unit:
            row = await posts.create(unit, new)
        return PostCreatePayload(post=Post.of(row))

    @mutation(Role.MEMBER, "Changes a draft or a scheduled post; any other is refused.")
    async def post_update(
        self,
        info: Info,
        id: PostId,
        input: Annotated[PostUpdateInput, strawberry.argument(description="The changes.")],
    ) -> PostUpdatePayload:
        async with info.context.unit() as unit:
            row = await posts.update(unit, ids.key("Post", id), _changes(input))
        return PostUpdatePayload(post=Post.of(row))

    @mutation(Role.MEMBER, "Sets the time at which a draft or a scheduled post goes out by itself.")
    async def post_schedule(
        self,
        info: Info,
        id: PostId,
        scheduled_at: Annotated[datetime, strawberry.argument(description="When; it must lie in the future.")],
    ) -> PostSchedulePayload:
        async with info.context.unit() as unit:
            row = await posts.schedule(unit, ids.key("Post", id), scheduled_at)
        return PostSchedulePayload(post=Post.of(row))

    @mutation(
        Role.MEMBER,
        "Publishes a post now: a draft, a scheduled one before its time, or a failed one on the accounts that failed.",
    )
    async def post_publish(self, info: Info, id: PostId) -> PostPublishPayload:
        async with info.context.unit() as unit:
            row = await posts.publish(unit, ids.key("Post", id))
        return PostPublishPayload(post=Post.of(row))

    @mutation(Role.MEMBER, "Deletes posts, all or none; webhooks get one event for all of them.")
    async def post_delete(
        self,
        info: Info,
        ids_: Annotated[
            list[strawberry.ID], strawberry.argument(name="ids", description="The posts' ids, at most 100.")
        ],
        to_trash: Annotated[
            bool | None,
            strawberry.argument(description="Move them to the trash instead. What is there can only be deleted."),
        ] = False,
    ) -> PostDeletePayload:
        async with info.context.unit() as unit:
            deleted = await posts.delete(unit, ids.keys("Post", ids_), to_trash or False)
        return PostDeletePayload(deleted_post_ids=[strawberry.ID(ids.make("Post", key)) for key in deleted])


def _changes(input: PostUpdateInput) -> posts.PostChanges:
    return posts.PostChanges(
        body=given(input.body),
        account_ids=_keys(given(input.account_ids)),
        variants=_variants(given(input.variants)),
        scheduled_at=given(input.scheduled_at),
    )


def _keys(accounts: list[strawberry.ID] | Unset | None) -> tuple[int, ...] | Unset | None:
    return tuple(ids.keys("Account", accounts)) if isinstance(accounts, list) else accounts


def _variants(variants: list[PostVariantInput] | Unset | None) -> tuple[posts.Variant, ...] | Unset | None:
    return _pairs(variants) if isinstance(variants, list) else variants


def _pairs(variants: list[PostVariantInput]) -> tuple[posts.Variant, ...]:
    return tuple(posts.Variant(ids.key("Account", variant.account_id), variant.body) for variant in variants)
