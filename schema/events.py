"""Events and the catalogue of their types."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Self, cast
from uuid import UUID

import strawberry
from tortoise.queryset import QuerySet

from domain import database, ids, tables
from domain.catalogue import EVENT_TYPES
from domain.moments import ids_between
from domain.pages import PageRequest
from domain.vocabulary import EventType
from schema.context import Context, Info
from schema.nodes import Node, shows
from schema.pages import After, Before, Connection, First, Last
from schema.scalars import JSON

if TYPE_CHECKING:
    from schema.deliveries import Delivery


@shows(tables.Event)
@strawberry.type(description="Something that happened in the workspace. It is recorded once and never changes.")
class Event(Node):
    uuid: str = strawberry.field(
        description="The same in every delivery and every repetition: what a receiver can tell duplicates by."
    )
    type: EventType = strawberry.field(description="What kind of thing happened.")
    occurred_at: datetime = strawberry.field(description="When it happened.")
    key: strawberry.Private[int]
    row: strawberry.Private[tables.Event | None] = None

    @classmethod
    def of(cls, row: tables.Event) -> Self:
        return cls(
            id=strawberry.ID(ids.make("Event", row.id)),
            uuid=str(row.uuid),
            type=row.type,
            occurred_at=row.occurred_at,
            key=row.id,
            row=row,
        )

    @strawberry.field(
        description="The document that webhooks receive, with its `event` and its `data`. `{}` where an old change of"
        " the live stream tells of an event that is no longer kept."
    )
    def payload(self, info: Info) -> JSON:
        if self.row is not None:
            return JSON(self.row.payload)
        # GraphQL awaits what is awaitable; a plain value costs no task.
        return cast("JSON", _load_payload(info.context, self.key))

    @strawberry.field(
        description="Where it went, newest first: one delivery for each webhook, and one for each repetition."
    )
    async def deliveries(
        self, info: Info, *, first: First = None, after: After = None, last: Last = None, before: Before = None
    ) -> Connection[Annotated["Delivery", strawberry.lazy("schema.deliveries")]]:
        rows = tables.Delivery.filter(workspace_id=info.context.workspace_id, event_id=self.key)
        return await Connection["Delivery"].of(rows, PageRequest(first, after, last, before))


async def _load_payload(context: Context, key: int) -> JSON:
    row = await context.loaders.one(tables.Event, key)
    # A change may outlive its event. A null here would make the whole change null, and lose its cursor.
    return JSON({} if row is None else row.payload)


async def load(context: Context, key: int) -> Event | None:
    """The event with this key."""
    row = await context.loaders.one(tables.Event, key)
    return None if row is None else Event.of(row)


async def key_of(uuid: str) -> int:
    """The key of the event that a receiver knows by this `webhook-id`; `ids.NOWHERE` if there is none."""
    try:
        known = UUID(uuid)
    except ValueError:
        return ids.NOWHERE
    # A statement through Tortoise would not wait for its turn.
    found = await database.rows("SELECT id FROM event WHERE uuid = $1", known)
    return cast(int, found[0]["id"]) if found else ids.NOWHERE


@strawberry.type(description="One entry of the catalogue of what webhooks can listen to.")
class EventTypeInfo:
    type: EventType = strawberry.field(description="The event type, as this API calls it.")
    wire_name: str = strawberry.field(
        description="What the `event` field of a payload says, for example `post.published`."
    )
    description: str = strawberry.field(description="When it happens, in a sentence.")
    example: JSON = strawberry.field(description="A whole payload, as a receiver might get it.")
    json_schema: JSON = strawberry.field(
        description="What every payload of this type satisfies: JSON Schema, draft 2020-12."
    )


@strawberry.input(description="Which events to list. What is left out does not restrict the list.")
class EventFilter:
    types: list[EventType] | None = strawberry.field(default=None, description="Only events of these types.")
    occurred_after: datetime | None = strawberry.field(
        default=None, description="Only what happened at or after this instant."
    )
    occurred_before: datetime | None = strawberry.field(
        default=None, description="Only what happened before this instant."
    )

    async def applied_to(self, rows: QuerySet[tables.Event]) -> QuerySet[tables.Event]:
        if self.occurred_after or self.occurred_before:
            after, last = await ids_between(tables.Event, self.occurred_after, self.occurred_before)
            rows = rows.filter(id__gt=after, id__lte=last)
        conditions = {
            "type__in": self.types,
            "occurred_at__gte": self.occurred_after,
            "occurred_at__lt": self.occurred_before,
        }
        return rows.filter(**{name: value for name, value in conditions.items() if value is not None})


@strawberry.type
class EventQuery:
    @strawberry.field(description="One event; null if there is none with this id.")
    async def event(
        self, info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The event's id.")]
    ) -> Event | None:
        return await load(info.context, ids.key("Event", id))

    @strawberry.field(description="What happened in the workspace, newest first, whether or not a webhook listened.")
    async def events(
        self,
        info: Info,
        *,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: Annotated[EventFilter | None, strawberry.argument(description="Which events to list.")] = None,
    ) -> Connection[Event]:
        rows = tables.Event.filter(workspace_id=info.context.workspace_id)
        return await Connection[Event].of(
            rows if filter is None else await filter.applied_to(rows), PageRequest(first, after, last, before)
        )

    @strawberry.field(description="The catalogue: every event type that a webhook can listen to.")
    def event_types(self) -> list[EventTypeInfo]:
        return [
            EventTypeInfo(
                type=type_,
                wire_name=type_.value,
                description=info.description,
                example=JSON(info.example),
                json_schema=JSON(info.json_schema),
            )
            for type_, info in EVENT_TYPES.items()
        ]
