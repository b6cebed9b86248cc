"""The database: migrations, which make what the models say and may run at once; its identity; transactions."""

import asyncio
import shutil
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tortoise.transactions import in_transaction

from domain import database
from domain.database import connected, identity, is_migrated, migrate, rows, transaction
from domain.errors import Unavailable
from domain.settings import Settings
from domain.tables import Workspace
from domain.unit import Domain
from tests.databases import connected as session

ROOT = Path(__file__).parents[2]


async def test_an_empty_database_is_brought_up_to_date_by_several_at_once(
    empty_database_url: str, settings: Settings
) -> None:
    empty = replace(settings, database_url=empty_database_url)
    async with connected(empty):
        assert not await is_migrated()
    await asyncio.gather(*(asyncio.to_thread(asyncio.run, migrate(empty)) for _ in range(3)))
    async with connected(empty):
        assert await is_migrated()


async def test_a_migration_waits_for_another_one_and_for_its_own_statements_however_long(
    empty_database_url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "STATEMENT_TIMEOUT_MS", 200)
    empty = replace(settings, database_url=empty_database_url)
    assert database.credentials(empty_database_url, patient=True)["command_timeout"] is None
    async with session(empty_database_url) as other:
        await other.execute(SLOW_TABLES)
        await other.execute("SELECT pg_advisory_lock(724855)")
        migrating = asyncio.create_task(asyncio.to_thread(asyncio.run, migrate(empty)))
        while not await other.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"):
            await asyncio.sleep(0.01)
        done, _ = await asyncio.wait({migrating}, timeout=0.5)
        assert not done
        await other.execute("SELECT pg_advisory_unlock(724855)")
        await migrating
    async with connected(empty):
        assert await is_migrated()


# Makes statements slow, as when a migration rewrites a large table.
SLOW_TABLES = """
CREATE FUNCTION take_long() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN IF to_regclass('workspace') IS NULL THEN PERFORM pg_sleep(0.3); END IF; END $$;
CREATE EVENT TRIGGER slow ON ddl_command_start WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION take_long();
"""


def test_the_migrations_make_all_that_the_models_say(tmp_path: Path) -> None:
    # A copy, because makemigrations writes what is missing: all other tests would wait for that migration.
    shutil.copytree(ROOT / "domain", tmp_path / "domain")
    config = tmp_path / "config_of_test.py"
    config.write_text(
        "from domain.database import configuration\nfrom domain.settings import Settings\n"
        "CONFIG = configuration(Settings('postgresql://h@localhost/h', 'redis://', (bytes(32),)))\n"
    )
    told = subprocess.run(
        [sys.executable, "-m", "tortoise", "-c", "config_of_test.CONFIG", "makemigrations"],
        cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "No changes detected" in told.stdout, told.stdout + told.stderr


async def test_a_database_is_known_by_when_it_was_made_and_its_copy_by_the_same(
    settings: Settings, empty_database_url: str
) -> None:
    empty = replace(settings, database_url=empty_database_url)
    async with connected(settings):
        ours = await identity()
        assert datetime.fromtimestamp(int(ours) / 1e6, UTC) <= await database.now()
    async with connected(empty), session(empty_database_url) as other:
        with pytest.raises(Unavailable):
            await identity()
        await other.execute("CREATE TABLE tortoise_migrations (name text, applied_at timestamptz)")
        with pytest.raises(Unavailable):
            await identity()
        await other.execute(
            f"INSERT INTO tortoise_migrations SELECT 'copied', to_timestamp({ours} / 1e6);"
            "INSERT INTO tortoise_migrations VALUES ('later', now())"
        )
        assert await identity() == ours


async def test_statements_of_our_own_run_in_the_transaction_that_is_open(domain: Domain) -> None:
    async with in_transaction() as connection:
        await rows("CREATE TEMPORARY TABLE here ON COMMIT DROP AS SELECT 1 AS one")
        assert (await rows("SELECT one FROM here"))[0]["one"] == 1
        assert connection is database.connection()


async def test_a_transaction_within_another_is_undone_by_itself_and_takes_the_statements_of_its_block(
    domain: Domain,
) -> None:
    async def break_within() -> None:
        async with transaction():
            await rows("DELETE FROM workspace")
            assert not await Workspace.exists()
            raise ZeroDivisionError

    async with transaction():
        await Workspace.create(name="outer")
        with pytest.raises(ZeroDivisionError):
            await break_within()
        assert await Workspace.exists(name="outer")

    assert await Workspace.exists(name="outer")


async def test_what_begins_while_open_transactions_are_looked_for_is_not_taken_for_committed(domain: Domain) -> None:
    async with in_transaction():
        begun = await database.now()

        assert await database.committed_until() <= begun
