"""Live changes as subscribers see them: snapshots of a moment, from the stream and not from the database."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Self

import strawberry

from domain import ids, request, tables, webhooks
from domain.live import Entry
from domain.vocabulary import AttemptOutcome, ContentType, DeliveryStatus, HttpMethod, PostStatus, Role
from schema import attempts
from schema.attempts import Attempt
from schema.context import Context, Info
from schema.deliveries import Delivery
from schema.posts import Post, PostAccount
from schema.scalars import told_instant
from schema.webhooks import HttpHeader


@strawberry.type(description="A request exactly as it went out, secrets included.")
class DeliveryRequest:
    url: str = strawberry.field(description="Where it went.")
    method: HttpMethod = strawberry.field(description="Its method.")
    headers: list[HttpHeader] = strawberry.field(
        description=(
            "Its headers, signatures included and nothing hidden; without Host and others of the connection. No log "
            "holds the secret ones of the webhook: they have the values of today, `(hidden)` where it has none of that "
            "name now."
        )
    )
    body: str = strawberry.field(description="Its body.")


@strawberry.type(description="A change of a delivery's status, and the delivery as it was right after it.")
class DeliveryStatusChange:
    cursor: str = strawberry.field(
        description="The position of this change in the stream. Pass it as `after` to continue from here."
    )
    occurred_at: datetime = strawberry.field(description="When the status changed.")
    status: DeliveryStatus = strawberry.field(description="What the status became.")
    attempt: Attempt | None = strawberry.field(description="The attempt that led to it, if one did.")
    delivery: Delivery = strawberry.field(description="The delivery as this change left it.")

    @classmethod
    def of(cls, entry: Entry) -> Self:
        """Raises KeyError or ValueError for an entry about anything else."""
        data = entry.data
        head = data["attempt"]
        return cls(
            cursor=entry.cursor,
            occurred_at=datetime.fromisoformat(data["occurred_at"]),
            status=DeliveryStatus(data["status"]),
            attempt=None if head is None else Attempt.seen(data["delivery"]["id"], head),
            delivery=Delivery.seen(data["delivery"], data["event"]),
        )

    @strawberry.field(
        description=(
            "What the first attempt sent, on the change that this attempt led to; null on every other change, for "
            "everybody but admins, and once the webhook has been deleted or the attempt is no longer kept. An attempt "
            "whose worker died does not count, because what it sent was not logged."
        )
    )
    async def request(self, info: Info) -> DeliveryRequest | None:
        if info.context.actor.role is not Role.ADMIN or self.attempt is None:
            return None
        if self.attempt.outcome is AttemptOutcome.INTERRUPTED or self.delivery.attempt_count != 1:
            return None
        return await _sent(info.context, self.delivery, self.attempt.number)


async def _sent(context: Context, delivery: Delivery, number: int) -> DeliveryRequest | None:
    attempt = await attempts.load(context, delivery.key, number)
    event = await context.loaders.one(tables.Event, delivery.event_key)
    webhook = await context.loaders.one(tables.Webhook, delivery.webhook_key)
    headers = attempt.sent if attempt else []
    if attempt is None or event is None or webhook is None or not headers:
        return None
    own = dict(webhooks.opened_headers(context.domain.vault, webhook))
    return DeliveryRequest(
        url=attempt.request_url,
        method=attempt.request_method,
        headers=_unhidden(headers, own),
        body=request.encode(event.document, ContentType(dict(headers)["Content-Type"])).decode(),
    )


def _unhidden(logged: Iterable[tuple[str, str]], own: dict[str, str]) -> list[HttpHeader]:
    """The headers as they were sent: the log hides secret values, but the webhook still has them."""
    return [
        HttpHeader(name=name, value=own.get(name, value) if value == request.HIDDEN else value)
        for name, value in logged
    ]


@strawberry.type(description="A change of a post's status, and the post as it was right after it.")
class PostStatusChange:
    cursor: str = strawberry.field(
        description="The position of this change in the stream. Pass it as `after` to continue from here."
    )
    occurred_at: datetime = strawberry.field(description="When the status changed.")
    status: PostStatus = strawberry.field(description="What the status became.")
    post: Post = strawberry.field(description="The post as this change left it, with its state on each account.")

    @classmethod
    def of(cls, entry: Entry) -> Self:
        """Raises KeyError or ValueError for an entry about anything else."""
        data = entry.data
        return cls(
            cursor=entry.cursor,
            occurred_at=datetime.fromisoformat(data["occurred_at"]),
            status=PostStatus(data["status"]),
            post=_post(data["post"]),
        )


def _post(data: dict[str, Any]) -> Post:
    return Post(
        id=strawberry.ID(ids.make("Post", data["id"])),
        uuid=data["uuid"],
        status=PostStatus(data["status"]),
        body=data["body"],
        scheduled_at=told_instant(data["scheduled_at"]),
        published_at=told_instant(data["published_at"]),
        trashed=data["trashed"],
        created_at=datetime.fromisoformat(data["created_at"]),
        updated_at=datetime.fromisoformat(data["updated_at"]),
        key=data["id"],
        known=[PostAccount.seen(account) for account in data["accounts"]],
    )
