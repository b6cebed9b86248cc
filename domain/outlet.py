"""What leaves a process after its commits: live changes and hints for workers, in that order.

No caller waits for it. It gathers a few milliseconds of commits, so that a busy process makes few large calls, and
drops what Redis does not take: the database loop makes up for all of it.
"""

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import structlog
from redis.exceptions import RedisError

from domain.database import rows
from domain.errors import Unavailable
from domain.live import Change, Live
from domain.queue import Owed, Queue
from domain.tasks import end

# How long commits are gathered.
WINDOW_SECONDS = 0.002
SETTLE_SECONDS = 0.05
# If more of one kind wait, all of that kind are dropped: the database loop finds them again.
MOST_WAITING = 20_000
CHANGES_PER_CALL = 500
# Hints further ahead than this are not sent: they would take up space in Redis until then, and the database loop finds
# what is due anyway.
FURTHEST_HINT = timedelta(hours=1)
CLOSE_SECONDS = 2

# A delivery is settled, and its row here deleted, once the stream has its last change and no other has come since.
# A waiting delivery is locked first: a claim in progress relies on that row, and without it nothing watches its lease.
# Rows locked by others are skipped: two processes that settle the same deliveries would deadlock.
# Lateral, with a limit: a plan made while the tables were empty is kept, and would join each row with a whole table.
SETTLE = """
WITH told AS MATERIALIZED (
    SELECT told.*, d.status FROM unnest($1::bigint[], $2::int[]) AS told (id, change) CROSS JOIN LATERAL (
        SELECT status FROM delivery WHERE id = told.id AND change = told.change LIMIT 1
    ) d
), waiting AS MATERIALIZED (
    SELECT d.id FROM told CROSS JOIN LATERAL (
        SELECT id FROM delivery WHERE id = told.id AND change = told.change LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
    ) d WHERE told.status IN ('pending', 'retrying')
)
DELETE FROM unsettled WHERE delivery_id = ANY (ARRAY(
    SELECT u.delivery_id FROM (
        SELECT id FROM told WHERE status IN ('succeeded', 'failed', 'cancelled') UNION ALL SELECT id FROM waiting
    ) AS at_rest CROSS JOIN LATERAL (
        SELECT delivery_id FROM unsettled WHERE delivery_id = at_rest.id LIMIT 1 FOR UPDATE SKIP LOCKED
    ) u
))
"""

log = structlog.get_logger(__name__)


class Outlet:
    """Sends what commits left behind. Use as `async with outlet.running():`."""

    def __init__(self, live: Live, queue: Queue) -> None:
        self._live = live
        self._queue = queue
        self._changes: list[Change] = []
        self._owed: dict[datetime | None, list[Owed]] = {}
        self._posts: list[tuple[int, datetime | None]] = []
        self._settled: list[Change] = []
        self._filled = asyncio.Event()
        self._sending = asyncio.Lock()
        # How many changes and hints were dropped, and so left to the database loop.
        self.dropped = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Outlet"]:
        """Sends while the block runs. At its end it sends the rest, for CLOSE_SECONDS at most."""
        tasks = [asyncio.create_task(self._send_forever()), asyncio.create_task(self._settle_forever())]
        try:
            yield self
        finally:
            await end(*tasks)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self.flush()
                    await self._settle()

    def announce(self, changes: Iterable[Change]) -> None:
        """Put changes of status into the live stream, in this order."""
        self._changes.extend(changes)
        self._notice()

    def deliver(self, owed: Iterable[Owed], at: datetime | None = None) -> None:
        """Hint to workers that deliveries are due now, or `at` that time."""
        if _is_near(at):
            self._owed.setdefault(_by_the_second(at), []).extend(owed)
            self._notice()

    def publish(self, post_id: int, at: datetime | None = None) -> None:
        """Hint to workers that a post is due now, or `at` that time."""
        if _is_near(at):
            self._posts.append((post_id, at))
            self._notice()

    def _notice(self) -> None:
        owed = sum(map(len, self._owed.values()))
        for kind, waiting in ((self._changes, len(self._changes)), (self._owed, owed), (self._posts, len(self._posts))):
            if waiting > MOST_WAITING:
                self.dropped += waiting
                kind.clear()
        self._filled.set()

    async def _send_forever(self) -> None:
        while True:
            await self._filled.wait()
            await asyncio.sleep(WINDOW_SECONDS)
            await self.flush()

    async def flush(self) -> None:
        """Wait for a send in progress, then send what has been collected."""
        async with self._sending:
            await self._send()

    async def _send(self) -> None:
        self._filled.clear()
        changes, self._changes = self._changes, []
        owed, self._owed = self._owed, {}
        posts, self._posts = self._posts, []
        left = len(changes) + sum(map(len, owed.values())) + len(posts)
        try:
            for start in range(0, len(changes), CHANGES_PER_CALL):
                told = changes[start : start + CHANGES_PER_CALL]
                await self._tell(told)
                left -= len(told)
            for at, batch in owed.items():
                await self._queue.enqueue_deliveries(batch, at)
                left -= len(batch)
            for post_id, at in posts:
                await self._queue.enqueue_post(post_id, at)
                left -= 1
        except (RedisError, OSError, TimeoutError, Unavailable) as error:
            log.warning("outlet.dropped", error=type(error).__name__)
        except Exception:
            # Carry on after any error: nothing else sends what the commits of this process leave behind.
            log.exception("outlet.broke")
        self.dropped += left

    async def _tell(self, changes: Sequence[Change]) -> None:
        taken = await self._live.append(changes)
        self._settled += [change for change, told in zip(changes, taken, strict=True) if told and change.settles]

    async def _settle_forever(self) -> None:
        while True:
            await asyncio.sleep(SETTLE_SECONDS)
            await self._settle()

    async def _settle(self) -> None:
        settled, self._settled = self._settled, []
        if not settled:
            return
        # If this fails, the database loop settles them.
        try:
            await rows(SETTLE, [change.subject_id for change in settled], [change.number for change in settled])
        except Unavailable:
            pass
        except Exception:
            log.exception("outlet.settle_broke")


def _is_near(at: datetime | None) -> bool:
    return at is None or at - datetime.now(UTC) < FURTHEST_HINT


def _by_the_second(at: datetime | None) -> datetime | None:
    # Jitter spreads retries; one job for all that are due in the same second is enough.
    return datetime.fromtimestamp(math.ceil(at.timestamp()), UTC) if at else None
