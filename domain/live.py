"""The live stream: every change of a status, in Redis, for subscribers.

There is one stream per workspace; the id of an entry is a subscriber's cursor. `append` takes each change once and in
order: it remembers the last change of each delivery or post, takes only the next one, and leaves the rest to the
database loop, which announces what is missing in the right order (docs/decisions/0003-live-changes.md).

Workspaces have the same numbers in every Hookline. So a Redis serves one database only, and records which
(docs/decisions/0133-whose-redis-it-is.md).
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any, Literal

import orjson
from redis.asyncio import Redis
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError

from domain.errors import HooklineError, Unavailable
from domain.live_scripts import APPEND, CLAIM, KEPT_SECONDS, NO_STREAM, OPEN, SERVED, SPAN, STANDS, script, stream_of

# How long the last change of a delivery is remembered once nothing of it is open; the loop settles it long before that.
MEMORY_SECONDS = 600
# The same while something is open: Redis may be away for hours; then the loop announces all from the first open change.
OPEN_MEMORY_SECONDS = 24 * 3600
ERASED_SECONDS = 24 * 3600
PAGE = 500
OLDEST = "0"

Kind = Literal["delivery", "post"]


class BadCursor(HooklineError):
    """This is not a valid cursor. Pass the cursor of a change, or "0" for the oldest change that is kept."""


class CursorExpired(HooklineError):
    """Some changes since that cursor are no longer kept: read the list again, then go on from the cursor given here."""

    def __init__(self, resume_from: str) -> None:
        super().__init__()
        self.resume_from = resume_from


class LiveAway(Unavailable):
    """Live updates are out of reach just now; try again in a moment."""


class ForeignRedis(RedisError):
    """This Redis serves another Hookline. Hookline treats it as unavailable."""


class Order(IntEnum):
    """How certain it is that nothing before this change is missing from the stream."""

    # Added only directly after the change before it.
    NEXT = 0
    # Everything before it has been announced: added if it is newer than the last one, even if numbers are skipped.
    CLEAR = 1
    # The loop announces it from the database, in order. Not added if it happened before the stream began.
    RECALLED = 2
    # The same, but its time is not known exactly: in doubt it is announced again rather than missed.
    ROUGHLY = 3


@dataclass(slots=True)
class Change:
    """One change of a delivery or a post, as it goes into the stream. Not frozen: thousands are made per second."""

    kind: Kind
    workspace_id: int
    subject_id: int
    # The key under which the last change is remembered: a database restored from a backup issues the same ids again.
    subject_uuid: str
    # Counts the subject's changes from 1.
    number: int
    order: Order
    occurred_at: datetime
    data: dict[str, Any]
    # Whether nothing of the subject is open once this change is in the stream.
    settles: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One change of a delivery or a post, as read from the stream. `data` must not be changed: all readers share it."""

    cursor: str
    kind: Kind
    data: dict[str, Any]


_LETTERS: dict[Kind, bytes] = {"delivery": b"d", "post": b"p"}
_KINDS: dict[bytes, Kind] = {letter: kind for kind, letter in _LETTERS.items()}


class Live:
    """Writing to the streams, and reading what they keep."""

    def __init__(
        self,
        redis: Redis,
        committed_until: Callable[[], Awaitable[datetime]],
        identity: Callable[[], Awaitable[str]],
    ) -> None:
        """`committed_until` returns a time, by the database's clock, before which everything is committed; `identity`
        returns which database it is."""
        self._redis = redis
        self._committed_until = committed_until
        self._identity = identity
        self._database: str | None = None
        # The workspace and the id of the entry added last: a Redis that lost it has gone back to an older copy.
        self._newest = b""
        self._claim = redis.register_script(script(CLAIM))
        self._append = redis.register_script(script(APPEND))
        self._open = redis.register_script(script(OPEN))

    async def claim(self) -> None:
        """Make sure that this Redis serves our database and no other.

        Raises ForeignRedis if it serves another one, what redis-py raises if Redis is out of reach, and Unavailable if
        the database is.
        """
        await self._run(self._claim)

    async def _run(self, registered: AsyncScript, *words: Any) -> Any:
        if self._database is None:
            self._database = await self._identity()
        answer = await registered(args=[*words, self._database])
        if answer is None:
            raise ForeignRedis
        return answer

    async def append(self, changes: Sequence[Change]) -> list[bool]:
        """Add changes; returns for each whether it is in the stream now (or need not be).

        Raises as `claim`.
        """
        verdicts = await self._tell(changes)
        pairs = zip(changes, verdicts, strict=True)
        homeless = {change.workspace_id for change, verdict in pairs if verdict == NO_STREAM}
        if homeless:
            for workspace_id in homeless:
                await self.open(workspace_id)
            # Changes that are in a stream already are recognised by their numbers, and not added twice.
            verdicts = await self._tell(changes)
        return [verdict == STANDS for verdict in verdicts]

    async def _tell(self, changes: Sequence[Change]) -> list[int]:
        words: list[bytes] = []
        for change in changes:
            letter = _LETTERS[change.kind]
            occurred = _microseconds(change.occurred_at)
            memory = MEMORY_SECONDS if change.settles else OPEN_MEMORY_SECONDS
            words.append(
                b"%d hookline:seen:%s %d %d %d %d"
                % (change.workspace_id, change.subject_uuid.encode(), change.number, change.order, occurred, memory)
            )
            words.append(letter + orjson.dumps(change.data, option=orjson.OPT_UTC_Z))
        *verdicts, newest = await self._run(self._append, *words, self._newest)
        self._newest = newest or self._newest
        return list(verdicts)

    async def open(self, workspace_id: int) -> str:
        """Make sure that a workspace has a stream; returns the cursor of its last entry. Raises as `claim`."""
        last: bytes = await self._run(self._open, _microseconds(await self._committed_until()), workspace_id)
        return last.decode()

    async def history(self, workspace_id: int, after: str, until: str) -> AsyncIterator[list[Entry]]:
        """The kept entries after one cursor, up to and including another, in pages. "0" is before the oldest kept.

        Raises BadCursor if `after` is no cursor of this workspace, CursorExpired if the stream does not hold it, or
        loses the entries after it before they are read; and as `claim`.
        """
        if after != OLDEST and (not _is_stream_id(after) or order_of(after)[1] // SPAN != workspace_id):
            raise BadCursor
        position = after
        while page := await self._page(workspace_id, position, until):
            yield [entry for id_, fields in page if (entry := read_entry(id_, fields))]
            position = page[-1][0].decode()
            if position == until:
                return

    async def _page(self, workspace_id: int, position: str, until: str) -> list[tuple[bytes, dict[bytes, bytes]]]:
        # Includes the entry at `position`: as long as it is kept, nothing after it has been trimmed.
        ahead = order_of(position) < order_of(until)
        found: list[tuple[bytes, dict[bytes, bytes]]] = await self._redis.xrange(
            stream_of(workspace_id), position, until if ahead else position, count=PAGE + 1
        )
        if position != OLDEST and not (found and found[0][0] == position.encode()):
            # Trimmed, or lost with Redis: a client with this cursor has to read the list again.
            newest = await self._redis.xrevrange(stream_of(workspace_id), count=1)
            # Not "0": a client that resumes from there gets what this process still remembers from before the loss.
            raise CursorExpired(newest[0][0].decode() if newest else await self.open(workspace_id))
        return found if position == OLDEST else found[1:]

    async def erase(self, workspace_id: int) -> None:
        """Delete a workspace's stream, and begin none for a day: processes may still announce changes of it late.

        Raises as `claim`.
        """
        await self.claim()
        stream = stream_of(workspace_id)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(stream, f"{stream}:since")
            pipe.set(f"{stream}:erased", 1, ex=ERASED_SECONDS)
            await pipe.execute()

    async def held(self, places: Sequence[tuple[int, str]]) -> list[bool]:
        """For each workspace and cursor, whether the workspace's stream still has that entry.

        The caller watches these streams, so they are kept for another KEPT_SECONDS. Raises what redis-py raises.
        """
        async with self._redis.pipeline(transaction=False) as pipe:
            for workspace_id, cursor in places:
                pipe.xrange(stream_of(workspace_id), cursor, cursor, count=1)
                pipe.expire(stream_of(workspace_id), KEPT_SECONDS)
            answers = await pipe.execute()
        return [bool(found) for found in answers[::2]]


async def served_by(redis: Redis) -> str | None:
    """The `database.identity` of the database that this Redis serves, without claiming it; None if it serves none yet.

    Raises what redis-py raises.
    """
    served = await redis.get(SERVED)
    return None if served is None else served.decode()


def read_entry(entry_id: bytes, fields: dict[bytes, bytes]) -> Entry | None:
    """The entry that Redis returned; None for the marker that a stream begins with."""
    kind = _KINDS.get(fields.get(b"k", b""))
    return Entry(entry_id.decode(), kind, orjson.loads(fields[b"e"])) if kind else None


def order_of(cursor: str) -> tuple[int, int]:
    """The key by which cursors are compared."""
    milliseconds, _, count = cursor.partition("-")
    return int(milliseconds), int(count or 0)


def _is_stream_id(text: str) -> bool:
    parts = text.split("-")
    return len(parts) == 2 and all(part.isascii() and part.isdigit() and len(part) <= 19 for part in parts)


def _microseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)
