"""Working on several entries at a time, with the results in the order of the entries."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, TypeVar

from domain.tasks import end

T = TypeVar("T")
R = TypeVar("R")

# The event loop keeps only weak references to its tasks.
_endings: set["asyncio.Task[None]"] = set()


async def in_order(
    entries: AsyncGenerator[T, None], work: Callable[[T], Coroutine[Any, Any, R]], at_once: int
) -> AsyncGenerator[R, None]:
    """The result of the work on each entry, in the order of the entries. At most `at_once` are begun and not yet taken.

    Raises what an entry or its work raises, after everything that comes before it. Must be closed: it has tasks.
    """
    begun: asyncio.Queue[asyncio.Task[R] | None] = asyncio.Queue()
    room = asyncio.Semaphore(at_once)
    beginning = asyncio.create_task(_begin(entries, work, begun, room))
    task: asyncio.Task[R] | None = None
    try:
        while (task := await begun.get()) is not None:
            yield await task
            room.release()
        await beginning
    finally:
        ending = asyncio.create_task(_end(beginning, begun), name="end of what was begun")
        # What they raise refers to this frame: a reference cycle, which only the garbage collector would free.
        del task, beginning
        _endings.add(ending)
        ending.add_done_callback(_endings.discard)
        # A task that is being ended is cancelled repeatedly (domain/tasks.py), and this must go on all the same.
        await asyncio.shield(ending)


async def _begin(
    entries: AsyncGenerator[T, None],
    work: Callable[[T], Coroutine[Any, Any, R]],
    begun: "asyncio.Queue[asyncio.Task[R] | None]",
    room: asyncio.Semaphore,
) -> None:
    try:
        async with contextlib.aclosing(entries):
            async for entry in entries:
                await room.acquire()
                begun.put_nowait(asyncio.create_task(work(entry)))
    finally:
        begun.put_nowait(None)


async def _end(beginning: asyncio.Task[None], begun: "asyncio.Queue[asyncio.Task[R] | None]") -> None:
    await end(beginning)
    await end(*filter(None, [begun.get_nowait() for _ in range(begun.qsize())]))
