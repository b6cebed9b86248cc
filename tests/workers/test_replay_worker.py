"""Replays in a worker: page follows page, and whatever happens to one page, the next ones are copied."""

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from domain import replays, workspaces
from domain.database import OUT_OF_REACH
from domain.errors import Unavailable
from domain.settings import Settings
from domain.tables import Replay
from domain.tasks import end
from domain.unit import Actor, Domain, opened
from domain.vocabulary import Role
from tests.away import close, gated, reopen
from tests.domain.test_replays import failed_deliveries, start
from tests.waiting import until
from workers import replay as worker


async def copied(count: int) -> bool:
    with suppress(Unavailable, *OUT_OF_REACH):
        return await Replay.exists(done=count)
    return False


async def test_page_follows_page_though_nobody_looks_for_replays_again(
    domain: Domain, admin: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "EVERY_SECONDS", 10_000)
    await start(domain, admin, await failed_deliveries(domain, admin, 2 * replays.PAGE))

    copying = asyncio.create_task(worker.copy_forever(domain))
    await until(lambda: copied(2 * replays.PAGE))

    await end(copying)


async def test_copying_goes_on_after_the_database_was_away(settings: Settings) -> None:
    async with gated(replace(settings, log_level="warning")) as gates, opened(gates.settings) as domain:
        admin = Actor(await workspaces.create("Test"), None, Role.ADMIN)
        await start(domain, admin, await failed_deliveries(domain, admin, 1))
        close(gates.postgres)
        with capture_logs() as lines:
            copying = asyncio.create_task(worker.copy_forever(domain))
            await until(lambda: "replay.database_away" in {line["event"] for line in lines})
            reopen(gates.postgres)
            await until(lambda: copied(1))
            await end(copying)

    assert "replay.broke" not in {line["event"] for line in lines}
