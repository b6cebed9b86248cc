"""The database loop's step for changing keys: while there are several, the newest reseals what old ones sealed."""

from collections.abc import AsyncGenerator
from time import monotonic

import structlog

from domain import resealing
from domain.resealing import Batch
from domain.unit import Domain

# Another process may still seal with the old key until it is restarted, so one walk through the tables is not enough.
REST_SECONDS = 300.0

log = structlog.get_logger(__name__)


class Resealing:
    """Takes one small batch at each step; after the last one it rests, then begins again."""

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self._walk: AsyncGenerator[Batch, None] | None = None
        self._resealed = 0
        self._unopened = 0
        self._rest_until = 0.0

    async def once(self) -> None:
        """Take one step. Raises Unavailable; the next step then begins at the first batch."""
        if not self._domain.vault.has_old_keys or monotonic() < self._rest_until:
            return
        walk, self._walk = self._walk or self._begin(), None
        batch = await anext(walk, None)
        if batch is None:
            await self._finish()
            return
        self._walk = walk
        self._resealed += batch.resealed
        self._unopened += len(batch.unopened)
        for value in batch.unopened:
            log.warning("keys.cannot_open", value=str(value))

    def _begin(self) -> AsyncGenerator[Batch, None]:
        self._resealed = self._unopened = 0
        return resealing.batches(self._domain.vault)

    async def _finish(self) -> None:
        self._rest_until = monotonic() + REST_SECONDS
        left = await resealing.left(self._domain.vault)
        log.info("keys.resealed", values=self._resealed, unopened=self._unopened, left=left)
