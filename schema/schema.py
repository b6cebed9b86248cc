"""The schema: all queries, mutations and subscriptions, and `node`, which reads anything by its id."""

import asyncio
from typing import Annotated, Any

import strawberry
from graphql import (
    GraphQLArgument,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLNamedType,
    GraphQLObjectType,
    Undefined,
)
from strawberry.schema.config import StrawberryConfig

from domain import ids, tables
from domain.vocabulary import Role
from schema import attempts
from schema.accounts import AccountMutation, AccountQuery
from schema.audit import AuditEvent, AuditQuery
from schema.context import Context, Info
from schema.deliveries import DeliveryQuery
from schema.delivery_changes import DeliveryMutation, Replay
from schema.errors import bad_input
from schema.events import EventQuery
from schema.nodes import Node, shown, table_of
from schema.plain_fields import PlainFieldsExecutor
from schema.post_changes import PostMutation
from schema.posts import PostQuery
from schema.scalars import SCALARS
from schema.subscriptions import Subscription
from schema.tokens import TokenMutation
from schema.viewer import ViewerQuery
from schema.webhook_changes import WebhookMutation
from schema.webhooks import WebhookQuery

MOST_NODES = 100


@strawberry.type(description="What can be read.")
class Query(ViewerQuery, WebhookQuery, DeliveryQuery, EventQuery, AccountQuery, PostQuery, AuditQuery):
    @strawberry.field(description="Any object by its id; null if nothing has this id.")
    async def node(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The id of anything.")]
    ) -> Node | None:
        return await _node(info.context, id)

    @strawberry.field(description="Objects by their ids, in the same order, with null for each id that is not found.")
    async def nodes(
        self,
        info: Info,
        ids_: Annotated[list[strawberry.ID], strawberry.argument(name="ids", description="The ids, at most 100.")],
    ) -> list[Node | None]:
        if len(ids_) > MOST_NODES:
            raise bad_input(f"Ask for at most {MOST_NODES} things at once.")
        return await asyncio.gather(*(_node(info.context, text) for text in ids_))


async def _node(context: Context, text: str) -> Node | None:
    noun, _ = ids.parse(text) or ("", "")
    if noun == "Attempt":
        return await _attempt(context, text)
    table = table_of(noun)
    if table is None or (table is tables.AuditEvent and context.actor.role is not Role.ADMIN):
        return None
    row = await context.loaders.one(table, ids.key(noun, text))
    node: Node | None = None if getattr(row, "deleted_at", None) else shown(row)
    return node


async def _attempt(context: Context, text: str) -> Node | None:
    key = ids.attempt_key(text)
    node: Node | None = shown(await attempts.load(context, *key)) if key else None
    return node


@strawberry.type(
    description=(
        "What can be changed. Each payload holds the thing, or in `errors` why nothing was changed. Accounts and posts "
        "take a token of the role MEMBER, everything else one of the role ADMIN."
    )
)
class Mutation(WebhookMutation, DeliveryMutation, AccountMutation, PostMutation, TokenMutation):
    pass


class Schema(strawberry.Schema):
    """Strawberry's schema, without defaults of null."""

    def __init__(self, **parts: Any) -> None:
        super().__init__(**parts)
        for type_ in self._schema.type_map.values():
            _forget_null_defaults(type_)


def _forget_null_defaults(type_: GraphQLNamedType) -> None:
    # Python needs a default where GraphQL does not; "= null" in the exported schema would only puzzle readers.
    inputs: list[GraphQLArgument | GraphQLInputField] = []
    if isinstance(type_, GraphQLInputObjectType):
        inputs += type_.fields.values()
    elif isinstance(type_, GraphQLObjectType):
        inputs += (argument for field in type_.fields.values() for argument in field.args.values())
    for input_ in inputs:
        if input_.default_value is None:
            input_.default_value = Undefined


schema = Schema(
    query=Query,
    mutation=Mutation,
    subscription=Subscription,
    types=[Replay, AuditEvent],
    config=StrawberryConfig(scalar_map=SCALARS),
    execution_context_class=PlainFieldsExecutor,
)
