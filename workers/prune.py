"""Pruning: the sweeps of domain/retention.py, beside delivery and never in its way.

Every worker tries to take the next pages; the database lets one worker at a time do so. The worker then rests nine
times as long as they took, but at most a second, so that pruning takes a small share of the database.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from time import monotonic

import structlog

from domain import retention
from domain.errors import Unavailable
from domain.retention import Swept
from domain.settings import Settings
from workers import metrics

# A tenth of the time is spent removing (docs/decisions/0120-retention.md has the measurements).
REST_FACTOR = 9.0
SHORTEST_REST_SECONDS = 0.02
# On a busy worker a page takes longer without more work for the database: pruning must not fall behind then.
LONGEST_REST_SECONDS = 1.0
# How long to rest if there was nothing more to remove.
IDLE_SECONDS = 60.0

log = structlog.get_logger(__name__)


class Prune:
    """Takes pages for as long as there are any."""

    def __init__(self, settings: Settings) -> None:
        self._sweeps: Mapping[str, Callable[[], Awaitable[Swept]]] = retention.sweeps(settings)

    async def forever(self) -> None:
        """Page after page, with rests."""
        # Workers that start together should not all begin at the same time.
        await asyncio.sleep(random.uniform(0, IDLE_SECONDS / 4))  # noqa: S311
        while True:
            begun = monotonic()
            more = await self.once()
            rest = rest_after(monotonic() - begun) if more else IDLE_SECONDS
            await asyncio.sleep(rest * random.uniform(0.9, 1.1))  # noqa: S311

    async def once(self) -> bool:
        """Take one page of each sweep; returns whether any of them has more to do."""
        more = False
        for name, sweep in self._sweeps.items():
            try:
                swept = await sweep()
            except Unavailable:
                return False
            except Exception:
                log.exception("prune.broke", sweep=name)
                continue
            if swept.removed:
                metrics.PRUNED.labels(name).inc(swept.removed)
                log.debug("prune.removed", sweep=name, rows=swept.removed)
            more |= swept.more
        return more


def rest_after(took: float) -> float:
    """How many seconds to rest if a page of each sweep took `took` seconds: REST_FACTOR times that, from 0.02 to 1."""
    return min(max(took * REST_FACTOR, SHORTEST_REST_SECONDS), LONGEST_REST_SECONDS)
