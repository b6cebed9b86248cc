"""The hub: one reader of Redis for all subscribers to live changes in this process.

It reads the streams of all watched workspaces in one blocking call, and calls each listener in the order of the
stream, once per entry. If Redis lost a stream, its listeners are told to read again.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from domain import tasks
from domain.errors import Unavailable, reason_of
from domain.live import CursorExpired, Entry, Live, read_entry
from domain.live_scripts import LARGE_CHANGE, stream_of

BLOCK_MS = 5000
READ_COUNT = 500
# How long the reader's connection waits for an answer: a connection that broke silently never brings one.
ANSWER_SECONDS = BLOCK_MS / 1000 + 1
# The pause after a failed read.
AWAY_SECONDS = 0.25
# Losses are looked for at least this often, which also keeps watched streams from expiring (KEPT_SECONDS).
LOOK_SECONDS = 3600.0

Found = list[tuple[bytes, list[tuple[bytes, dict[bytes, bytes]]]]]

log = structlog.get_logger(__name__)


@dataclass(eq=False)
class Attachment:
    """One listener. It hears every entry after `position`, until `close` or `on_lost` is called."""

    position: str
    on_entry: Callable[[Entry], None]
    on_lost: Callable[[CursorExpired], None]
    _stream: "_Stream"

    def close(self) -> None:
        """Hear nothing more. Closing twice is harmless."""
        self._stream.listeners.discard(self)


@dataclass(eq=False)
class _Stream:
    workspace_id: int
    position: str
    listeners: set[Attachment] = field(default_factory=set)


class Hub:
    """All live changes for all subscribers of one process. Use as `async with hub.running():`."""

    def __init__(self, live: Live, reader: Redis) -> None:
        self.live = live
        self._reader = reader
        self._streams: dict[bytes, _Stream] = {}
        self._woken = asyncio.Event()
        self._doubtful = False
        self._looked = monotonic()

    @property
    def listeners(self) -> int:
        """How many are attached now."""
        return sum(len(stream.listeners) for stream in self._streams.values())

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Hub"]:
        """Reads for as long as the block lasts."""
        task = asyncio.create_task(self._read_forever(), name="hub")
        try:
            yield self
        finally:
            await tasks.end(task)

    async def attach(
        self, workspace_id: int, on_entry: Callable[[Entry], None], on_lost: Callable[[CursorExpired], None]
    ) -> Attachment:
        """Hear every entry of a workspace from now on. Raises as `Live.claim`."""
        key = stream_of(workspace_id).encode()
        if key not in self._streams:
            position = await self.live.open(workspace_id)
            # Another subscriber may have opened it while this one waited.
            self._streams.setdefault(key, _Stream(workspace_id, position))
            self._woken.set()
        stream = self._streams[key]
        attachment = Attachment(stream.position, on_entry, on_lost, stream)
        stream.listeners.add(attachment)
        return attachment

    async def _read_forever(self) -> None:
        while True:
            try:
                await self._read_once()
            except (RedisError, OSError, TimeoutError) as error:
                log.warning("live.redis_away", error=type(error).__name__)
            except Unavailable as error:
                # A stream that was lost cannot be opened again without the database's clock.
                log.warning("live.database_away", error=reason_of(error))
            except Exception:
                # Keep reading whatever happens: the subscribers of this process have no other reader.
                log.exception("live.broke")
            else:
                continue
            self._doubtful = True
            await asyncio.sleep(AWAY_SECONDS)

    async def _read_once(self) -> None:
        """One read of all watched streams, cut short when another one is to be watched."""
        self._streams = {key: stream for key, stream in self._streams.items() if stream.listeners}
        self._woken.clear()
        if not self._streams:
            await self._woken.wait()
            return
        if self._doubtful:
            await self._look_for_losses()
        found = await self._read_or_wake()
        for key, entries in found or []:
            stream = self._streams[key]
            # After many or large entries, older ones may have been trimmed before they were read.
            if not _may_be_trimmed(entries) or await self._is_held(stream):
                self._hand_out(stream, entries)
            else:
                stream.position = entries[-1][0].decode()
                _tell_lost(stream)
        # If Redis was emptied and its clock runs behind, its new ids are below our positions, and reads find nothing.
        self._doubtful = found == [] or monotonic() > self._looked + LOOK_SECONDS

    async def _read_or_wake(self) -> Found | None:
        """What is new in the watched streams; empty after BLOCK_MS; None if another stream is to be watched too."""
        positions: Any = {key: stream.position for key, stream in self._streams.items()}
        read = asyncio.ensure_future(self._reader.xread(positions, count=READ_COUNT, block=BLOCK_MS))
        woken = asyncio.ensure_future(self._woken.wait())
        try:
            await asyncio.wait({read, woken}, return_when=asyncio.FIRST_COMPLETED)
            return read.result() if read.done() else None
        finally:
            # Cancelling once is not enough: a read that has just been sent may go on until it no longer blocks.
            await tasks.end(read, woken)

    def _hand_out(self, stream: _Stream, entries: list[tuple[bytes, dict[bytes, bytes]]]) -> None:
        for entry_id, fields in entries:
            stream.position = entry_id.decode()
            entry = read_entry(entry_id, fields)
            if entry is None:
                _tell_lost(stream)
            else:
                for listener in tuple(stream.listeners):
                    listener.on_entry(entry)

    async def _look_for_losses(self) -> None:
        """Tells the listeners of streams that no longer have the entry that was read last."""
        self._looked = monotonic()
        # More streams may be opened meanwhile.
        streams = tuple(self._streams.values())
        held = await self.live.held([(stream.workspace_id, stream.position) for stream in streams])
        for stream, is_held in zip(streams, held, strict=True):
            if not is_held:
                stream.position = await self.live.open(stream.workspace_id)
                _tell_lost(stream)

    async def _is_held(self, stream: _Stream) -> bool:
        return (await self.live.held([(stream.workspace_id, stream.position)]))[0]


def _may_be_trimmed(entries: Sequence[tuple[bytes, dict[bytes, bytes]]]) -> bool:
    # Trimming for length stays far behind the end of a stream. Trimming for size happens only when a large change is
    # added, and keeps that change.
    return len(entries) >= READ_COUNT or any(len(fields.get(b"e", b"")) > LARGE_CHANGE for _, fields in entries)


def _tell_lost(stream: _Stream) -> None:
    listeners, stream.listeners = stream.listeners, set()
    for listener in listeners:
        listener.on_lost(CursorExpired(stream.position))
