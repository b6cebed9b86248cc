"""Upgrades: the tables of every release become those of this checkout, with the rows that were in them.

There is no release yet. The first one leaves its dump in tests/upgrades/releases/ (`make keep-release`), and from then
on it is migrated here; until then, a dump of today's tables and the state after the second migration stand in for it.
"""

import re
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from tortoise import Tortoise
from tortoise.migrations.api import migrate as run_migrations

from domain import accounts, database, deliveries, migrations
from domain.accounts import AccountChanges, NewAccount
from domain.database import rows
from domain.errors import Unavailable
from domain.settings import Settings
from domain.tables import Account, Webhook
from domain.unit import Actor, Domain, opened
from domain.vocabulary import Provider
from domain.webhooks import opened_headers
from tests.databases import connected as session
from tests.upgrades import releases
from tests.upgrades.releases import KEPT, dump, fill, released, restore, sums, with_sums

TODAY = "what today's version would leave behind"
KEPT_RELEASES = {path.stem: path.read_text() for path in sorted(KEPT.glob("*.sql"))}
FOLDER = Path(migrations.__path__[0])
# What breaks the version that is still running, or locks a large table for long.
UNSAFE = {
    "a column that goes": r"\bDROP COLUMN\b|RemoveField",
    "a table that goes": r"\bDROP TABLE\b|DeleteModel",
    "a name that changes": r"\bRENAME\b|RenameField|RenameModel",
    "a type that changes": r"\bALTER( COLUMN)? \w+ (SET DATA )?TYPE\b|AlterField",
    "a column that old code leaves empty": r"\bSET NOT NULL\b|ADD( COLUMN)? (?![^;,]*DEFAULT)[^;,]*NOT NULL",
}


def at(settings: Settings, url: str) -> Settings:
    return replace(settings, database_url=url, secret_keys=(releases.KEY,))


@pytest.mark.parametrize("release", [*KEPT_RELEASES, TODAY])
async def test_the_tables_of_a_release_become_ours(
    release: str, settings: Settings, database_url: str, empty_database_url: str
) -> None:
    kept = KEPT_RELEASES.get(release)
    if kept is None:
        await fill(at(settings, database_url))
        kept = with_sums(dump(database_url))
        assert released(kept) == sums()
    await becomes_ours(kept, at(settings, empty_database_url), settings)


async def becomes_ours(kept: str, old: Settings, fresh: Settings) -> None:
    """Migrate the dump: nothing of it is lost, it works, and its schema is that of a new database."""
    restore(kept, old.database_url)
    await database.migrate(old)
    async with opened(old) as domain:
        assert await database.is_migrated()
        webhook = await Webhook.get(name="CRM")
        assert [tuple(header) for header in opened_headers(domain.vault, webhook)] == [("X-Team", "a")]
        (waiting,) = await rows("SELECT id FROM delivery WHERE finished_at IS NULL")
        (claimed,) = await deliveries.claim([waiting["id"]], timedelta(seconds=30))
        assert claimed["document"] == '{"event":"account.deleted","data":{"uuid":"x"}}'
    assert dump(old.database_url, "--schema-only") == dump(fresh.database_url, "--schema-only")


async def test_rows_from_before_a_migration_survive_it(settings: Settings, empty_database_url: str) -> None:
    old = at(settings, empty_database_url)
    await run_migrations(config=database.configuration(old), target="models.0002_postgresql")
    await Tortoise.close_connections()
    async with database.connected(old):
        await rows("INSERT INTO workspace (uuid, name, created_at) VALUES (gen_random_uuid(), 'Acme', now())")
        await rows("INSERT INTO event (workspace_id, type, document) VALUES (1, 'account.deleted', '{}')")
        assert not await database.is_migrated()

    await database.migrate(old)

    async with database.connected(old):
        assert await database.is_migrated()
        assert [dict(row) for row in await rows("SELECT type, document, trace FROM event")] == [
            {"type": "account.deleted", "document": "{}", "trace": None}
        ]
    assert dump(old.database_url, "--schema-only") == dump(settings.database_url, "--schema-only")


async def test_to_a_version_that_comes_before_its_migration_the_database_is_away(
    settings: Settings, empty_database_url: str
) -> None:
    old = at(settings, empty_database_url)
    await run_migrations(config=database.configuration(old), target="models.0002_postgresql")
    await Tortoise.close_connections()
    async with database.connected(old):
        with pytest.raises(Unavailable):
            await deliveries.claim([1], timedelta(seconds=30))


async def test_the_version_that_still_runs_goes_on_after_a_migration_that_adds_to_what_it_reads(
    domain: Domain, admin: Actor, database_url: str
) -> None:
    added = await accounts.add(domain, admin, NewAccount(Provider.SANDBOX, "ok", "me"))
    await accounts.update(domain, admin, added.id, AccountChanges(name="before"))
    async with session(database_url) as migration:
        await migration.execute("ALTER TABLE account ADD COLUMN later text")

    # The statement that a connection had prepared is no longer valid. On another connection, there is no such error.
    with suppress(Unavailable):
        await accounts.update(domain, admin, added.id, AccountChanges(name="meanwhile"))
    await accounts.update(domain, admin, added.id, AccountChanges(name="after"))

    assert [account.name for account in await Account.all()] == ["after"]


def test_a_migration_that_was_released_does_not_change() -> None:
    for release, kept in KEPT_RELEASES.items():
        for name, sum_ in released(kept).items():
            assert sums().get(name) == sum_, f"{name} has been released with {release}: write another one"


def test_new_migrations_are_safe_while_the_release_before_still_runs() -> None:
    if KEPT_RELEASES:
        known = {name for kept in KEPT_RELEASES.values() for name in released(kept)}
        for name in set(sums()) - known:
            assert not unsafe((FOLDER / f"{name}.py").read_text()), name


def unsafe(migration: str) -> list[str]:
    """What is unsafe in a migration's way forward. Its way back does not count."""
    forward = re.split(r"^BACKWARD\b|^async def backward", migration, maxsplit=1, flags=re.MULTILINE)[0]
    return [what for what, pattern in UNSAFE.items() if re.search(pattern, forward)]


@pytest.mark.parametrize(
    ("forward", "found"),
    [
        ("ALTER TABLE event ADD COLUMN trace text;", []),
        ("ALTER TABLE event ADD COLUMN seen boolean NOT NULL DEFAULT false;", []),
        ("ALTER TABLE event ADD COLUMN seen boolean NOT NULL;", ["a column that old code leaves empty"]),
        ("ALTER TABLE event DROP COLUMN trace;", ["a column that goes"]),
        ("ALTER TABLE event RENAME COLUMN trace TO path;", ["a name that changes"]),
        ("ALTER TABLE event ALTER COLUMN id TYPE text;", ["a type that changes"]),
        ("ops.RemoveField(model_name='Event', name='trace')", ["a column that goes"]),
        ("CREATE TABLE sweep (name text PRIMARY KEY);", []),
    ],
)
def test_what_is_unsafe_is_known(forward: str, found: list[str]) -> None:
    assert unsafe(f'FORWARD = """{forward}"""\nBACKWARD = "DROP TABLE event; ALTER TABLE x DROP COLUMN y"') == found


def test_the_newest_migrations_are_safe_already() -> None:
    """The first two make the tables; later ones were written as if these had been released."""
    for name in sorted(sums())[2:]:
        assert not unsafe((FOLDER / f"{name}.py").read_text()), name
