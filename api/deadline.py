"""Deadlines that hold even if the late work cannot be stopped."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from domain.errors import HooklineError

T = TypeVar("T")

# Tasks that nothing waits for any more; the event loop keeps only weak references to them.
_abandoned: set["asyncio.Task[Any]"] = set()


class Late(HooklineError):
    """This took too long and was stopped."""


async def within(seconds: float, work: Coroutine[Any, Any, T]) -> T:
    """The result of the work. Raises Late when the time is over, without waiting until the work has stopped.

    asyncio.timeout would wait: it cancels, and a cancelled asyncpg asks PostgreSQL to stop the statement and waits for
    that. If the server is silent, it waits for as long as its command timeout.
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
        # What it raises refers to this frame: a reference cycle, which would keep all that the callers hold until the
        # garbage collector runs.
        del task


def _abandon(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    _abandoned.add(task)
    task.add_done_callback(_forget)


def _forget(task: "asyncio.Task[Any]") -> None:
    _abandoned.discard(task)
    if not task.cancelled():
        task.exception()  # looked at, so that asyncio does not report it
