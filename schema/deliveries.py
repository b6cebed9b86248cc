"""Deliveries: what a client may ask of them.

A delivery comes from the database or from a live change. The change holds enough of it for most documents; the rest is
read from the database when a document asks for it.
"""

from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Self, cast

import strawberry
from tortoise.queryset import QuerySet

from domain import changes, ids, tables
from domain.delivery_log import LoggedDelivery
from domain.moments import ids_between
from domain.pages import PageRequest
from domain.vocabulary import DeliveryStatus, DeliveryWaitReason, EventType
from schema import events, webhooks
from schema.attempts import Attempt
from schema.context import Context, Info
from schema.events import Event
from schema.nodes import Node, shown, shows
from schema.pages import After, Before, Connection, First, Last
from schema.scalars import told_instant
from schema.webhooks import Webhook

DeliveryId = Annotated[strawberry.ID, strawberry.argument(description="The delivery's id.")]


@shows(tables.Delivery, LoggedDelivery)
@strawberry.type(description="One event on its way to one webhook.")
class Delivery(Node):
    uuid: str = strawberry.field(
        description="A name for it that never changes. Its requests carry it as `X-Hookline-Delivery`."
    )
    status: DeliveryStatus = strawberry.field(description="Its state.")
    attempt_count: int = strawberry.field(description="How many attempts have counted so far.")
    max_attempts: int = strawberry.field(description="How many attempts there may be in all.")
    created_at: datetime = strawberry.field(description="When it was created.")
    finished_at: datetime | None = strawberry.field(description="When it succeeded, failed for good or was cancelled.")
    next_attempt_at: datetime | None = strawberry.field(
        description="When it is tried next; null if it is not waiting, or waits for its webhook to be activated."
    )
    waiting_for: DeliveryWaitReason | None = strawberry.field(
        description="What it is waiting for; null if it is not waiting."
    )
    key: strawberry.Private[int]
    event_key: strawberry.Private[int]
    webhook_key: strawberry.Private[int]
    retry_of_key: strawberry.Private[int | None]
    told: strawberry.Private[Event | None] = None

    @classmethod
    def of(cls, row: LoggedDelivery) -> Self:
        reason = changes.waiting_for(row, row["now"])
        return cls(
            id=strawberry.ID(ids.make("Delivery", row["id"])),
            uuid=row["uuid"],
            status=DeliveryStatus(row["status"]),
            attempt_count=row["attempt_count"],
            max_attempts=row["max_attempts"],
            created_at=row["created_at"],
            finished_at=row["finished_at"],
            next_attempt_at=changes.next_attempt_at(row, reason),
            waiting_for=reason,
            key=row["id"],
            event_key=row["event_id"],
            webhook_key=row["webhook_id"],
            retry_of_key=row["retry_of_id"],
        )

    @classmethod
    def seen(cls, data: dict[str, Any], event: dict[str, Any]) -> Self:
        """The delivery as a live change describes it."""
        return cls(
            id=strawberry.ID(ids.make("Delivery", data["id"])),
            uuid=data["uuid"],
            status=DeliveryStatus(data["status"]),
            attempt_count=data["attempt_count"],
            max_attempts=data["max_attempts"],
            created_at=datetime.fromisoformat(data["created_at"]),
            finished_at=told_instant(data["finished_at"]),
            key=data["id"],
            event_key=data["event_id"],
            webhook_key=data["webhook_id"],
            retry_of_key=data["retry_of_id"],
            told=_event(event),
            waiting_for=DeliveryWaitReason(data["waiting_for"]) if data["waiting_for"] else None,
            next_attempt_at=told_instant(data["next_attempt_at"]),
        )

    @strawberry.field(description="What happened.")
    def event(self, info: Info) -> Event:
        if self.told is not None:
            return self.told
        return cast("Event", _loaded_event(info.context, self.event_key))

    @strawberry.field(description="Where it goes; null if the webhook has been deleted since.")
    async def webhook(self, info: Info) -> Webhook | None:
        return await webhooks.load(info.context, self.webhook_key)

    @strawberry.field(
        description="The delivery that this one repeats, where somebody had it sent again and that one is still kept."
    )
    async def retry_of(self, info: Info) -> Annotated["Delivery", strawberry.lazy("schema.deliveries")] | None:
        return cast("Delivery | None", shown(await info.context.loaders.one(tables.Delivery, self.retry_of_key)))

    @strawberry.field(description="Every try of it so far, in their order.")
    async def attempts(self, info: Info) -> list[Attempt]:
        return [Attempt.of(row) for row in await info.context.loaders.attempts.load(self.key)]


async def _loaded_event(context: Context, key: int) -> Event:
    return Event.of(await context.loaders.referred(tables.Event, key))


def _event(told: dict[str, Any]) -> Event:
    return Event(
        id=strawberry.ID(ids.make("Event", told["id"])),
        uuid=told["uuid"],
        type=EventType(told["type"]),
        occurred_at=datetime.fromisoformat(told["occurred_at"]),
        key=told["id"],
    )


@strawberry.input(description="Which deliveries to list. What is left out does not restrict the list.")
class DeliveryFilter:
    webhook_id: strawberry.ID | None = strawberry.field(default=None, description="Only those to this webhook.")
    event_types: list[EventType] | None = strawberry.field(default=None, description="Only those of these event types.")
    statuses: list[DeliveryStatus] | None = strawberry.field(
        default=None, description="Only those with one of these statuses."
    )
    event_uuid: str | None = strawberry.field(
        default=None,
        description="Only those of the event with this uuid, which a receiver knows as `webhook-id`.",
    )
    created_after: datetime | None = strawberry.field(
        default=None, description="Only those created at or after this instant."
    )
    created_before: datetime | None = strawberry.field(
        default=None, description="Only those created before this instant."
    )

    async def applied_to(self, rows: QuerySet[tables.Delivery]) -> QuerySet[tables.Delivery]:
        if self.created_after or self.created_before:
            after, last = await ids_between(tables.Delivery, self.created_after, self.created_before)
            rows = rows.filter(id__gt=after, id__lte=last)
        conditions = {
            "webhook_id": None if self.webhook_id is None else ids.key("Webhook", self.webhook_id),
            "event_id": None if self.event_uuid is None else await events.key_of(self.event_uuid),
            "event_type__in": self.event_types,
            "status__in": self.statuses,
            "created_at__gte": self.created_after,
            "created_at__lt": self.created_before,
        }
        return rows.filter(**{name: value for name, value in conditions.items() if value is not None})


@strawberry.enum(description="What deliveries can be ordered by.")
class DeliveryOrderField(Enum):
    CREATED_AT = strawberry.enum_value("created_at", description="When they were created.")


@strawberry.enum(description="Which end of a list comes first.")
class OrderDirection(Enum):
    ASC = strawberry.enum_value("asc", description="The smallest, or oldest, first.")
    DESC = strawberry.enum_value("desc", description="The largest, or newest, first.")


@strawberry.input(description="How to order deliveries.")
class DeliveryOrder:
    field: DeliveryOrderField = strawberry.field(description="By what.")
    direction: OrderDirection = strawberry.field(description="In which direction.")

    @property
    def descending(self) -> bool:
        return self.direction is OrderDirection.DESC


@strawberry.type
class DeliveryQuery:
    @strawberry.field(description="One delivery; null if there is none with this id.")
    async def delivery(self, info: Info, id: DeliveryId) -> Delivery | None:
        row = await info.context.loaders.one(tables.Delivery, ids.key("Delivery", id))
        return cast("Delivery | None", shown(row))

    @strawberry.field(description="The delivery log: what was sent and what is about to be, newest first by default.")
    async def deliveries(
        self,
        info: Info,
        *,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: Annotated[DeliveryFilter | None, strawberry.argument(description="Which of them to list.")] = None,
        order_by: Annotated[DeliveryOrder | None, strawberry.argument(description="How to order them.")] = None,
    ) -> Connection[Delivery]:
        rows = tables.Delivery.filter(workspace_id=info.context.workspace_id)
        return await Connection[Delivery].of(
            rows if filter is None else await filter.applied_to(rows),
            PageRequest(first, after, last, before),
            descending=order_by is None or order_by.descending,
        )
