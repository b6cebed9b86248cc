"""Deadlines that hold even where what is late cannot be stopped."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from domain.errors import HooklineError

T = TypeVar("T")

# Tasks that nobody waits for any more; the loop itself would forget them.
_abandoned: set["asyncio.Task[Any]"] = set()


class Late(HooklineError):
    """This took too long and was stopped."""


async def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """The result of the work. Raises Late when the time is over, and does not wait until the work has stopped.

    asyncio.timeout would: it cancels and waits. A cancelled asyncpg asks PostgreSQL to stop the statement and waits for
    that; where the server is silent, for as long as its command timeout.
    """
    task = asyncio.create_task(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        _abandon(task)
        raise
    if not task.done():
        _abandon(task)
        raise Late
    try:
        return task.result()
    finally:
        # What it raises leads to this frame: a circle, with all that the callers hold, for the collector of garbage.
        del task


def _abandon(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    _abandoned.add(task)
    task.add_done_callback(_forget)


def _forget(task: "asyncio.Task[Any]") -> None:
    _abandoned.discard(task)
    if not task.cancelled():
        task.exception()  # looked at, so that asyncio does not report it
