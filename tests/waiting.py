"""Waiting for a condition, for as long as it takes and no longer than a deadline."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from inspect import isawaitable

import asyncpg

LOOK_AGAIN_SECONDS = 0.01


async def until(condition: Callable[[], object | Awaitable[object]], seconds: float = 60.0, what: str = "") -> None:
    """Return once the condition holds. Raises AssertionError, which names `what`, if it does not within `seconds`."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if await found if isawaitable(found) else found:
            return
        assert time.monotonic() < end, f"not within {seconds:g} s: {what or condition}"
        await asyncio.sleep(LOOK_AGAIN_SECONDS)


async def waiting_for_locks(connection: "asyncpg.Connection[asyncpg.Record]") -> int:
    """How many connections of this database wait for a lock."""
    # Within a transaction, pg_stat_activity is a snapshot until that is cleared.
    await connection.execute("SELECT pg_stat_clear_snapshot()")
    sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    found: int = await connection.fetchval(sql)
    return found
