"""Ends tasks reliably."""

import asyncio
from typing import Any

AGAIN_SECONDS = 0.1


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks, again and again until they are done; what they raise meanwhile is dropped.

    Once is not enough for a task that talks to Redis: redis-py sends through `asyncio.wait_for`, which before Python
    3.12 swallows a cancellation that comes as the send completes. One stop in twenty then hung until it was killed.
    """
    while pending := [task for task in tasks if not task.done()]:
        for task in pending:
            task.cancel()
        await asyncio.wait(pending, timeout=AGAIN_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)
