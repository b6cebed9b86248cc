"""PostgreSQL, where the truth is: connecting, and bringing the tables up to date.

Tortoise reads and writes where people read; the hot statements are SQL of our own over the same connections.
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
# Of those, how many an operation of a client may use at once.
CONNECTIONS_OF_ONE = 2
# What asyncpg and the socket raise where the server is away, starting, stopping or full.
OUT_OF_REACH = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    # What a statement meets on a connection that breaks at that moment ("cannot switch to state").
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    # It is there, and lets nobody in, or not under this name: a person is changing that, or has to.
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
    # It has not been migrated yet, or does not let us do all that we do: the same holds.
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedColumnError,
    asyncpg.InsufficientPrivilegeError,
    # A migration has added a column to what a transaction reads whole: on that connection it is known from now on.
    asyncpg.InvalidCachedStatementError,
    asyncpg.exceptions.OperatorInterventionError,
    asyncpg.exceptions.InsufficientResourcesError,
    asyncpg.exceptions.PostgresSystemError,
    # Deadlocks: the same statement a moment later goes through.
    asyncpg.exceptions.TransactionRollbackError,
    # A lock that is waited for too long, or a database that lets nobody in while somebody works on it.
    asyncpg.ObjectNotInPrerequisiteStateError,
    # A standby, or a transaction that was too slow for its server; the second is what Tortoise makes of either.
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.exceptions.TransactionTimeoutError,
    TransactionManagementError,
)


def configuration(settings: Settings, *, patient: bool = False) -> dict[str, Any]:
    """Tortoise's configuration for the database of these settings; a patient one waits for every statement."""
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
    """What asyncpg does to a connection that goes back to the pool, beyond ending its transaction: next to nothing.

    Its own RESET ALL costs a round trip each time; no statement of ours changes a session.
    """
    # PostgreSQL tells these unasked. By now another one may take the writes, behind the same name.
    told = connection.get_settings()
    if "on" in (getattr(told, name, "off") for name in ("in_hot_standby", "default_transaction_read_only")):
        connection.terminate()


def credentials(url: str, *, patient: bool = False) -> dict[str, Any]:
    """What Tortoise wants to know of a server, from its URL. Raises Misconfigured."""
    timeout_ms = 0 if patient else STATEMENT_TIMEOUT_MS
    return {
        **place(url, timeout_ms),
        "minsize": 1,
        "maxsize": POOL_SIZE,
        "command_timeout": timeout_ms / 1000 + 5 if timeout_ms else None,
    }


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator[None]:
    """The database, for as long as the block lasts. Connections are made when they are first needed.

    Raises Misconfigured.
    """
    await Tortoise.init(config=configuration(settings), _enable_global_fallback=True)
    try:
        yield
    finally:
        await Tortoise.close_connections()


async def migrate(settings: Settings, tell: Callable[[str], None] = lambda _: None) -> None:
    """Bring the tables up to date. Two processes may do so at once: the second waits for the first, however long.

    `tell` hears the name of each migration as it begins. Raises Misconfigured where the database cannot hold all text.
    """

    def progress(event: str, _app: str, name: str) -> None:
        if event == "apply_start":
            tell(name)

    lock = await asyncpg.connect(**place(settings.database_url, timeout_ms=0))
    try:
        if (encoding := encoding_of(lock)) != ENCODING:
            raise Misconfigured(
                f"The database keeps text as {encoding}, which has no room for all that people write; "
                f"make one with `createdb --template template0 --encoding {ENCODING}`."
            )
        # In a transaction: behind a pooler a session that is let go of would keep it. Any constant will do, so long as
        # it is ours.
        async with lock.transaction():
            await lock.execute(_LOCK)
            await run_migrations(config=configuration(settings, patient=True), progress=progress)
            await Tortoise.close_connections()
    finally:
        await lock.close()


# It may wait long, and then do nothing for long, whatever the server and the role say of that.
_LOCK = """
SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0;
SELECT pg_advisory_xact_lock(724855);
"""


def encoding_of(connection: asyncpg.Connection) -> str:
    """What a database keeps its text as."""
    # PostgreSQL tells it unasked.
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
    """Whether the connected database is no standby, and not set to be read only."""
    ((read_only,),) = await rows("SELECT current_setting('transaction_read_only') = 'on'")
    return not read_only


def connection() -> BaseDBAsyncClient:
    """Where statements of our own run: the transaction that is open here, or else a connection of the pool."""
    return get_connection("default")


@contextmanager
def taking_turns() -> Iterator[None]:
    """Whatever the block begins uses at most CONNECTIONS_OF_ONE at once, so that its statements, however many there
    are, leave connections to others."""
    before = _turns.set(asyncio.Semaphore(CONNECTIONS_OF_ONE))
    try:
        yield
    finally:
        _turns.reset(before)


def turn() -> AbstractAsyncContextManager[None]:
    """For a statement, where turns are taken; `rows` waits for one by itself."""
    return _turns.get() or nullcontext()


_turns: ContextVar[asyncio.Semaphore | None] = ContextVar("turns", default=None)


@asynccontextmanager
async def transaction() -> AsyncIterator[None]:
    """One transaction that all statements of the block are part of; within another one, a savepoint.

    Raises Unavailable where the server is out of reach.
    """
    outside = connection()
    with reached():
        # Tortoise's own way keeps the connection where beginning or ending it fails, and leaves the task within it.
        async with outside.acquire_connection() as raw, AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(raw.transaction())
            except BaseException:
                # Who gives up at a BEGIN would leave a connection behind that is silent for as long as a statement may.
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
    """Run one statement of our own; returns its records. Raises Unavailable where the server is out of reach."""
    with reached():
        # Tortoise would copy each record into a dictionary.
        client = connection()
        client.log.debug("%s: %s", sql, values)
        async with turn(), client.acquire_connection() as raw:
            records: Sequence[Any] = await raw.fetch(sql, *values, record_class=record_class)
            return records


@contextmanager
def reached() -> Iterator[None]:
    """Raises Unavailable where what the block asks of the server is out of reach."""
    try:
        yield
    except Exception as error:
        away = out_of_reach(error)
        if away is None:
            raise
        raise Unavailable from away


def out_of_reach(error: BaseException) -> BaseException | None:
    """What says that the server is out of reach; None where the error is another."""
    # Tortoise makes an error of its own of some of them.
    found = error.__cause__ if isinstance(error, OperationalError) else error
    return found if isinstance(found, OUT_OF_REACH) else None


async def committed_until() -> datetime:
    """A time before which nothing is still to be committed: the beginning of the oldest open transaction, or now.

    Raises Unavailable.
    """
    moment: datetime = (await rows(_COMMITTED_UNTIL))[0]["moment"]
    return moment


# The time before the look, not the one after it: what begins meanwhile is not seen.
_COMMITTED_UNTIL = """
SELECT least(now(), min(xact_start)) AS moment FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


async def identity() -> str:
    """What tells this database from any other that is not a copy of it: when its first table was made, in microseconds.

    Raises Unavailable, also before there are tables.
    """
    found = await rows(_BORN)
    if not found:
        raise Unavailable
    return f"{found[0]['born']:.0f}"


_BORN = "SELECT extract(epoch FROM applied_at) * 1000000 AS born FROM tortoise_migrations ORDER BY applied_at LIMIT 1"


async def now() -> datetime:
    """The time by the database's clock, the one that counts. Raises Unavailable."""
    moment: datetime = (await rows("SELECT clock_timestamp() AS now"))[0]["now"]
    return moment
