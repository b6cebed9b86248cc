"""A PostgreSQL that others manage: what they configure, what they permit, and a standby in its place."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

import asyncpg
import pytest

from cli import doctor
from cli.doctor import Finding, Verdict
from domain import workspaces
from domain.database import connected, is_migrated, migrate, rows, transaction
from domain.errors import Misconfigured, Unavailable
from domain.settings import Settings
from domain.tables import Workspace
from domain.unit import Domain
from tests.databases import connected as session
from tests.databases import put_out_others
from tests.running import hookline

KEY = "A" * 43 + "="


async def fault(settings: Settings) -> Finding:
    """The one thing that is wrong with the database."""
    found = [each async for each in doctor.postgres(settings, datetime.now(UTC), can_open=False)]
    (wrong,) = [each for each in found if each.verdict is Verdict.FAULT]
    return wrong


@asynccontextmanager
async def stranger(settings: Settings) -> AsyncIterator[Settings]:
    """Settings with a role that owns nothing and has no permissions."""
    at = urlsplit(settings.database_url)
    name = f"stranger_of_{at.path.strip('/')}"
    async with session(settings.database_url) as owner:
        await owner.execute(f"CREATE ROLE {name} LOGIN")
        try:
            yield replace(settings, database_url=at._replace(netloc=f"{name}@").geturl())
        finally:
            await owner.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


async def test_one_that_takes_no_changes_is_away_and_as_soon_as_another_does_they_go_on(
    domain: Domain, settings: Settings
) -> None:
    name = urlsplit(settings.database_url).path.strip("/")
    async with session(settings.database_url) as owner:
        await owner.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        await put_out_others(owner)
        # The pool learns that its connections have ended by using them.
        for _ in range(3):
            with pytest.raises(Unavailable):
                await workspaces.create("Refused")
        with pytest.raises(Unavailable):
            await rows("DELETE FROM unsettled")
        assert (await fault(settings)).says.startswith("PostgreSQL takes no changes")
        await owner.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only", timeout=5)
    # The pool keeps one connection, made while the database was still read-only.
    with suppress(Unavailable):
        await workspaces.create("Refused")
    await workspaces.create("Taken")
    assert [each.name for each in await Workspace.all()] == ["Taken"]


async def test_one_that_is_closed_while_somebody_works_on_it_is_away(domain: Domain, settings: Settings) -> None:
    at = urlsplit(settings.database_url)
    name = at.path.strip("/")
    await workspaces.create("Before")
    # A session cannot close the database that it is connected to.
    async with session(at._replace(path="/postgres").geturl()) as owner:
        await owner.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        try:
            await owner.execute("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1", name)
            # The pool learns that its connection has ended by using it.
            for _ in range(2):
                with pytest.raises(Unavailable):
                    await workspaces.create("Refused")
                with pytest.raises(Unavailable):
                    await rows("SELECT 1")
            assert (await fault(settings)).says == f'database "{name}" is not currently accepting connections'
        finally:
            await owner.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    await workspaces.create("After")


async def test_what_a_role_is_given_for_its_sessions_does_not_hold_for_ours(settings: Settings) -> None:
    name = urlsplit(settings.database_url).path.strip("/")
    async with session(settings.database_url) as owner:
        for set_ in ("default_transaction_isolation = 'serializable'", "statement_timeout = 7", "enable_seqscan = on"):
            await owner.execute(f"ALTER DATABASE {name} SET {set_}")
    async with connected(settings):
        (found,) = await rows(
            "SELECT current_setting('transaction_isolation') AS isolation, current_setting('statement_timeout') AS time"
        )
    assert tuple(found) == ("read committed", "30s")


async def test_a_lock_that_is_waited_for_too_long_is_a_clear_error(domain: Domain, settings: Settings) -> None:
    async with session(settings.database_url) as other, other.transaction():
        await other.execute("LOCK TABLE workspace")

        async def wait() -> None:
            async with transaction():
                await rows("SET LOCAL lock_timeout = 50")
                await Workspace.create(name="Waits")

        with pytest.raises(Unavailable):
            await wait()


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
async def test_a_database_that_cannot_hold_all_text_is_refused_before_there_is_a_table(
    settings: Settings, encoding: str
) -> None:
    at = urlsplit(settings.database_url)
    name = f"{at.path.strip('/')}_{encoding.lower()}"
    narrow = replace(settings, database_url=at._replace(path=f"/{name}").geturl())
    async with session(settings.database_url) as owner:
        await owner.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' LOCALE 'C'")
        try:
            with pytest.raises(Misconfigured, match=f"encoding is {encoding}.*--encoding UTF8"):
                await migrate(narrow)
            assert encoding in (await fault(narrow)).says
            async with connected(narrow):
                assert not await is_migrated()
        finally:
            await owner.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def test_a_role_for_running_may_be_another_than_the_one_that_migrates(settings: Settings) -> None:
    async with stranger(settings) as runner:
        name = urlsplit(runner.database_url).username
        wrong = await fault(runner)
        assert wrong.says.startswith(f"{name} may not do all that is needed in account, attempt,")
        assert wrong.remedy.startswith("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES")
        told = hookline(
            "workspace", "create", "Theirs",
            HOOKLINE_DATABASE_URL=runner.database_url, HOOKLINE_REDIS_URL=runner.redis_url, HOOKLINE_SECRET_KEYS=KEY,
        )  # fmt: skip
        assert (told.returncode, told.stderr) == (
            1,
            "The database cannot be used: permission denied for table tortoise_migrations. "
            "`hookline doctor` says what to do.\n",
        )
        async with session(settings.database_url) as owner:
            await owner.execute(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name}")
            wrong = await fault(runner)
            assert wrong.says.startswith(f"{name} may not do all that is needed in account_id_seq, attempt_id_seq,")
            assert "USAGE ON ALL SEQUENCES" in wrong.remedy
            async with connected(runner):
                with pytest.raises(Unavailable) as refused:
                    await workspaces.create("Refused")
            assert isinstance(refused.value.__cause__, asyncpg.InsufficientPrivilegeError)
            await owner.execute(f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {name}")
        found = [each async for each in doctor.postgres(runner, datetime.now(UTC), can_open=False)]
        assert {each.verdict for each in found} == {Verdict.OK}
        async with connected(runner):
            await workspaces.create("Theirs")


async def test_who_may_make_no_tables_is_told_so(empty_database_url: str, settings: Settings) -> None:
    async with stranger(replace(settings, database_url=empty_database_url)) as other:
        with pytest.raises(Exception, match="permission denied for schema public") as raised:
            await migrate(other)
        assert isinstance(raised.value.__cause__ or raised.value, asyncpg.InsufficientPrivilegeError)


async def test_the_tables_may_be_in_a_schema_of_their_own(empty_database_url: str, settings: Settings) -> None:
    empty = replace(settings, database_url=empty_database_url)
    async with stranger(empty) as other:
        name = urlsplit(other.database_url).username
        async with session(empty_database_url) as owner:
            await owner.execute(f"CREATE SCHEMA apart AUTHORIZATION {name}; ALTER ROLE {name} SET search_path = apart")
        await migrate(other)
        async with connected(other):
            await workspaces.create("Apart")
        async with session(empty_database_url) as owner:
            assert await owner.fetchval("SELECT name FROM apart.workspace") == "Apart"
        async with session(empty_database_url) as owner:
            await owner.execute(f"ALTER ROLE {name} RESET search_path")
        assert (await fault(other)).remedy.startswith(
            f"If those in the schema apart are meant: GRANT USAGE ON SCHEMA apart TO {name}; "
            f"ALTER ROLE {name} SET search_path = apart;"
        )
        async with session(empty_database_url) as owner:
            await owner.execute(f"ALTER ROLE {name} SET search_path = apart")
        assert not [
            each async for each in doctor.postgres(other, datetime.now(UTC), can_open=False)
            if each.verdict is not Verdict.OK
        ]  # fmt: skip
