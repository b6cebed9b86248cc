"""One feed: all equal subscriptions, whose changes are executed and encoded once.

A subscriber that resumes gets what it missed from the feed's recent changes, or else from the stream through the feed.
It joins in the same turn of the event loop in which it has nothing left to catch up with: no gap, nothing twice.
Nothing here waits for a live subscriber; each has a bounded outbox (api/outbox.py).
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import orjson
import structlog
from graphql import GraphQLError
from graphql.execution import Executor
from redis.exceptions import RedisError

from api.ahead import in_order
from api.deadline import Late, within
from api.execution import Engine, codes_of, shown, too_long
from api.recent import Encoded, Position, Recent, size_of
from domain.live import Entry, LiveAway, order_of
from domain.tasks import end
from domain.unit import Actor, Domain
from schema.context import Context
from schema.subscriptions import follow

# These errors pass once a server of ours answers again. Subscribers are told to come back then.
PASSING = (Late, RedisError, OSError)
# How many changes are executed ahead. Each takes some turns of the event loop, more if it asks the database, and a turn
# of a busy API takes milliseconds. Executed one after the other, a subscriber got a hundred of three hundred changes a
# second, and fell further behind each second.
AHEAD: Final = 4

log = structlog.get_logger(__name__)


class Sink(Protocol):
    """Where a subscriber's changes go."""

    def next(self, payload: str) -> None:
        """Take one encoded result; never waits."""

    def fail(self, errors: list[dict[str, Any]]) -> None:
        """End it, with these errors."""

    async def room(self) -> None:
        """Returns once there is room for more; only asked while catching up."""


class Owner(Protocol):
    """Keeps the feeds, and counts what they do."""

    def forget(self, feed: "Feed") -> None:
        """This feed has ended."""

    def share(self) -> int:
        """How many bytes each feed may remember just now."""

    def executed(self) -> None:
        """One change was executed and encoded."""

    def sent(self, number: int) -> None:
        """One change went to so many subscribers."""


@dataclass(frozen=True, slots=True)
class Source:
    """What equal subscriptions watch: the entries they want, and how those become answers."""

    engine: Engine
    domain: Domain
    actor: Actor
    executor: "Executor[Any]"
    wanted: Callable[[Entry], bool]
    root: Callable[[Entry], Any]
    # Shared by all feeds of the workspace: bounds how many changes are executed at a time.
    turns: asyncio.Semaphore

    def live(self, on_attached: Callable[[str], None]) -> AsyncGenerator[Entry, None]:
        """The wanted entries from now on; `on_attached` gets the cursor after which they begin."""
        return follow(self.domain.hub, self.actor.workspace.id, self.wanted, on_attached=on_attached)

    async def past(self, after: str, until: str) -> AsyncGenerator[Entry, None]:
        """The wanted entries after one cursor and up to another. Raises BadCursor and CursorExpired."""
        async for page in self.domain.hub.live.history(self.actor.workspace.id, after, until):
            for entry in filter(self.wanted, page):
                yield entry

    async def encoded(self, entry: Entry) -> Encoded:
        """The entry's place in the stream, and the answer that it makes."""
        request_id = _request_id()
        async with self.turns:
            executor = self.executor.build_per_event_executor(self.root(entry))
            # Each change has new loaders: what they have read for one change must not answer for the next.
            executor.context_value = Context(self.domain, self.actor, request_id)
            result = await within(self.engine.timeout, self.engine.run(executor, serially=False))
        refused = too_long(result.data)
        body: dict[str, Any] = {"data": None if refused else result.data}
        if errors := refused or result.errors:
            body["errors"] = shown(errors, request_id)
            if "UNAVAILABLE" in codes_of(body["errors"]):
                # A client that got this answer would resume after its cursor, and never see the change itself.
                raise LiveAway
        return order_of(entry.cursor), orjson.dumps(body).decode()


class Feed:
    """All equal subscriptions, from the first that comes to the last that goes."""

    def __init__(self, source: Source, owner: Owner, key: object) -> None:
        self.source = source
        self.owner = owner
        self.key = key
        # The live subscribers, and the last change that each has seen.
        self.members: dict[Sink, Position] = {}
        # Whether the feed could be started, once that is known.
        self.started: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.closed = False
        self._expected = 0
        self._error: Exception | None = None
        self._task: asyncio.Task[Any] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._recent = Recent(owner.share)
        self._recalling = asyncio.Lock()

    async def start(self) -> None:
        """Begin to watch. Raises as `Hub.attach`."""
        try:
            self._task = asyncio.create_task(self._run(self.source.live(self._attached)), name="feed")
            waited: set[asyncio.Future[Any]] = {self.started, self._task}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if self._error is not None:
                raise self._error
        except BaseException:
            # Also if the first subscriber left meanwhile: others that wait for this feed begin another one.
            self._close_if_idle()
            raise

    def _attached(self, position: str) -> None:
        self._recent.start = order_of(position)
        if not self.started.done():
            self.started.set_result(True)

    def close(self) -> None:
        """Watch no more."""
        self.closed = True
        self.owner.forget(self)
        if not self.started.done():
            self.started.set_result(False)
        if self._task is not None and self._task is not asyncio.current_task():
            task, self._task = self._task, None
            self._ending = asyncio.create_task(end(task), name="end of a feed")

    def leave(self, sink: Sink) -> None:
        """One subscriber less; the last one ends the feed."""
        self.members.pop(sink, None)
        self._close_if_idle()

    async def join(self, sink: Sink, after: str | None) -> None:
        """Add a subscriber, once it has all that it missed. Raises BadCursor, CursorExpired, and redis-py's errors."""
        self._expected += 1
        try:
            seen = (0, 0) if after is None else await self._catch_up(sink, after)
            if self._error is not None:
                raise self._error
            self.members[sink] = seen
        finally:
            self._expected -= 1
            self._close_if_idle()

    def _close_if_idle(self) -> None:
        if not self.members and not self._expected:
            self.close()

    async def _catch_up(self, sink: Sink, after: str) -> Position:
        """Send what was missed; returns the last change seen, in the same turn of the loop in which none is missing."""
        # Reads nothing, but raises if this is no cursor, or if the changes after it are no longer kept.
        async for _ in self.source.domain.hub.live.history(self.source.actor.workspace.id, after, after):
            pass
        position = order_of(after)
        while True:
            if position < self._recent.start:
                position = await self._recall(sink, position)
                continue
            missed = self._recent.after(position)
            if not missed:
                return position
            for _, payload in missed:
                await self._pass_on(sink, payload)
            position = missed[-1][0]

    async def _recall(self, sink: Sink, position: Position) -> Position:
        """Fetch what lies before the recent changes; returns how far this subscriber has come."""
        async with self._recalling:
            until = self._recent.start
            if position >= until:
                return position  # another subscriber has fetched it meanwhile
            past = self._past(position, until)
            found, whole = await self._gather(past)
            # Meanwhile the feed may have forgotten changes between these and those that it still has.
            if whole and self._recent.start == until:
                self._recent.add_before(position, found)
                return position
        # Too much to remember for all, or too late: this subscriber gets it alone, at its own pace.
        async with contextlib.aclosing(past):
            for _, payload in found:
                await self._pass_on(sink, payload)
            async for _, payload in past:
                await self._pass_on(sink, payload)
        return until

    async def _pass_on(self, sink: Sink, payload: str) -> None:
        await sink.room()
        sink.next(payload)
        self.owner.sent(1)

    async def _past(self, after: Position, until: Position) -> AsyncGenerator[Encoded, None]:
        entries = self.source.past(_cursor(after), _cursor(until))
        async with contextlib.aclosing(in_order(entries, self.source.encoded, AHEAD)) as answers:
            async for encoded in answers:
                self.owner.executed()
                yield encoded

    async def _gather(self, past: AsyncGenerator[Encoded, None]) -> tuple[list[Encoded], bool]:
        found: list[Encoded] = []
        size = 0
        async for order, payload in past:
            found.append((order, payload))
            size += size_of(payload)
            if not self._recent.has_room_for(len(found), size):
                return found, False
        # There may be less room than before: the more feeds there are, the less each may remember.
        return found, self._recent.has_room_for(len(found), size)

    async def _run(self, entries: AsyncGenerator[Entry, None]) -> None:
        try:
            async with contextlib.aclosing(in_order(entries, self.source.encoded, AHEAD)) as answers:
                async for order, payload in answers:
                    self.owner.executed()
                    self._tell(order, payload)
        except PASSING as error:
            log.warning("live.feed_ended", error=type(error).__name__)
            self._end(LiveAway())
        except Exception as error:  # noqa: BLE001 (whatever it is, all subscribers are told that it ended)
            self._end(error)
        finally:
            self.close()

    def _tell(self, order: Position, payload: str) -> None:
        self._recent.add(order, payload)
        # A subscriber may bring a cursor from a process that has read further than this one.
        behind = [sink for sink, seen in self.members.items() if order > seen]
        for sink in behind:
            sink.next(payload)
        self.owner.sent(len(behind))

    def _end(self, error: Exception) -> None:
        self._error = error
        errors = shown([GraphQLError(str(error), original_error=error)], _request_id()) if self.members else []
        members, self.members = self.members, {}
        for sink in members:
            sink.fail(errors)


def _request_id() -> str:
    # One for each change: it is executed for many requests at once.
    return f"live-{secrets.token_hex(8)}"


def _cursor(order: Position) -> str:
    return f"{order[0]}-{order[1]}" if order != (0, 0) else "0"
