"""Publishing posts: the arq job, which is a hint, and the step of the database loop. Networks may take minutes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import structlog

from domain import publishing
from domain.errors import Unavailable, reason_of
from domain.tasks import end
from domain.unit import Domain

# How many posts one worker publishes at once.
PLACES = 20

log = structlog.get_logger(__name__)


async def publish(ctx: dict[str, Any], post_id: int) -> None:
    """One round of a post that is due; a job that comes twice, or too early, does nothing."""
    publisher: Publisher = ctx["publisher"]
    publisher.take(post_id)


class Publisher:
    """One worker's posts. Use as `async with publisher.running():`."""

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self._rounds: dict[int, asyncio.Task[None]] = {}
        self._closing = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Publisher"]:
        """Publishes for as long as the block lasts; what is not done by the shutdown deadline is left to its lease."""
        try:
            yield self
        finally:
            await self.stop()

    async def stop(self) -> None:
        """Begin nothing more, and wait for what is under way."""
        self._closing = True
        if self._rounds:
            deadline = self._domain.settings.shutdown_deadline.total_seconds()
            await asyncio.wait(self._rounds.values(), timeout=deadline)
        await end(*self._rounds.values())

    def take(self, post_id: int) -> None:
        """Begin a round of this post, unless one is under way or all places are taken: then the loop finds it."""
        if self._closing or post_id in self._rounds or len(self._rounds) >= PLACES:
            return
        round_ = asyncio.create_task(self._round(post_id))
        self._rounds[post_id] = round_
        round_.add_done_callback(lambda _: self._rounds.pop(post_id))

    async def take_due(self) -> None:
        """Begin a round of every post that is due and that no worker holds, as far as there are places."""
        for post_id in await publishing.due(PLACES):
            self.take(post_id)

    async def _round(self, post_id: int) -> None:
        try:
            await publishing.publish(self._domain, post_id)
        except Unavailable as error:
            log.warning("publish.database_away", error=reason_of(error), post=post_id)
        except Exception:
            # Ours, not the network's: the lease runs out and the post is taken again.
            log.exception("publish.broke", post=post_id)
