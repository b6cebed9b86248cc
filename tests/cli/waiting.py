"""Waiting for what another process does."""

import asyncio
from collections.abc import Callable

POLL_SECONDS = 0.01


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Returns once the condition holds. Raises TimeoutError where it does not in time."""
    async with asyncio.timeout(seconds):
        # What a process does is no event of ours.
        while not condition():
            await asyncio.sleep(POLL_SECONDS)
