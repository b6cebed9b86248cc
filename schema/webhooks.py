"""Webhooks: what a client may ask of them."""

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Self

import strawberry
from tortoise.expressions import Q
from tortoise.queryset import QuerySet

from domain import ids, request, tables, texts, webhooks
from domain.pages import PageRequest
from domain.vocabulary import ContentType, EventType, HttpMethod, WebhookDisabledReason
from schema.context import Context, Info
from schema.errors import bad_input
from schema.nodes import Node, shows
from schema.pages import After, Before, Connection, First, Last

if TYPE_CHECKING:
    from schema.deliveries import Delivery, DeliveryFilter, DeliveryOrder

WebhookId = Annotated[strawberry.ID, strawberry.argument(description="The webhook's id.")]
LONGEST_SEARCH = 200


@strawberry.type(description="A header of a request or of an answer.")
class HttpHeader:
    name: str = strawberry.field(description="Its name.")
    value: str = strawberry.field(
        description="Its value. `(hidden)` stands for a secret of the webhook, also where an answer repeats it."
    )


@strawberry.type(description="Statistics of a webhook over a span of time.")
class WebhookStats:
    deliveries: int = strawberry.field(description="Deliveries that were created. Cancelled ones count here alone.")
    succeeded: int = strawberry.field(description="How many of them succeeded.")
    failed: int = strawberry.field(description="How many of them failed for good.")
    pending: int = strawberry.field(description="How many of them have not finished.")
    attempts: int = strawberry.field(description="Attempts that were made for them.")
    success_rate: float | None = strawberry.field(
        description="Succeeded over succeeded and failed, from 0 to 1; null while neither has happened."
    )
    p50_ms: float | None = strawberry.field(description="Half of the answers came within this many milliseconds.")
    p95_ms: float | None = strawberry.field(description="95 of 100 answers came within this many milliseconds.")
    p99_ms: float | None = strawberry.field(description="99 of 100 answers came within this many milliseconds.")


@shows(tables.Webhook)
@strawberry.type(description="A receiver of events: a callback URL, and the events it listens to.")
class Webhook(Node):
    uuid: str = strawberry.field(description="A name for it that never changes.")
    name: str = strawberry.field(description="What people call it.")
    callback_url: str = strawberry.field(description="Where its deliveries go.")
    method: HttpMethod = strawberry.field(description="The method of its requests.")
    content_type: ContentType = strawberry.field(description="How the document is encoded in the body of its requests.")
    max_attempts: int = strawberry.field(description="How often a delivery is tried in all, the first time included.")
    active: bool = strawberry.field(description="Whether new events go to it, and waiting deliveries go on.")
    disabled_reason: WebhookDisabledReason | None = strawberry.field(
        description="Why the system switched it off; null if it did not."
    )
    disabled_at: datetime | None = strawberry.field(description="When the system switched it off.")
    has_secret: bool = strawberry.field(
        description="Whether its deliveries are signed. The secret is shown once, to whoever sets it."
    )
    events: list[EventType] = strawberry.field(description="What it listens to.")
    created_at: datetime = strawberry.field(description="When it was created.")
    updated_at: datetime = strawberry.field(description="When somebody last changed it.")
    row: strawberry.Private[tables.Webhook]

    @classmethod
    def of(cls, row: tables.Webhook) -> Self:
        return cls(
            id=strawberry.ID(ids.make("Webhook", row.id)),
            uuid=str(row.uuid),
            name=row.name,
            callback_url=row.callback_url,
            method=row.method,
            content_type=row.content_type,
            max_attempts=row.max_attempts,
            active=row.active,
            disabled_reason=row.disabled_reason,
            disabled_at=row.disabled_at,
            has_secret=row.sealed_secret is not None,
            events=[EventType(name) for name in row.events],
            created_at=row.created_at,
            updated_at=row.updated_at,
            row=row,
        )

    @strawberry.field(
        description=(
            "What goes with each of its requests. Values that look like secrets are hidden. Empty where the key that "
            "sealed them is missing: then nothing is sent until that is back, or new ones are given."
        )
    )
    def headers(self, info: Info) -> list[HttpHeader]:
        opened = webhooks.opened_headers(info.context.domain.vault, self.row)
        return [HttpHeader(name=name, value=request.hide(name, value)) for name, value in opened]

    @strawberry.field(description="What was sent to it and what is about to be, newest first by default.")
    async def deliveries(
        self,
        info: Info,
        *,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: Annotated[
            Annotated["DeliveryFilter", strawberry.lazy("schema.deliveries")] | None,
            strawberry.argument(description="Which of them to list."),
        ] = None,
        order_by: Annotated[
            Annotated["DeliveryOrder", strawberry.lazy("schema.deliveries")] | None,
            strawberry.argument(description="How to order them."),
        ] = None,
    ) -> Connection[Annotated["Delivery", strawberry.lazy("schema.deliveries")]]:
        rows = tables.Delivery.filter(workspace_id=info.context.workspace_id, webhook_id=self.row.id)
        return await Connection["Delivery"].of(
            rows if filter is None else await filter.applied_to(rows),
            PageRequest(first, after, last, before),
            descending=order_by is None or order_by.descending,
        )

    @strawberry.field(
        description=(
            "Its statistics: counts, success rate and response times of the deliveries created in a span, as far as "
            "they are still kept (90 days from their end, unless the operator sets another time)."
        )
    )
    async def stats(
        self,
        info: Info,
        since: Annotated[
            datetime | None,
            strawberry.argument(description="The start of the span; 30 days before its end by default."),
        ] = None,
        until: Annotated[
            datetime | None, strawberry.argument(description="The end of the span, after its start; now by default.")
        ] = None,
    ) -> WebhookStats:
        if since is not None and until is not None and until <= since:
            # The same message as for a replay. Empty statistics would look like those of a webhook that gets nothing.
            raise bad_input("The end must be after the start.")
        stats = await info.context.loaders.stats.load((self.row.id, since, until))
        return WebhookStats(**asdict(stats))


async def load(context: Context, key: int) -> Webhook | None:
    """The webhook with this key, unless it has been deleted."""
    row = await context.loaders.one(tables.Webhook, key)
    return None if row is None or row.deleted_at is not None else Webhook.of(row)


@strawberry.input(description="Which webhooks to list. What is left out does not restrict the list.")
class WebhookFilter:
    active: bool | None = strawberry.field(default=None, description="Only active ones, or only the others.")
    event_type: EventType | None = strawberry.field(default=None, description="Only those that listen to this.")
    search: str | None = strawberry.field(
        default=None, description="Only those with this in their name or callback URL, in small letters or capitals."
    )

    def applied_to(self, rows: QuerySet[tables.Webhook]) -> QuerySet[tables.Webhook]:
        if self.active is not None:
            rows = rows.filter(active=self.active)
        if self.event_type is not None:
            rows = rows.filter(events__contains=[self.event_type.value])
        if self.search:
            if len(self.search) > LONGEST_SEARCH or not texts.is_clean(self.search):
                message = (
                    f"A search may have at most {LONGEST_SEARCH} characters, no NUL and no half of a surrogate pair."
                )
                raise bad_input(message)
            rows = rows.filter(Q(name__icontains=self.search) | Q(callback_url__icontains=self.search))
        return rows


@strawberry.type
class WebhookQuery:
    @strawberry.field(description="One webhook; null if there is none with this id.")
    async def webhook(self, info: Info, id: WebhookId) -> Webhook | None:
        return await load(info.context, ids.key("Webhook", id))

    @strawberry.field(description="The workspace's webhooks, newest first.")
    async def webhooks(
        self,
        info: Info,
        *,
        first: First = None,
        after: After = None,
        last: Last = None,
        before: Before = None,
        filter: Annotated[WebhookFilter | None, strawberry.argument(description="Which webhooks to list.")] = None,
    ) -> Connection[Webhook]:
        rows = tables.Webhook.filter(workspace_id=info.context.workspace_id, deleted_at=None)
        wanted = rows if filter is None else filter.applied_to(rows)
        return await Connection[Webhook].of(wanted, PageRequest(first, after, last, before))
