"""A workspace in a system of real processes, and what makes deliveries happen in it."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

from domain import events, unit, workspaces
from domain.unit import Actor, Domain
from domain.vocabulary import EventType, Role
from domain.workspaces import NewToken
from tests.domain.doing import listen
from tests.e2e.receivers import Receivers, receiving
from tests.e2e.system import System

EVENT = EventType.POST_CREATED


# A receiver shares its loop with a thousand subscribers. On a busy machine it may take seconds to answer, and a timeout
# would be one change more than these tests count.
PATIENT = {
    "HOOKLINE_CONNECT_TIMEOUT": "30",
    "HOOKLINE_REQUEST_TIMEOUT": "60",
    "HOOKLINE_SHUTDOWN_DEADLINE": "60",
    "HOOKLINE_LEASE": "90",
}
# For workers that are killed: what they had begun is claimed again while the test runs.
HASTY = {"HOOKLINE_CONNECT_TIMEOUT": "1", "HOOKLINE_REQUEST_TIMEOUT": "2", "HOOKLINE_LEASE": "7"}


class LiveSystem(System):
    """Processes that reach their servers directly, and wait long for receivers: nothing in between is broken here."""

    def variables(self, who: str) -> dict[str, str]:
        """See System."""
        direct = {"HOOKLINE_DATABASE_URL": self.postgres.url, "HOOKLINE_REDIS_URL": self.redis.url}
        return {**super().variables(who), **(PATIENT if who == "worker" else {}), **direct}


@dataclass
class World:
    """One workspace, as seen by its admin."""

    system: System
    domain: Domain
    admin: Actor
    token: str
    receivers: Receivers

    async def listen(self, count: int) -> None:
        """Make this many webhooks, each with an endpoint of its own."""
        for number in range(count):
            await listen(self.domain, self.admin, EVENT, callback_url=self.receivers.url(f"/{number}"))

    async def happen(self, count: int, at_once: int = 4, pause: float = 0.0, text: str = "x") -> None:
        """Record `count` events with this text, a few at once; each makes a delivery for every webhook."""
        left = iter(range(count))

        async def go_on() -> None:
            for _ in left:
                async with self.domain.unit(self.admin) as opened:
                    await events.record(opened, EVENT, {"uuid": text})
                await asyncio.sleep(random.uniform(0, 2 * pause))

        await asyncio.gather(*(go_on() for _ in range(at_once)))

    async def new_token(self) -> str:
        """Another admin's token."""
        async with self.domain.unit(self.admin) as opened:
            return (await workspaces.create_token(opened, NewToken("another", Role.ADMIN)))[1]

    async def statuses(self) -> dict[str, str]:
        """The status of each delivery in the database."""
        found = await self.system.sql("SELECT uuid, status FROM delivery WHERE workspace_id = $1", self.workspace_id)
        return {str(row["uuid"]): row["status"].upper() for row in found}

    async def all_finished(self, count: int, seconds: float) -> None:
        """Wait until this many deliveries have ended."""
        end = time.monotonic() + seconds
        while (found := await self.system.sql(_FINISHED, self.workspace_id))[0]["count"] < count:
            assert time.monotonic() < end, f"{found[0]['count']} of {count} finished after {seconds:g} s"
            await asyncio.sleep(0.1)

    @property
    def workspace_id(self) -> int:
        """The key of the workspace."""
        key: int = self.admin.workspace.id
        return key


_FINISHED = "SELECT count(*) FROM delivery WHERE workspace_id = $1 AND finished_at IS NOT NULL"


@asynccontextmanager
async def entered(system: System) -> AsyncIterator[World]:
    """A new workspace, while the block lasts."""
    async with unit.opened(system.settings()) as domain, receiving() as receivers:
        admin = Actor(await workspaces.create(f"Test {uuid4()}"), None, Role.ADMIN)
        world = World(system, domain, admin, "", receivers)
        world.token = await world.new_token()
        yield world
