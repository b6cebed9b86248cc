"""`python -m tests.live.dying DATABASE_URL REDIS_URL WORKSPACE_ID COUNT`: commits, and dies before announcing it."""

import asyncio
import os
import signal
import sys
from ipaddress import ip_network

from domain import events, unit
from domain.settings import Settings
from domain.tables import Workspace
from domain.unit import Actor
from domain.vocabulary import Role
from tests.e2e.system import KEY
from tests.live.world import EVENT


async def main() -> None:
    """Commit, and be killed in the same turn of the event loop, before anything is sent."""
    database_url, redis_url, workspace_id, count = sys.argv[1:]
    settings = Settings(database_url, redis_url, (KEY,), allowed_networks=(ip_network("127.0.0.0/8"),))
    async with unit.opened(settings) as domain:
        admin = Actor(await Workspace.get(id=int(workspace_id)), None, Role.ADMIN)
        async with domain.unit(admin) as opened:
            for _ in range(int(count)):
                await events.record(opened, EVENT, {"uuid": "x"})
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    asyncio.run(main())
