"""Waiting for a condition, for as long as it takes and no longer than a deadline."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

DEADLINE = timedelta(seconds=60)
LOOK_AGAIN_SECONDS = 0.005


async def until(condition: Callable[[], bool | Awaitable[bool]], within: timedelta = DEADLINE) -> None:
    """Return once the condition holds. Raises TimeoutError where it does not in time."""
    async with asyncio.timeout(within.total_seconds()):
        while True:
            found = condition()
            if found if isinstance(found, bool) else await found:
                return
            await asyncio.sleep(LOOK_AGAIN_SECONDS)
