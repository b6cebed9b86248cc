"""Publishing posts: the arq job, which is a hint, and the step of the database loop. Networks may take minutes."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog

from domain import owed, publishing
from domain.errors import Unavailable, reason_of
from domain.tasks import end
from domain.unit import Domain

# How many posts one worker publishes at once; a workspace alone may hold half of them.
PLACES = 40
# Rounds that end are gathered for a moment, so that one query fills many places.
GATHER_SECONDS = 0.05

log = structlog.get_logger(__name__)


async def publish(ctx: dict[str, Any], post_id: int) -> None:
    """One round of a post that is due; a job that comes twice, or too early, does nothing."""
    publisher: Publisher = ctx["publisher"]
    await publisher.hear_of(post_id)


class Publisher:
    """One worker's posts. Use as `async with publisher.running():`."""

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self._rounds: dict[int, asyncio.Task[None]] = {}
        # How many rounds of each workspace there are.
        self._held: Counter[int] = Counter()
        # Whether more posts may be due than there were places for. Then each round that ends looks for the next ones.
        self._more = False
        self._looking: asyncio.Task[None] | None = None
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
        if self._looking is not None:
            await end(self._looking)
        if self._rounds:
            deadline = self._domain.settings.shutdown_deadline.total_seconds()
            await asyncio.wait(self._rounds.values(), timeout=deadline)
        await end(*self._rounds.values())

    async def hear_of(self, post_id: int) -> None:
        """Begin a round of this post if it is due; if the database is away, the database loop finds the post later."""
        try:
            workspace_id = await owed.workspace_of_due_post(post_id)
        except Unavailable as error:
            log.warning("publish.database_away", error=reason_of(error), post=post_id)
            return
        if workspace_id is not None:
            self.take(post_id, workspace_id)

    async def take_due(self) -> None:
        """Begin a round of every post that is due and that no worker holds, as far as there are places."""
        self._more = False
        found = await owed.due_posts(PLACES)
        self._more |= len(found) == PLACES
        for post_id, workspace_id in found.items():
            self.take(post_id, workspace_id)

    def take(self, post_id: int, workspace_id: int) -> None:
        """Begin a round of this post, unless one is under way. If there is no place, the post is found again later."""
        if self._closing or post_id in self._rounds:
            return
        if not self._has_place_for(workspace_id):
            self._more = True
            return
        round_ = asyncio.create_task(self._round(post_id))
        self._rounds[post_id] = round_
        self._held[workspace_id] += 1
        round_.add_done_callback(lambda _: self._leave(post_id, workspace_id))

    def _has_place_for(self, workspace_id: int) -> bool:
        """Whether it holds fewer places than are free: a slow network must not delay the posts of other workspaces."""
        return self._held[workspace_id] < PLACES - len(self._rounds)

    def _leave(self, post_id: int, workspace_id: int) -> None:
        del self._rounds[post_id]
        self._held[workspace_id] -= 1
        if not self._held[workspace_id]:
            del self._held[workspace_id]

    async def _round(self, post_id: int) -> None:
        try:
            await publishing.publish(self._domain, post_id)
        except Unavailable as error:
            log.warning("publish.database_away", error=reason_of(error), post=post_id)
        except Exception:
            # Our fault, not the network's. The lease runs out and the post is taken again.
            log.exception("publish.broke", post=post_id)
        else:
            self._look_soon()

    def _look_soon(self) -> None:
        if self._more and not self._closing and (self._looking is None or self._looking.done()):
            self._looking = asyncio.create_task(self._look_again())

    async def _look_again(self) -> None:
        await asyncio.sleep(GATHER_SECONDS)
        # The database loop logs it.
        with suppress(Unavailable):
            await self.take_due()
