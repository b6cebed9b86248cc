"""PostgreSQL, the source of truth: connecting to it, and migrating its tables.

Tortoise does the ordinary reads and writes. The hot statements are our own SQL, over the same connections.
"""

import asyncio
import pkgutil
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
    nullcontext,
    suppress,
)
from contextvars import ContextVar
from datetime import datetime
from typing import Any, cast

import asyncpg
from tortoise import Tortoise
from tortoise.backends.asyncpg.client import AsyncpgDBClient, TransactionWrapper
from tortoise.backends.base.client import BaseDBAsyncClient
from tortoise.connection import get_connection, get_connections
from tortoise.exceptions import OperationalError, TransactionManagementError
from tortoise.migrations.api import migrate as run_migrations

from domain import migrations
from domain.errors import Misconfigured, Unavailable
from domain.postgres_url import STATEMENT_TIMEOUT_MS, place
from domain.settings import Settings

ENCODING = "UTF8"
POOL_SIZE = 10
# How many of them one operation of a client may use at once.
CONNECTIONS_OF_ONE = 2
# What asyncpg and the socket raise if the server is down, starting, stopping or full.
OUT_OF_REACH = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    # Raised for a statement if its connection breaks at that moment ("cannot switch to state").
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    # The server is up, but it rejects the login or has no such database: a person is changing that, or has to.
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    # The database has not been migrated yet, or our role lacks a privilege: the same holds.
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.InsufficientPrivilegeError,
    # A migration added a column to a table that a transaction reads whole. The connection knows the column from now on.
    asyncpg.InvalidCachedStatementError,
    asyncpg.exceptions.OperatorInterventionError,
    asyncpg.exceptions.InsufficientResourcesError,
    asyncpg.exceptions.PostgresSystemError,
    # Deadlocks: the same statement succeeds a moment later.
    asyncpg.exceptions.TransactionRollbackError,
    # A statement waited too long for a lock, or the database accepts no connections during maintenance.
    asyncpg.ObjectNotInPrerequisiteStateError,
    # A standby, or a transaction that was too slow for its server. Tortoise turns them into the last of these.
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.exceptions.TransactionTimeoutError,
    TransactionManagementError,
)


def configuration(settings: Settings, *, patient: bool = False) -> dict[str, Any]:
    """Tortoise's configuration for the database of these settings; if `patient`, statements have no timeout."""
    return {
        "connections": {
            "default": {
                "engine": "tortoise.backends.asyncpg",
                "credentials": {**credentials(settings.database_url, patient=patient), "reset": _keep},
            }
        },
        "apps": {"models": {"models": ["domain.tables"], "migrations": "domain.migrations"}},
        "use_tz": True,
        "timezone": "UTC",
    }


async def _keep(connection: asyncpg.Connection) -> None:
    """The reset that asyncpg runs when a connection returns to the pool, after ending its transaction.

    It replaces asyncpg's own RESET ALL, which costs a round trip each time: no statement of ours changes a session.
    """
    # PostgreSQL reports these settings unasked. The name may lead to another server by now, one that accepts writes.
    told = connection.get_settings()
    if "on" in (getattr(told, name, "off") for name in ("in_hot_standby", "default_transaction_read_only")):
        connection.terminate()


def credentials(url: str, *, patient: bool = False) -> dict[str, Any]:
    """Tortoise's connection parameters for the server at this URL. Raises Misconfigured."""
    timeout_ms = 0 if patient else STATEMENT_TIMEOUT_MS
    return {
        **place(url, timeout_ms),
        "minsize": 1,
        "maxsize": POOL_SIZE,
        "command_timeout": timeout_ms / 1000 + 5 if timeout_ms else None,
    }


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[None]:
    """The database, for as long as the block lasts. Connections are opened when they are first needed.

    Raises Misconfigured.
    """
    await Tortoise.init(config=configuration(settings), _enable_global_fallback=True)
    try:
        yield
    finally:
        await Tortoise.close_connections()


async def migrate(settings: Settings, tell: Callable[[str], None] = lambda _: None) -> None:
    """Bring the tables up to date. If two processes do so at once, the second waits for the first, however long.

    `tell` is called with the name of each migration as it begins. Raises Misconfigured if the database is not in UTF8.
    """

    def progress(event: str, _app: str, name: str) -> None:
        if event == "apply_start":
            tell(name)

    lock = await asyncpg.connect(**place(settings.database_url, timeout_ms=0))
    try:
        if (encoding := encoding_of(lock)) != ENCODING:
            raise Misconfigured(
                f"The database's encoding is {encoding}, which cannot store all text that people write; "
                f"make one with `createdb --template template0 --encoding {ENCODING}`."
            )
        # The lock belongs to a transaction: a session's lock would stay behind in a pooler. Its key is arbitrary, but
        # only Hookline uses it.
        async with lock.transaction():
            await lock.execute(_LOCK)
            await run_migrations(config=configuration(settings, patient=True), progress=progress)
            await Tortoise.close_connections()
    finally:
        await lock.close()


# Overrides timeouts of the server and of the role: the wait may be long, and so is the idle time during the migrations.
_LOCK = """
SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;
SELECT pg_advisory_xact_lock(724855);
"""


def encoding_of(connection: asyncpg.Connection) -> str:
    """The encoding in which a database stores its text."""
    # PostgreSQL reports it unasked.
    return str(connection.get_settings().server_encoding)


async def is_migrated() -> bool:
    """Whether the connected database has every migration that this version of the code knows."""
    known = {module.name for module in pkgutil.iter_modules(migrations.__path__)}
    try:
        applied = await rows("SELECT name FROM tortoise_migrations WHERE app = 'models'")
    except Unavailable as error:
        if isinstance(error.__cause__, asyncpg.UndefinedTableError):  # the table of migrations itself is missing
            return False
        raise
    return known <= {row["name"] for row in applied}


async def takes_changes() -> bool:
    """Whether the connected database accepts writes: it is no standby, and not set to read only."""
    ((read_only,),) = await rows("SELECT current_setting('transaction_read_only') = 'on'")
    return not read_only


def connection() -> BaseDBAsyncClient:
    """The client that runs our own statements: on the transaction that is open in this context, or else on the pool."""
    return get_connection("default")


@contextmanager
def taking_turns() -> Iterator[None]:
    """Limits the statements of the block, and of tasks that it starts, to CONNECTIONS_OF_ONE at once, so that others
    have connections left."""
    before = _turns.set(asyncio.Semaphore(CONNECTIONS_OF_ONE))
    try:
        yield
    finally:
        _turns.reset(before)


def turn() -> AbstractAsyncContextManager[None]:
    """Hold it around a statement, to obey `taking_turns` if that is in force. `rows` does so by itself."""
    return _turns.get() or nullcontext()


_turns: ContextVar[asyncio.Semaphore | None] = ContextVar("turns", default=None)


@asynccontextmanager
async def transaction() -> AsyncIterator[None]:
    """One transaction that all statements of the block are part of; within another one, a savepoint.

    Raises Unavailable if the server is out of reach.
    """
    outside = connection()
    with reached():
        # Tortoise's own transaction leaks the connection if BEGIN fails. It leaves the task inside the transaction if
        # that fails, or the release.
        async with outside.acquire_connection() as raw, AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(raw.transaction())
            except BaseException:
                # If a BEGIN is cancelled, its connection may stay silent for as long as a statement may take.
                with suppress(asyncpg.InterfaceError):  # it is closed already
                    raw.terminate()
                raise
            inside = TransactionWrapper(cast(AsyncpgDBClient, outside))
            inside._connection = raw  # noqa: SLF001
            token = get_connections().set("default", inside)
            try:
                yield
            finally:
                get_connections().reset(token)


async def rows(sql: str, *values: Any, record_class: type[asyncpg.Record] | None = None) -> Sequence[Any]:
    """Run one statement of our own and return its records. Raises Unavailable if the server is out of reach."""
    with reached():
        # Tortoise would copy each record into a dictionary.
        client = connection()
        client.log.debug("%s: %s", sql, values)
        async with turn(), client.acquire_connection() as raw:
            records: Sequence[Any] = await raw.fetch(sql, *values, record_class=record_class)
            return records


@contextmanager
def reached() -> Iterator[None]:
    """Raises Unavailable if the block finds the server out of reach."""
    try:
        yield
    except Exception as error:
        away = out_of_reach(error)
        if away is None:
            raise
        raise Unavailable from away


def out_of_reach(error: BaseException) -> BaseException | None:
    """The error that says that the server is out of reach; None if this is an error of another kind."""
    # Tortoise wraps some of them in an error of its own.
    found = error.__cause__ if isinstance(error, OperationalError) else error
    return found if isinstance(found, OUT_OF_REACH) else None


async def committed_until() -> datetime:
    """A time before which everything is committed: the beginning of the oldest open transaction, or now.

    Raises Unavailable.
    """
    moment: datetime = (await rows(_COMMITTED_UNTIL))[0]["moment"]
    return moment


# now() is the time before the scan, not after it: transactions that begin during the scan are not seen.
_COMMITTED_UNTIL = """
SELECT least(now(), min(xact_start)) AS moment FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


async def identity() -> str:
    """What distinguishes this database from all but its copies: when its first migration was applied, in microseconds.

    Raises Unavailable, also before there are tables.
    """
    found = await rows(_BORN)
    if not found:
        raise Unavailable
    return f"{found[0]['born']:.0f}"


_BORN = "SELECT extract(epoch FROM applied_at) * 1000000 AS born FROM tortoise_migrations ORDER BY applied_at LIMIT 1"


async def now() -> datetime:
    """The time by the database's clock, which is the one that counts. Raises Unavailable."""
    moment: datetime = (await rows("SELECT clock_timestamp() AS now"))[0]["now"]
    return moment
