"""Ending tasks."""

import asyncio

from domain import tasks


async def test_a_task_that_swallows_cancellations_ends_all_the_same() -> None:
    swallowed = 0

    async def stubborn() -> None:
        nonlocal swallowed
        while swallowed < 2:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed += 1
        await asyncio.Event().wait()

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await tasks.end(task)
    assert task.cancelled()
    assert swallowed == 2


async def test_what_a_task_raises_as_it_ends_is_dropped() -> None:
    async def failing() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError

    task = asyncio.create_task(failing())
    await asyncio.sleep(0)
    await tasks.end(task)
    assert task.done()
