"""What `hookline doctor` finds out about a PostgreSQL, and about a pooler before it, and the remedies."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from domain import database, postgres_url, tables
from domain.settings import Settings

# The oldest version that the tests run with, and that the PostgreSQL project maintains.
OLDEST = 15
# The parameters that our sessions need, and what happens without them.
WANTED = {**postgres_url.SESSION, "track_activities": "on"}
OTHERWISE = {
    "enable_seqscan": "statements may read whole tables",
    "random_page_cost": "statements may read whole tables",
    "default_transaction_isolation": "concurrent changes are refused",
    "track_activities": "live updates may leave something out",
}
TABLES = [getattr(tables, name)._meta.db_table for name in tables.__all__]  # noqa: SLF001
PRIVILEGES = ("SELECT", "INSERT", "UPDATE", "DELETE")


@dataclass(frozen=True, slots=True)
class Server:
    """A PostgreSQL as it shows itself in one transaction."""

    version: str
    major: int
    time: datetime
    encoding: str
    user: str
    is_read_only: bool
    is_pooled: bool
    # The values of the parameters in WANTED.
    session: Mapping[str, str]
    # Our tables, and the sequences of their ids, for which the user lacks a privilege that we need.
    closed: tuple[str, ...]
    # A schema with tables like ours, if the user can find no such tables.
    elsewhere: str | None

    @classmethod
    async def met(cls, settings: Settings) -> "Server":
        """The server that the settings name. Raises what asyncpg and the socket raise, and Misconfigured."""
        connection = await asyncpg.connect(**postgres_url.place(settings.database_url))
        try:
            async with connection.transaction():
                row: Any = await connection.fetchrow(_LOOK)
                session = await connection.fetch(_SESSION, list(WANTED))
                closed = await connection.fetch(_CLOSED, TABLES)
        finally:
            await connection.close()
        return cls(
            version=row["version"],
            major=connection.get_server_version().major,
            time=row["time"],
            encoding=database.encoding_of(connection),
            user=row["user"],
            is_read_only=row["is_read_only"],
            # A pooler reports a process id of its own.
            is_pooled=connection.get_server_pid() != row["pid"],
            session={each["name"]: each["setting"] for each in session},
            closed=tuple(each["name"] for each in closed),
            elsewhere=row["elsewhere"],
        )

    def faults(self) -> Iterator[tuple[str, str]]:
        """What keeps Hookline from working, each with its remedy."""
        if self.encoding != database.ENCODING:
            yield (
                f"the database's encoding is {self.encoding}, which cannot store all text that people write",
                f"Make one with `createdb --template template0 --encoding {database.ENCODING}`.",
            )
        if self.is_read_only:
            yield (
                "PostgreSQL takes no changes: it is a standby, or default_transaction_read_only is on",
                "Have HOOKLINE_DATABASE_URL name the primary, or set that off.",
            )
        if self.closed:
            yield (
                f"{self.user} may not do all that is needed in {', '.join(self.closed)}",
                f"GRANT {', '.join(PRIVILEGES)} ON ALL TABLES IN SCHEMA, and USAGE ON ALL SEQUENCES, to {self.user}.",
            )

    def remedy_for_tables(self) -> str:
        """What to do if the tables are missing, or of an earlier version."""
        migrate = "Run `hookline migrate` with the same settings, then start the other processes."
        if self.elsewhere is None:
            return migrate
        return (
            f"If those in the schema {self.elsewhere} are meant: GRANT USAGE ON SCHEMA {self.elsewhere} TO "
            f"{self.user}; ALTER ROLE {self.user} SET search_path = {self.elsewhere}; Otherwise: {migrate}"
        )

    def doubts(self, url: str) -> Iterator[tuple[str, str]]:
        """What lets Hookline work, but less well, each with its remedy."""
        if self.major < OLDEST:
            yield f"Hookline is tested with PostgreSQL {OLDEST} and later, not with {self.major}", "Upgrade it."
        if self.is_pooled and not postgres_url.is_pooled(url):
            yield (
                "there is a pooler in front of PostgreSQL: statements fail unless it gives a connection to each "
                "session or keeps prepared statements (max_prepared_statements)",
                "Add ?pgbouncer=true to HOOKLINE_DATABASE_URL.",
            )
        for name, found in self.session.items():
            if found != WANTED[name]:
                yield f"{name} is {found}: {OTHERWISE[name]}", f"ALTER ROLE {self.user} SET {name} = '{WANTED[name]}';"


_LOOK = """
SELECT current_setting('server_version') AS version, clock_timestamp() AS time, current_user AS user,
    current_setting('transaction_read_only') = 'on' AS is_read_only, pg_backend_pid() AS pid,
    (
        SELECT min(relnamespace::regnamespace::text) FROM pg_class
        WHERE relname = 'tortoise_migrations' AND relkind = 'r' AND to_regclass('tortoise_migrations') IS NULL
    ) AS elsewhere
"""
_SESSION = "SELECT name, setting FROM pg_settings WHERE name = ANY($1) ORDER BY name"
# On the table of migrations, a user that does not migrate needs only SELECT.
_CLOSED = """
SELECT relname AS name FROM pg_class WHERE pg_table_is_visible(oid) AND CASE relkind
    WHEN 'r' THEN relname = 'tortoise_migrations' AND NOT has_table_privilege(oid, 'SELECT')
        OR relname = ANY($1) AND NOT (
            has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
            AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE')
        )
    WHEN 'S' THEN relname = ANY(SELECT name || '_id_seq' FROM unnest($1::text[]) AS name)
        AND NOT has_sequence_privilege(oid, 'USAGE, UPDATE')
    ELSE false
END ORDER BY relkind DESC, relname
"""
