"""A pooler that gives each transaction another session: what works through it, and what is said of the rest."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cli import doctor
from cli.doctor import Verdict
from domain import postgres_url, unit, workspaces
from domain.database import connected, is_migrated, migrate, rows
from domain.errors import Misconfigured, Unavailable
from domain.settings import Settings
from domain.tables import Delivery
from domain.unit import Actor
from domain.vocabulary import DeliveryStatus, Role
from tests.domain.doing import happen, listen
from tests.pooler import SESSIONS, Pooler, pooling


@pytest.fixture
async def pooled(settings: Settings) -> AsyncIterator[tuple[Pooler, Settings]]:
    """A pooler in front of this test's database, and settings that lead through it."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        async with pooling(settings.database_url, folder) as (pooler, url):
            yield pooler, replace(settings, database_url=url)


def with_word(settings: Settings) -> Settings:
    """Settings that say that there is a pooler."""
    return replace(settings, database_url=f"{settings.database_url}&pgbouncer=true")


async def test_where_the_url_says_so_units_and_statements_go_through_it(pooled: tuple[Pooler, Settings]) -> None:
    pooler, through = pooled
    async with unit.opened(with_word(through)) as domain:
        admin = Actor(await workspaces.create("Test"), None, Role.ADMIN)
        await listen(domain, admin)
        for _ in range(4):
            await asyncio.gather(*(happen(domain, admin) for _ in range(4)))
        assert await Delivery.filter(status=DeliveryStatus.PENDING).count() == 16
        assert {row["one"] for row in [(await rows("SELECT 1 AS one"))[0] for _ in range(SESSIONS + 1)]} == {1}
    assert pooler.given > 16 + SESSIONS


async def test_migrations_through_it_leave_no_lock_behind(empty_database_url: str, settings: Settings) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        async with pooling(empty_database_url, folder) as (_, url):
            empty = with_word(replace(settings, database_url=url))
            async with asyncio.timeout(60):
                for _ in range(SESSIONS + 1):
                    await migrate(empty)
            async with connected(empty):
                assert await is_migrated()
                assert not await rows("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'")


async def test_where_the_url_does_not_say_so_doctor_tells_what_to_write(pooled: tuple[Pooler, Settings]) -> None:
    _, through = pooled
    async with connected(through):
        with pytest.raises(Unavailable):
            await rows("SELECT 1")
    (finding,) = [finding async for finding in doctor.postgres(through, datetime.now(UTC), can_open=False)]
    assert finding.verdict is Verdict.FAULT
    assert "unsupported startup parameter: statement_timeout" in finding.says
    assert finding.remedy == "Add ?pgbouncer=true to HOOKLINE_DATABASE_URL."


async def test_what_a_pooler_does_not_pass_on_doctor_asks_of_the_role(pooled: tuple[Pooler, Settings]) -> None:
    _, through = pooled
    told = [finding async for finding in doctor.postgres(with_word(through), datetime.now(UTC), can_open=False)]
    assert {finding.remedy for finding in told if finding.check == "session"} == {
        "ALTER ROLE hookline SET enable_seqscan = 'off';",
        "ALTER ROLE hookline SET random_page_cost = '1.1';",
    }
    assert Verdict.FAULT not in {finding.verdict for finding in told}


def test_of_a_pooler_it_is_said_whether_there_is_one() -> None:
    assert postgres_url.place("postgresql://h/db?pgbouncer=true")["statement_cache_size"] == 0
    assert "statement_cache_size" not in postgres_url.place("postgresql://h/db?pgbouncer=false")
    with pytest.raises(Misconfigured, match="pgbouncer must be true or false"):
        postgres_url.place("postgresql://h/db?pgbouncer=session")
