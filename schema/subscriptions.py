"""Live changes: what a client may subscribe to.

A subscriber attaches to the hub, reads what it missed, and goes on with what has come since: no gap, and nothing
twice. What does not match its filter is never queued.

A server with many subscribers need not run one of these generators for each: FEEDS says which entries a subscription
wants and what its root value is, and executing its document once on that root gives the same result.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Any

import strawberry

from domain.errors import HooklineError
from domain.live import Entry
from domain.vocabulary import DeliveryStatus, EventType
from schema import ids
from schema.changes import DeliveryStatusChange, PostStatusChange
from schema.context import Context, Info

# A subscriber that falls this far behind is let go; its cursor brings it back.
LONGEST_QUEUE = 1_000

Wanted = Callable[[Entry], bool]

Since = Annotated[
    str | None,
    strawberry.argument(
        description=(
            'The cursor of the last change you have seen: you get everything since, and then go on live. "0" begins '
            "with the oldest change that is kept. Left out: only what happens from now on."
        )
    ),
]


class TooSlow(HooklineError):
    """You read too slowly, so the subscription was ended. Go on from the last cursor that you have seen."""


@dataclass(frozen=True, slots=True)
class Feed:
    """One field of the subscription: which entries its arguments (in GraphQL's spelling) want, and what they become."""

    wanted: Callable[[Mapping[str, Any]], Wanted]
    root: Callable[[Entry], Any]


def change_filter(arguments: Mapping[str, Any]) -> Wanted:
    """Which entries `deliveryStatusChanged` with these coerced arguments is about."""
    webhook = _key("Webhook", arguments.get("webhookId"))
    delivery = _key("Delivery", arguments.get("deliveryId"))
    types = _values(arguments.get("eventTypes"))
    statuses = _values(arguments.get("statuses"))

    def wanted(entry: Entry) -> bool:
        data = entry.data
        return (
            entry.kind == "delivery"
            and (webhook is None or data["delivery"]["webhook_id"] == webhook)
            and (delivery is None or data["delivery"]["id"] == delivery)
            and (types is None or data["event"]["type"] in types)
            and (statuses is None or data["status"] in statuses)
        )

    return wanted


def post_filter(arguments: Mapping[str, Any]) -> Wanted:
    """Which entries `postStatusChanged` with these coerced arguments is about."""
    post = _key("Post", arguments.get("postId"))

    def wanted(entry: Entry) -> bool:
        return entry.kind == "post" and (post is None or entry.data["post"]["id"] == post)

    return wanted


def as_root(entry: Entry) -> DeliveryStatusChange | PostStatusChange:
    """The root value to execute a subscription on: its one field resolves to the root itself."""
    return DeliveryStatusChange.of(entry) if entry.kind == "delivery" else PostStatusChange.of(entry)


FEEDS: dict[str, Feed] = {
    "deliveryStatusChanged": Feed(change_filter, DeliveryStatusChange.of),
    "postStatusChanged": Feed(post_filter, PostStatusChange.of),
}


def _key(noun: str, id: str | None) -> int | None:
    return None if id is None else ids.key(noun, id)


def _values(members: list[Any] | None) -> frozenset[str] | None:
    return None if members is None else frozenset(member.value for member in members)


@strawberry.type(description="What can be watched live, over a WebSocket or server-sent events.")
class Subscription:
    @strawberry.subscription(
        description=(
            "Every change of a delivery's status, in the order in which each delivery went through them and as soon as "
            "it is committed. With `after` you miss nothing and get nothing twice; where the changes since then are no "
            "longer kept, it ends with the code CURSOR_EXPIRED and with a cursor to go on from."
        )
    )
    async def delivery_status_changed(
        self,
        info: Info,
        *,
        webhook_id: Annotated[
            strawberry.ID | None, strawberry.argument(description="Only deliveries to this webhook.")
        ] = None,
        delivery_id: Annotated[strawberry.ID | None, strawberry.argument(description="Only this delivery.")] = None,
        event_types: Annotated[
            list[EventType] | None, strawberry.argument(description="Only deliveries of these events.")
        ] = None,
        statuses: Annotated[
            list[DeliveryStatus] | None, strawberry.argument(description="Only changes to these.")
        ] = None,
        after: Since = None,
    ) -> AsyncGenerator[DeliveryStatusChange, None]:
        wanted = change_filter(
            {"webhookId": webhook_id, "deliveryId": delivery_id, "eventTypes": event_types, "statuses": statuses}
        )
        async with aclosing(follow(info.context, wanted, after)) as entries:
            async for entry in entries:
                yield DeliveryStatusChange.of(entry)

    @strawberry.subscription(
        description="Every change of a post's status, with where it stands on each account. `after` works as above."
    )
    async def post_status_changed(
        self,
        info: Info,
        post_id: Annotated[strawberry.ID | None, strawberry.argument(description="Only this post.")] = None,
        after: Since = None,
    ) -> AsyncGenerator[PostStatusChange, None]:
        async with aclosing(follow(info.context, post_filter({"postId": post_id}), after)) as entries:
            async for entry in entries:
                yield PostStatusChange.of(entry)


async def follow(context: Context, wanted: Wanted, after: str | None) -> AsyncGenerator[Entry, None]:
    """The entries that are wanted: since a cursor where one is given, and then as they come.

    Raises BadCursor, CursorExpired and TooSlow.
    """
    hub = context.domain.hub
    waiting: asyncio.Queue[Entry | HooklineError] = asyncio.Queue()
    attachment = await hub.attach(context.workspace_id, _putting(waiting, wanted), waiting.put_nowait)
    try:
        if after is not None:
            async for page in hub.history(context.workspace_id, after, attachment.position):
                for entry in filter(wanted, page):
                    yield entry
        while True:
            yield _entry(await waiting.get())
            context.forget()
    finally:
        attachment.close()


def _putting(waiting: "asyncio.Queue[Entry | HooklineError]", wanted: Wanted) -> Callable[[Entry], None]:
    def put(entry: Entry) -> None:
        if not wanted(entry) or waiting.qsize() > LONGEST_QUEUE:
            return
        waiting.put_nowait(entry if waiting.qsize() < LONGEST_QUEUE else TooSlow())

    return put


def _entry(found: Entry | HooklineError) -> Entry:
    if isinstance(found, HooklineError):
        raise found
    return found
