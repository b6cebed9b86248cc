"""Deliveries: what a client may do with them."""

from datetime import datetime
from typing import Annotated, Self

import strawberry

from domain import deliveries, delivery_log, dispatch, ids, replays, tables
from domain.vocabulary import DeliveryStatus, Role
from schema import webhooks
from schema.context import Info
from schema.deliveries import Delivery, DeliveryId
from schema.errors import UserError
from schema.nodes import Node, shows
from schema.permissions import mutation
from schema.webhooks import Webhook


@shows(tables.Replay)
@strawberry.type(description="A job that sends finished deliveries of one webhook again, and goes on after a restart.")
class Replay(Node):
    created_at: datetime = strawberry.field(description="When it was asked for.")
    finished_at: datetime | None = strawberry.field(
        description="When its last repetition was created; or when it ended without the rest, with `done` less than"
        " `total`, for its webhook was deleted meanwhile, or they were no longer kept."
    )
    total: int = strawberry.field(
        description="How many deliveries it repeats: those that were finished when it was asked for, but no repetition"
        " of one of them."
    )
    done: int = strawberry.field(description="For how many of them the repetition has been created.")
    webhook_key: strawberry.Private[int]

    @classmethod
    def of(cls, row: tables.Replay) -> Self:
        return cls(
            id=strawberry.ID(ids.make("Replay", row.id)),
            created_at=row.created_at,
            finished_at=row.finished_at,
            total=row.total,
            done=row.done,
            webhook_key=row.webhook_id,
        )

    @strawberry.field(description="Whose deliveries they are; null if the webhook has been deleted since.")
    async def webhook(self, info: Info) -> Webhook | None:
        return await webhooks.load(info.context, self.webhook_key)


@strawberry.input(description="Which deliveries to send again.")
class DeliveriesReplayInput:
    webhook_id: strawberry.ID = strawberry.field(description="The webhook that they went to, and go to again.")
    statuses: list[DeliveryStatus] = strawberry.field(
        default_factory=lambda: [DeliveryStatus.FAILED],
        description="How they must have ended: SUCCEEDED, FAILED or CANCELLED. Only the failed ones by default.",
    )
    since: datetime = strawberry.field(description="Only deliveries created at or after this instant.")
    until: datetime | None = strawberry.field(
        default=None, description="Only deliveries created before this instant; until now by default."
    )


@strawberry.type(description="The result of sending a delivery again.")
class DeliveryRetryPayload:
    delivery: Delivery | None = strawberry.field(
        default=None, description="The new delivery of the same event; null if it was refused."
    )
    errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty if it was not."
    )


@strawberry.type(description="The result of stopping a delivery.")
class DeliveryCancelPayload:
    delivery: Delivery | None = strawberry.field(
        default=None, description="The delivery as it is now; null if it was not stopped."
    )
    errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty if it was not."
    )


@strawberry.type(description="The result of sending many deliveries again.")
class DeliveriesReplayPayload:
    replay: Replay | None = strawberry.field(
        default=None, description="The job; read it again with `node` to see how far it is. Null if it was refused."
    )
    errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty if it was not."
    )


@strawberry.type
class DeliveryMutation:
    @mutation(Role.ADMIN, "Sends a finished delivery again: as a new delivery of the same event, to the same webhook.")
    async def delivery_retry(self, info: Info, id: DeliveryId) -> DeliveryRetryPayload:
        async with info.context.unit() as unit:
            made = await dispatch.retry(unit, ids.key("Delivery", id))
            row = await delivery_log.one(made.id)
        return DeliveryRetryPayload(delivery=Delivery.of(row))

    @mutation(Role.ADMIN, "Stops a delivery that waits. What a worker is sending at this moment cannot be stopped.")
    async def delivery_cancel(self, info: Info, id: DeliveryId) -> DeliveryCancelPayload:
        async with info.context.unit() as unit:
            cancelled = await deliveries.cancel(unit, ids.key("Delivery", id))
            row = await delivery_log.one(cancelled.id)
        return DeliveryCancelPayload(delivery=Delivery.of(row))

    @mutation(
        Role.ADMIN, "Sends finished deliveries of one webhook again, bit by bit and in the order of their creation."
    )
    async def deliveries_replay(
        self,
        info: Info,
        input: Annotated[DeliveriesReplayInput, strawberry.argument(description="Which deliveries.")],
    ) -> DeliveriesReplayPayload:
        new = replays.NewReplay(
            webhook_id=ids.key("Webhook", input.webhook_id),
            statuses=tuple(input.statuses),
            since=input.since,
            until=input.until,
        )
        async with info.context.unit() as unit:
            row = await replays.start(unit, new)
        return DeliveriesReplayPayload(replay=Replay.of(row))
