"""A migrated database for each test. It is emptied for the next one if that is enough, else dropped and copied anew."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import count

import asyncpg

from cli.servers import PrivatePostgres
from domain import database
from domain.settings import Settings

TEMPLATE = "template_of_tests"
# The most dead rows that a test may leave to the next one.
FEW = 1_000


class Databases:
    """The databases of one server. Call `make_template` first."""

    def __init__(self, postgres: PrivatePostgres) -> None:
        self._postgres = postgres
        self._numbers = count(1)
        # A migrated, empty database that is not in use.
        self._spare: str | None = None
        self._shape = self._delete = self._refill = ""

    async def make_template(self, settings: Settings) -> None:
        """Create and migrate the database that others are copied from, with these settings except the address."""
        await self._execute(f"CREATE DATABASE {TEMPLATE}")
        url = self._postgres.url_of(TEMPLATE)
        await database.migrate(replace(settings, database_url=url))
        async with connected(url) as connection:
            self._shape = await connection.fetchval(_SHAPE)
            self._delete = await connection.fetchval(_DELETE)
            tables = [row["relname"] for row in await connection.fetch(_TABLES)]
            self._refill = "; ".join([await connection.fetchval(_REFILL.format(table=table)) for table in tables])

    @asynccontextmanager
    async def migrated(self, *, unused: bool = False) -> AsyncIterator[str]:
        """The URL of a database as the migrations left it; `unused` by any earlier test, if dead rows matter."""
        if unused or self._spare is None:
            name = await self._copy(TEMPLATE)
        else:
            name, self._spare = self._spare, None
        try:
            yield self._postgres.url_of(name)
        finally:
            if self._spare is None and await self._emptied(name):
                self._spare = name
            else:
                await self._drop(name)

    @asynccontextmanager
    async def bare(self) -> AsyncIterator[str]:
        """The URL of a database without tables."""
        name = await self._copy("template1")
        try:
            yield self._postgres.url_of(name)
        finally:
            await self._drop(name)

    async def _copy(self, template: str) -> str:
        name = f"test_{next(self._numbers)}"
        await self._execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return name

    async def _drop(self, name: str) -> None:
        await self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    async def _emptied(self, name: str) -> bool:
        """End all other sessions and delete every row. False if the database would not be as good as new."""
        try:
            # No trigger fires, not even those that enforce foreign keys.
            async with connected(self._postgres.url_of(name), session_replication_role="replica") as connection:
                await put_out_others(connection)
                if await connection.fetchval(_SHAPE) != self._shape:
                    return False
                deleted: int = await connection.fetchval(self._delete)
                await connection.execute(self._refill)
                return deleted <= FEW
        except asyncpg.PostgresError:
            return False  # it accepts no connections any more, for example

    async def _execute(self, sql: str) -> None:
        async with connected(self._postgres.url) as connection:
            await connection.execute(sql)


@asynccontextmanager
async def connected(url: str, **session: str) -> AsyncIterator[asyncpg.Connection]:
    """A separate connection with these session settings, while the block lasts."""
    connection = await asyncpg.connect(url, server_settings=session)
    try:
        yield connection
    finally:
        await connection.close()


async def put_out_others(connection: asyncpg.Connection) -> None:
    """End all other sessions of its database."""
    await connection.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


# The number of entries in the catalogues, and the transaction of the newest. It changes with every change of a table,
# and of a setting that sessions of this database begin with.
_SHAPE = """
SELECT concat(count(*), ' ', max(xmin::text::bigint)) FROM (
    SELECT xmin FROM pg_class UNION ALL SELECT xmin FROM pg_attribute UNION ALL SELECT xmin FROM pg_attrdef
    UNION ALL SELECT xmin FROM pg_constraint UNION ALL SELECT xmin FROM pg_trigger UNION ALL SELECT xmin FROM pg_proc
    UNION ALL SELECT setting.xmin FROM pg_db_role_setting setting
        JOIN pg_database ON pg_database.oid = setdatabase AND datname = current_database()
) AS catalogues
"""

_TABLES = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"

# Builds a statement that deletes every row, resets all sequences, and returns how many rows there were.
_DELETE = f"""
WITH emptied AS (
    SELECT string_agg(format('%1$I AS (DELETE FROM %1$I RETURNING 1)', relname), ', ') AS deletions,
        string_agg(format('(SELECT count(*) FROM %I)', relname), ' + ') AS counts
    FROM ({_TABLES}) AS tables
), restarted AS (
    SELECT string_agg(
        format('setval(%L, %s, %L)', sequencename, coalesce(last_value, 1), last_value IS NOT NULL), ', '
    ) AS restarts
    FROM pg_sequences WHERE schemaname = 'public'
)
SELECT format('WITH %s SELECT %s, %s', deletions, counts, restarts) FROM emptied, restarted
"""

# Builds a statement that restores the rows that a migration has made.
_REFILL = """
SELECT format('INSERT INTO %1$I SELECT * FROM json_populate_recordset(NULL::%1$I, %2$L)', '{table}',
    coalesce(json_agg(t), '[]')) FROM {table} t
"""
