"""Migrations: they make what the models say, may run twice, and are asked for by name."""

import asyncio
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from tortoise.transactions import in_transaction

from domain import database
from domain.database import connected, is_migrated, migrate, rows
from domain.settings import Settings
from domain.unit import Domain

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


def test_the_migrations_make_all_that_the_models_say(tmp_path: Path) -> None:
    config = tmp_path / "config_of_test.py"
    config.write_text(
        "from domain.database import configuration\nfrom domain.settings import Settings\n"
        "CONFIG = configuration(Settings('postgresql://h@localhost/h', 'redis://', (bytes(32),)))\n"
    )
    told = subprocess.run(
        [sys.executable, "-m", "tortoise", "-c", "config_of_test.CONFIG", "makemigrations"],
        env={"PYTHONPATH": f"{tmp_path}:{ROOT}"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "No changes detected" in told.stdout, told.stdout + told.stderr


async def test_statements_of_our_own_run_in_the_transaction_that_is_open(domain: Domain) -> None:
    async with in_transaction() as connection:
        await rows("CREATE TEMPORARY TABLE here ON COMMIT DROP AS SELECT 1 AS one")
        assert (await rows("SELECT one FROM here"))[0]["one"] == 1
        assert connection is database.connection()
