"""The live stream: every change of a status, in Redis, for whoever watches.

One stream per workspace; the id of an entry is a subscriber's cursor. `append` takes each change once and in order:
it remembers the last change of each thing, takes the next one only, and leaves the rest to the database loop, which
tells what is missing in its right order (docs/decisions/0003-live-changes.md).
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import Any, Literal

import orjson
from redis.asyncio import Redis

from domain.errors import HooklineError, Unavailable

# Kept per workspace; about 1 kB each. A cursor older than that is told to read again.
KEPT_CHANGES = 50_000
# How long the last change of a thing is remembered, once nothing of it is open; the loop has settled it long before.
MEMORY_SECONDS = 600
# How long while something is open: Redis may be away for hours, and then the loop tells all from the first open change.
OPEN_MEMORY_SECONDS = 24 * 3600
ERASED_SECONDS = 24 * 3600
# How many changes of one workspace may have one millisecond in their ids.
SPAN = 2**20
# How far the time that is recalled of a change may lie before the one at which it was committed.
DOUBT_MICROSECONDS = 200_000
PAGE = 500
OLDEST = "0"

Kind = Literal["delivery", "post"]


class BadCursor(HooklineError):
    """That is no cursor: hand in one that a change came with, or "0" for the oldest that is kept."""


class CursorExpired(HooklineError):
    """Some changes since that cursor are no longer kept: read the list again, then go on from the cursor given here."""

    def __init__(self, resume_from: str) -> None:
        super().__init__()
        self.resume_from = resume_from


class LiveAway(Unavailable):
    """Live updates are out of reach just now; try again in a moment."""


class Order(IntEnum):
    """How sure the teller is that nothing before this change is missing from the stream."""

    # Take it only right after the change before it.
    NEXT = 0
    # All before it has been told: take it whatever came last, if it is newer.
    CLEAR = 1
    # The loop tells it from the database, in order: not what happened before the stream began.
    RECALLED = 2
    # The same, of a time that is not known exactly: told again in doubt, so that nobody misses it.
    ROUGHLY = 3


@dataclass(slots=True)
class Change:
    """One change of a delivery or a post, as it goes into the stream; not frozen, for thousands are made a second."""

    kind: Kind
    workspace_id: int
    subject_id: int
    # By this one it is remembered: a database that was restored from a backup gives ids once more.
    subject_uuid: str
    # Counts the subject's changes from 1.
    number: int
    order: Order
    occurred_at: datetime
    data: dict[str, Any]
    # Whether nothing of the subject stays open once this stands in the stream.
    settles: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One change of a delivery or a post, as it is read from the stream. `data` must not be changed: all share it."""

    cursor: str
    kind: Kind
    data: dict[str, Any]


def stream_of(workspace_id: int) -> str:
    """The key of a workspace's stream."""
    return f"hookline:live:{workspace_id}"


# The second part of an id begins with the workspace's, so that no cursor of one workspace is one of another's.
_ADD = """
local time = redis.call('TIME')
local ms = time[1] * 1000 + math.floor(time[2] / 1000)
local begun = {}
local function add(stream, workspace, ...)
  if not begun[stream] then
    begun[stream] = true
    local id = string.format('%.0f-%.0f', ms, workspace * SPAN)
    local added = redis.pcall('XADD', stream, 'MAXLEN', '~', KEPT, id, ...)
    if not added.err then
      return added
    end
  end
  -- In a millisecond that has entries already, Redis counts on from the last.
  return redis.call('XADD', stream, 'MAXLEN', '~', KEPT, '*', ...)
end
"""

# Each change comes as two words: a head of "workspace seen number order occurred memory", and the entry.
_APPEND = """
local taken = {}
for i = 1, #ARGV, 2 do
  local workspace, seen, number, order, occurred, memory =
    string.match(ARGV[i], '(%S+) (%S+) (%S+) (%S+) (%S+) (%S+)')
  local stream, entry = 'hookline:live:' .. workspace, ARGV[i + 1]
  number, order, occurred = tonumber(number), tonumber(order), tonumber(occurred)
  local last = tonumber(redis.call('GET', seen) or '0')
  local verdict = 0
  if redis.call('EXISTS', stream) == 0 then
    verdict = 2
  elseif number <= last then
    verdict = 1
  elseif order >= 2 and occurred + (order - 2) * DOUBT < tonumber(redis.call('GET', stream .. ':since') or '0') then
    verdict = 1
  elseif order > 0 or number == last + 1 then
    add(stream, workspace, 'k', string.sub(entry, 1, 1), 'e', string.sub(entry, 2))
    redis.call('SET', seen, number, 'EX', memory)
    verdict = 1
  end
  taken[#taken + 1] = verdict
end
return taken
"""

# A stream begins with a marker. Where Redis lost a stream, its readers meet a new marker and know that something may be
# missing: they read the database, where they find all that was committed before the marker was made. So the loop does
# not tell again what happened before `since`, the time before which all had been committed by then.
# Returns the stream's last id. An erased workspace has none, whoever still watches it or tells of it late.
_OPEN = """
local since, workspace = ARGV[1], ARGV[2]
local stream = 'hookline:live:' .. workspace
if redis.call('EXISTS', stream .. ':erased') == 1 then
  return '0-0'
end
if redis.call('EXISTS', stream) == 0 then
  redis.call('SET', stream .. ':since', since)
  return add(stream, workspace, 'since', since)
end
return redis.call('XREVRANGE', stream, '+', '-', 'COUNT', 1)[1][1]
"""


def _script(text: str) -> str:
    numbers = {"KEPT": KEPT_CHANGES, "DOUBT": DOUBT_MICROSECONDS, "SPAN": SPAN}
    for name, value in numbers.items():
        text = text.replace(name, str(value))
    return text


_LETTERS: dict[Kind, bytes] = {"delivery": b"d", "post": b"p"}
_KINDS: dict[bytes, Kind] = {letter: kind for kind, letter in _LETTERS.items()}


# The verdicts of _APPEND: held back until what comes before it is told; stands there; no stream yet.
_STANDS, _NONE = 1, 2


class Live:
    """Writing to the streams, and reading what they keep."""

    def __init__(self, redis: Redis, committed_until: Callable[[], Awaitable[datetime]]) -> None:
        """`committed_until` tells a time of the database's before which everything is committed."""
        self._redis = redis
        self._committed_until = committed_until
        self._append = redis.register_script(_script(_ADD + _APPEND))
        self._open = redis.register_script(_script(_ADD + _OPEN))

    async def append(self, changes: Sequence[Change]) -> list[bool]:
        """Add changes; tells of each whether it stands in the stream now (or need not).

        Raises what redis-py raises where Redis is out of reach, and Unavailable where a stream is to begin and the
        database is.
        """
        verdicts = await self._tell(changes)
        homeless = {change.workspace_id for change, verdict in zip(changes, verdicts, strict=True) if verdict == _NONE}
        if homeless:
            for workspace_id in homeless:
                await self.open(workspace_id)
            # What stands there already is known by its number, and not told twice.
            verdicts = await self._tell(changes)
        return [verdict == _STANDS for verdict in verdicts]

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
        verdicts: list[int] = await self._append(args=words)
        return verdicts

    async def open(self, workspace_id: int) -> str:
        """Make sure that a workspace has a stream; returns the cursor of its last entry. Raises as `append`."""
        last: bytes = await self._open(args=[_microseconds(await self._committed_until()), workspace_id])
        return last.decode()

    async def history(self, workspace_id: int, after: str, until: str) -> AsyncIterator[list[Entry]]:
        """What the stream keeps after one cursor up to and with another, in pages. "0" is before the oldest kept.

        Raises BadCursor where `after` is no cursor, CursorExpired where the workspace's stream does not hold it, or
        loses what comes next before it is read.
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
        # From its own place on: while that is kept, nothing after it has been trimmed.
        ahead = order_of(position) < order_of(until)
        found: list[tuple[bytes, dict[bytes, bytes]]] = await self._redis.xrange(
            stream_of(workspace_id), position, until if ahead else position, count=PAGE + 1
        )
        if position != OLDEST and not (found and found[0][0] == position.encode()):
            # Trimmed, or lost with Redis: whoever holds it reads the list again.
            newest = await self._redis.xrevrange(stream_of(workspace_id), count=1)
            raise CursorExpired(newest[0][0].decode() if newest else OLDEST)
        return found if position == OLDEST else found[1:]

    async def erase(self, workspace_id: int) -> None:
        """Forget a workspace's stream, and begin none for a day: who was writing in it may tell of that late."""
        stream = stream_of(workspace_id)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(stream, f"{stream}:since")
            pipe.set(f"{stream}:erased", 1, ex=ERASED_SECONDS)
            await pipe.execute()

    async def holds(self, workspace_id: int, cursor: str) -> bool:
        """Whether the workspace's stream still has the entry of that cursor."""
        return bool(await self._redis.xrange(stream_of(workspace_id), cursor, cursor, count=1))


def read_entry(entry_id: bytes, fields: dict[bytes, bytes]) -> Entry | None:
    """An entry as Redis gives it; None for the marker that a stream begins with."""
    kind = _KINDS.get(fields.get(b"k", b""))
    return Entry(entry_id.decode(), kind, orjson.loads(fields[b"e"])) if kind else None


def order_of(cursor: str) -> tuple[int, int]:
    """What cursors are compared by."""
    milliseconds, _, count = cursor.partition("-")
    return int(milliseconds), int(count or 0)


def _is_stream_id(text: str) -> bool:
    parts = text.split("-")
    return len(parts) == 2 and all(part.isascii() and part.isdigit() and len(part) <= 19 for part in parts)


def _microseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000)
