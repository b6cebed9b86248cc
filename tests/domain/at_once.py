"""Two concurrent transactions: the one that is open here, and one that runs into it."""

import asyncio
from collections.abc import Coroutine
from contextvars import Context
from typing import Any, TypeVar

from domain.database import rows
from tests.waiting import until

Result = TypeVar("Result")


async def beside(verb: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
    """Start `verb` outside of the transaction open here. Returns once it waits for that transaction, or is done."""
    # In a context of its own: otherwise it would join the transaction.
    task = asyncio.create_task(verb, context=Context())
    await held_up(task)
    return task


async def held_up(task: asyncio.Task[Any]) -> None:
    """Returns once the task waits for the transaction open here, or is done."""
    await until(lambda: task.done() or _somebody_waits())


async def _somebody_waits() -> bool:
    return bool(await rows("SELECT FROM pg_locks WHERE NOT granted"))
