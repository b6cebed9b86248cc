"""Webhooks: what a client may change about them."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import strawberry

from domain import delivery_log, ids, webhooks
from domain.request import Headers
from domain.vocabulary import ContentType, EventType, HttpMethod, Role, Unset
from schema.arguments import given
from schema.context import Info
from schema.errors import UserError
from schema.nodes import shown
from schema.permissions import mutation
from schema.webhooks import Webhook, WebhookId

if TYPE_CHECKING:
    from schema.deliveries import Delivery


@strawberry.input(description="A header to send with every delivery.")
class HttpHeaderInput:
    name: str = strawberry.field(description="Its name. The ones that Hookline or HTTP itself sets cannot be taken.")
    value: str = strawberry.field(
        description="Its value: up to 1,024 printable characters of ASCII. It is kept sealed. "
        "In an update, `(hidden)` keeps the value of the secret header of this name."
    )


@strawberry.input(description="A webhook to create.")
class WebhookCreateInput:
    name: str = strawberry.field(description="What to call it.")
    callback_url: str = strawberry.field(
        description="Where deliveries go: http or https, without user name and password."
    )
    events: list[EventType] = strawberry.field(description="What it listens to; at least one.")
    method: HttpMethod = strawberry.field(default=HttpMethod.POST, description="The method of its requests.")
    content_type: ContentType = strawberry.field(
        default=ContentType.JSON, description="How the document is encoded in the body."
    )
    max_attempts: int = strawberry.field(
        default=10, description="The number of attempts in all, 1 to 20. With 1 there is no retry."
    )
    active: bool = strawberry.field(default=True, description="Whether events are delivered to it from now on.")
    secret: str | None = strawberry.field(
        default=None,
        description="What to sign deliveries with. Without this or `generateSecret` they are not signed.",
    )
    generate_secret: bool = strawberry.field(
        default=False, description="Generate a strong secret instead of giving one. The payload shows it once."
    )
    headers: list[HttpHeaderInput] | None = strawberry.field(
        default=None, description="Headers to send with every delivery, at most 20."
    )


@strawberry.input(description="Changes to a webhook. What is left out stays as it is.")
class WebhookUpdateInput:
    name: str | None = strawberry.field(default=strawberry.UNSET, description="What to call it.")
    callback_url: str | None = strawberry.field(
        default=strawberry.UNSET, description="Where deliveries go. The waiting ones go there at once."
    )
    events: list[EventType] | None = strawberry.field(
        default=strawberry.UNSET, description="What it listens to; the whole list, at least one."
    )
    method: HttpMethod | None = strawberry.field(default=strawberry.UNSET, description="The method of its requests.")
    content_type: ContentType | None = strawberry.field(
        default=strawberry.UNSET, description="How the document is encoded in the body."
    )
    max_attempts: int | None = strawberry.field(
        default=strawberry.UNSET, description="How often to try new deliveries in all, 1 to 20."
    )
    active: bool | None = strawberry.field(
        default=strawberry.UNSET,
        description="Whether events are delivered to it. Activating it again sends at once what waits, except what the "
        "receiver put off by Retry-After, and clears the reason for which the system switched it off.",
    )
    secret: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="What to sign deliveries with from now on, with no overlap. With null they are no longer signed.",
    )
    headers: list[HttpHeaderInput] | None = strawberry.field(
        default=strawberry.UNSET,
        description="Headers to send; the whole list. With null there are none. What was read can be sent back.",
    )


@strawberry.input(description="How to replace a webhook's secret with a new one.")
class WebhookRotateSecretInput:
    secret: str | None = strawberry.field(
        default=None, description="The new secret. By default a strong one is generated."
    )
    overlap_seconds: int = strawberry.field(
        default=86400,
        description="For how many seconds the old secret signs beside the new one: 0 to 604800, a day by default.",
    )


@strawberry.type(description="The result of creating a webhook.")
class WebhookCreatePayload:
    webhook: Webhook | None = strawberry.field(default=None, description="The webhook; null if it was refused.")
    secret: str | None = strawberry.field(
        default=None, description="What its deliveries are signed with; null if they are not. Shown only this once."
    )
    errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty if it was not."
    )


@strawberry.type(description="The result of changing a webhook.")
class WebhookUpdatePayload:
    webhook: Webhook | None = strawberry.field(
        default=None, description="The webhook as it is now; null if the change was refused."
    )
    errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty if it was not."
    )


@strawberry.type(description="The result of deleting a webhook.")
class WebhookDeletePayload:
    deleted_webhook_id: strawberry.ID | None = strawberry.field(
        default=None, description="The id of the deleted webhook; null if nothing was deleted."
    )
    errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty if it was not."
    )


@strawberry.type(description="The result of rotating a webhook's secret.")
class WebhookRotateSecretPayload:
    webhook: Webhook | None = strawberry.field(default=None, description="The webhook; null if it was refused.")
    secret: str | None = strawberry.field(default=None, description="The new secret. Keep it: it is never shown again.")
    errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty if it was not."
    )


@strawberry.type(description="The result of testing a webhook.")
class WebhookTestPayload:
    delivery: Annotated["Delivery", strawberry.lazy("schema.deliveries")] | None = strawberry.field(
        default=None, description="The delivery of the example; watch it like any other. Null if it was refused."
    )
    errors: list[UserError] = strawberry.field(
        default_factory=list, description="Why it was refused; empty if it was not."
    )


@strawberry.type
class WebhookMutation:
    @mutation(Role.ADMIN, "Creates a webhook. From now on the events it listens to go there.")
    async def webhook_create(
        self, info: Info, input: Annotated[WebhookCreateInput, strawberry.argument(description="The webhook.")]
    ) -> WebhookCreatePayload:
        async with info.context.unit() as unit:
            row, secret = await webhooks.create(unit, _new(input))
        return WebhookCreatePayload(webhook=Webhook.of(row), secret=secret)

    @mutation(Role.ADMIN, "Changes a webhook.")
    async def webhook_update(
        self,
        info: Info,
        id: WebhookId,
        input: Annotated[WebhookUpdateInput, strawberry.argument(description="The changes.")],
    ) -> WebhookUpdatePayload:
        async with info.context.unit() as unit:
            row = await webhooks.update(unit, ids.key("Webhook", id), _changes(input))
        return WebhookUpdatePayload(webhook=Webhook.of(row))

    @mutation(Role.ADMIN, "Deletes a webhook and cancels what waits to be sent to it. Its log stays.")
    async def webhook_delete(self, info: Info, id: WebhookId) -> WebhookDeletePayload:
        async with info.context.unit() as unit:
            await webhooks.delete(unit, ids.key("Webhook", id))
        return WebhookDeletePayload(deleted_webhook_id=id)

    @mutation(
        Role.ADMIN,
        "Gives a webhook a new secret. The old one signs beside it for a while, so that no delivery is refused. "
        "Two secrets sign at most: a third within the overlap drops the first. "
        "Naming the one that it has already changes nothing.",
    )
    async def webhook_rotate_secret(
        self,
        info: Info,
        id: WebhookId,
        input: Annotated[
            WebhookRotateSecretInput | None,
            strawberry.argument(description="How to do it. By default: a generated secret and an overlap of one day."),
        ] = None,
    ) -> WebhookRotateSecretPayload:
        wanted = input or WebhookRotateSecretInput()
        overlap = timedelta(seconds=wanted.overlap_seconds)
        async with info.context.unit() as unit:
            row, secret = await webhooks.rotate_secret(unit, ids.key("Webhook", id), wanted.secret, overlap)
        return WebhookRotateSecretPayload(webhook=Webhook.of(row), secret=secret)

    @mutation(
        Role.ADMIN,
        "Sends a webhook the catalogue's example of an event, even if it does not listen to it or is not active.",
    )
    async def webhook_test(
        self,
        info: Info,
        id: WebhookId,
        event_type: Annotated[EventType, strawberry.argument(description="Whose example to send.")],
    ) -> WebhookTestPayload:
        async with info.context.unit() as unit:
            made = await webhooks.test(unit, ids.key("Webhook", id), event_type)
            row = await delivery_log.one(made.id)
        return WebhookTestPayload(delivery=shown(row))


def _new(input: WebhookCreateInput) -> webhooks.NewWebhook:
    return webhooks.NewWebhook(
        name=input.name,
        callback_url=input.callback_url,
        events=tuple(input.events),
        method=input.method,
        content_type=input.content_type,
        max_attempts=input.max_attempts,
        active=input.active,
        secret=input.secret,
        generate_secret=input.generate_secret,
        headers=_pairs(input.headers or []),
    )


def _changes(input: WebhookUpdateInput) -> webhooks.WebhookChanges:
    return webhooks.WebhookChanges(
        name=given(input.name),
        callback_url=given(input.callback_url),
        events=_events(given(input.events)),
        method=given(input.method),
        content_type=given(input.content_type),
        max_attempts=given(input.max_attempts),
        active=given(input.active),
        secret=given(input.secret),
        headers=_headers(given(input.headers)),
    )


def _events(events: list[EventType] | Unset | None) -> tuple[EventType, ...] | Unset | None:
    return tuple(events) if isinstance(events, list) else events


def _headers(headers: list[HttpHeaderInput] | Unset | None) -> Headers | Unset | None:
    return _pairs(headers) if isinstance(headers, list) else headers


def _pairs(headers: list[HttpHeaderInput]) -> Headers:
    return tuple((header.name, header.value) for header in headers)
