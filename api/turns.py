"""Turns: how much of one workspace is executed at a time, so that its work does not hold up the others'."""

import asyncio
from weakref import WeakValueDictionary


class Turns:
    """At most `at_once` at a time of each workspace, in the order in which they come."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        # Each is kept for as long as it is held or waited for.
        self._turns: WeakValueDictionary[int, asyncio.Semaphore] = WeakValueDictionary()

    def of(self, workspace_id: int) -> asyncio.Semaphore:
        """The turns of a workspace: enter them as `async with`."""
        return self._turns.setdefault(workspace_id, asyncio.Semaphore(self._at_once))
