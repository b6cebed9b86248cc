"""Limits how long an operation keeps all others from the event loop (docs/decisions/0065-time-slices.md).

Rows that are loaded together wake thousands of fields at once, and asyncio would run all of them before it looks at a
socket again.
"""

import asyncio
from collections import deque
from time import thread_time
from typing import Final

# The CPU time that one operation may take in each turn of the loop. A page of any type takes less, so what its entries
# need is still loaded in one statement.
SLICE_SECONDS: Final = 0.01
# The most waiting fields that go on in one turn, however cheap they were so far: the next ones may be expensive.
MOST_AT_ONCE: Final = 50


class TimeSlice:
    """Lets the fields of one operation go on, or wait for a later turn of the loop."""

    def __init__(self) -> None:
        # When this turn began; None while there is nothing to measure.
        self._began: float | None = None
        self._waiting: deque[asyncio.Future[None]] = deque()
        # How many waiting fields go on in the next turn, judged by how many fitted into a slice before.
        self._at_once = 1

    async def wait(self) -> None:
        """Returns at once while something is left of this turn's slice, else in a later turn, in the order of calls.

        Call it whenever a field has got what it waited for.
        """
        if self._waiting or self._is_over():
            place = asyncio.get_running_loop().create_future()
            self._waiting.append(place)
            await place

    def _is_over(self) -> bool:
        now = thread_time()
        if self._began is None:
            self._began = now
            asyncio.get_running_loop().call_soon(self._next_turn)
        return now - self._began > SLICE_SECONDS

    def _next_turn(self) -> None:
        if not self._waiting:
            self._began, self._at_once = None, 1
            return
        self._at_once = max(self._at_once // 2, 1) if self._is_over() else min(self._at_once * 2, MOST_AT_ONCE)
        self._began = thread_time()
        for _ in range(min(self._at_once, len(self._waiting))):
            place = self._waiting.popleft()
            if not place.done():  # a cancelled one is done, as when the operation took too long and was stopped
                place.set_result(None)
        asyncio.get_running_loop().call_soon(self._next_turn)
