"""Live changes: what a client may subscribe to.

A subscriber attaches to the hub, reads what it missed, and goes on with what has come since: no gap, and nothing
twice. Entries that do not match its filter are never queued.

A server with many subscribers need not run a generator for each of them: FEEDS says which entries a subscription wants
and what its root value is, and executing its document once on that root gives the same result.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Annotated, Any

import strawberry

from domain import ids
from domain.hub import Hub
from domain.live import CursorExpired, Entry
from domain.vocabulary import DeliveryStatus, EventType
from schema.changes import DeliveryStatusChange, PostStatusChange
from schema.context import Info

# A subscriber that falls this many entries behind reads the stream again, instead of keeping more in memory.
LONGEST_BACKLOG = 1_000

Wanted = Callable[[Entry], bool]

Since = Annotated[
    str | None,
    strawberry.argument(
        description=(
            'The cursor of the last change you have seen: you get everything since, and then go on live. "0" begins '
            "with the oldest change that is kept. By default you get only what happens from now on."
        )
    ),
]


@dataclass(frozen=True, slots=True)
class Feed:
    """One field of the subscription: which entries its arguments (in GraphQL's spelling) want, and the root of each."""

    wanted: Callable[[Mapping[str, Any]], Wanted]
    root: Callable[[Entry], Any]


def change_filter(arguments: Mapping[str, Any]) -> Wanted:
    """Tells which entries `deliveryStatusChanged` with these coerced arguments wants."""
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
    """Tells which entries `postStatusChanged` with these coerced arguments wants."""
    post = _key("Post", arguments.get("postId"))

    def wanted(entry: Entry) -> bool:
        return entry.kind == "post" and (post is None or entry.data["post"]["id"] == post)

    return wanted


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
            "Every change of a delivery's status as soon as it is committed; those of one delivery come in their "
            "order. With `after` you miss nothing and get nothing twice; where the changes since then are no longer "
            "kept, it ends with the code CURSOR_EXPIRED and with a cursor to go on from."
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
        async with aclosing(_followed(info, wanted, after)) as entries:
            async for entry in entries:
                yield DeliveryStatusChange.of(entry)

    @strawberry.subscription(
        description=(
            "Every change of a post's status, with its state on each account. `after` works as in "
            "`deliveryStatusChanged`. Another text or time is no change of status, nor is the deletion of a post."
        )
    )
    async def post_status_changed(
        self,
        info: Info,
        post_id: Annotated[strawberry.ID | None, strawberry.argument(description="Only this post.")] = None,
        after: Since = None,
    ) -> AsyncGenerator[PostStatusChange, None]:
        async with aclosing(_followed(info, post_filter({"postId": post_id}), after)) as entries:
            async for entry in entries:
                yield PostStatusChange.of(entry)


async def _followed(info: Info, wanted: Wanted, after: str | None) -> AsyncGenerator[Entry, None]:
    context = info.context
    async with aclosing(follow(context.domain.hub, context.workspace_id, wanted, after)) as entries:
        async for entry in entries:
            context.forget()
            yield entry


async def follow(
    hub: Hub,
    workspace_id: int,
    wanted: Wanted,
    after: str | None = None,
    on_attached: Callable[[str], None] = lambda _: None,
) -> AsyncGenerator[Entry, None]:
    """The wanted entries of a workspace: those since the cursor `after`, if it is given, then new ones as they come.

    `on_attached` gets the cursor after which they come live. Raises BadCursor, and CursorExpired if entries were lost.
    """
    backlog = _Backlog(wanted)
    attachment = await hub.attach(workspace_id, backlog.put, backlog.fail)
    on_attached(attachment.position)
    span = None if after is None else (after, attachment.position)
    try:
        while True:
            if span is not None:
                async for page in hub.live.history(workspace_id, *span):
                    for entry in filter(wanted, page):
                        yield entry
            while (next_entry := await backlog.take()) is not None:
                yield next_entry
            span = backlog.take_gap()
    finally:
        attachment.close()


class _Backlog:
    """What a subscriber has yet to take: up to LONGEST_BACKLOG changes, and where in the stream the later ones are."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._entries: deque[Entry] = deque()
        self._gap: tuple[str, str] | None = None
        self._lost: CursorExpired | None = None
        self._filled = asyncio.Event()

    def put(self, entry: Entry) -> None:
        if self._gap is not None:
            self._gap = (self._gap[0], entry.cursor)
        elif self._wanted(entry):
            self._keep(entry)

    def fail(self, lost: CursorExpired) -> None:
        self._lost = lost
        self._filled.set()

    async def take(self) -> Entry | None:
        """The next change; None if the stream has to be read again first. Raises CursorExpired."""
        while not self._entries:
            if self._lost is not None:
                raise self._lost
            if self._gap is not None:
                return None
            self._filled.clear()
            await self._filled.wait()
        return self._entries.popleft()

    def take_gap(self) -> tuple[str, str] | None:
        """The cursors after which and up to which the stream has to be read again."""
        gap, self._gap = self._gap, None
        return gap

    def _keep(self, entry: Entry) -> None:
        if len(self._entries) < LONGEST_BACKLOG:
            self._entries.append(entry)
        else:
            self._gap = (self._entries[-1].cursor, entry.cursor)
        self._filled.set()
