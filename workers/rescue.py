"""The database loop: every second it finds what is due and unclaimed. It needs no Redis.

It closes every gap: a crash after a commit, an enqueue that failed, a Redis that was emptied, a worker that was killed.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import structlog
from redis.exceptions import RedisError

from domain import database, deliveries, owed, settling
from domain.errors import Unavailable, reason_of
from domain.unit import Domain
from workers import metrics
from workers.engine import Engine
from workers.health import Pulse

EVERY_SECONDS = 1.0
JITTER_SECONDS = 0.2
WEBHOOKS_AT_ONCE = 1000
DELIVERIES_AT_ONCE = 500

Step = Callable[[], Awaitable[None]]
log = structlog.get_logger(__name__)


class Rescue:
    """The steps of the loop, each of which may fail without the others."""

    def __init__(self, domain: Domain, engine: Engine, *more: Step) -> None:
        """`more` are the steps of other work that is kept in the database."""
        self._domain = domain
        self._engine = engine
        self._migrated = False
        self._watch = deliveries.Watch()
        self.pulse = Pulse.begun()
        self._steps: tuple[Step, ...] = (self.interrupt, self.find_due, self.probe, self.settle, *more)

    async def forever(self) -> None:
        """Take all steps each second or so."""
        while True:
            try:
                answered = await self.once() and await self._finds_its_tables()
                self.pulse.beat(answered=answered)
                if answered:
                    self._tell_ready()
            except Exception:
                # Nothing else finds work that no hint tells of, so this loop survives every error.
                log.exception("rescue.broke")
            await asyncio.sleep(EVERY_SECONDS + random.uniform(-JITTER_SECONDS, JITTER_SECONDS))  # noqa: S311

    async def once(self) -> bool:
        """Take each step once; returns whether the database answered."""
        answered = True
        for step in self._steps:
            try:
                await step()
            except Unavailable as error:
                answered = False
                log.warning("rescue.database_away", error=reason_of(error))
            except (RedisError, OSError) as error:
                log.warning("rescue.redis_away", error=type(error).__name__)
            except Exception:
                log.exception("rescue.step_broke", step=getattr(step, "__name__", "step"))
            self.pulse.turn()
        return answered

    async def _finds_its_tables(self) -> bool:
        if not self._migrated:
            with suppress(Unavailable):
                self._migrated = await database.is_migrated()
        return self._migrated

    def _tell_ready(self) -> None:
        if self._domain.settings.ready_file:
            try:
                Path(self._domain.settings.ready_file).touch()
            except OSError as error:
                log.warning("rescue.ready_file_refused", error=error.strerror)

    async def interrupt(self) -> None:
        """End attempts whose worker died."""
        ended = await self._watch.interrupt_expired(DELIVERIES_AT_ONCE)
        if ended:
            metrics.INTERRUPTED.inc(ended)
            log.warning("rescue.interrupted", attempts=ended)

    async def find_due(self) -> None:
        """Tell the engine which webhooks have something due; cancel what waits for deleted ones."""
        due = await owed.due_webhooks(WEBHOOKS_AT_ONCE)
        for row in due:
            if not row["deleted"]:
                self._engine.lanes.wanting(row["webhook_id"], row["workspace_id"])
        if deleted := [row["webhook_id"] for row in due if row["deleted"]]:
            await deliveries.cancel_left(deleted)

    async def probe(self) -> None:
        """Try endpoints whose circuit has been open long enough, one delivery each."""
        # A webhook that is taken but gets no place waits for another lease.
        places = min(self._engine.lanes.free, WEBHOOKS_AT_ONCE)
        if places <= 0:
            return
        probes = await owed.take_probes(places, self._domain.settings.lease)
        await self._engine.probe([(row["webhook_id"], row["workspace_id"]) for row in probes])

    async def settle(self) -> None:
        """Add to the live stream the changes that it lacks."""
        await settling.settle(self._domain.hub.live, DELIVERIES_AT_ONCE)
        await settling.settle_posts(self._domain.hub.live, DELIVERIES_AT_ONCE)
