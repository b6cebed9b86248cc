"""Feeds are bounded: the memory of each, its answer to a change, and what those of a workspace do at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from api.execution import Asked
from api.feed import AHEAD
from api.live_feed import CHANGES_AT_ONCE
from domain.live import order_of
from domain.settings import Settings
from tests.api.changes import announce, some_changes
from tests.api.conftest import Api
from tests.api.test_live_feed import WATCH, Listener, executed, listen, resumable
from tests.databases import connected
from tests.waiting import waiting_for_locks


class Counting(Listener):
    """A subscriber that notes how many changes had been executed when it got its first one."""

    def __init__(self, api: Api) -> None:
        super().__init__()
        self.api = api
        self.executed_before: float | None = None

    def next(self, payload: str) -> None:
        """See Sink."""
        if self.executed_before is None:
            self.executed_before = executed(self.api)
        super().next(payload)


async def test_no_more_is_gathered_than_can_be_remembered(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    cursors = await resumable(api, 300)
    before = executed(api)
    # Enough for some thirty of them.
    monkeypatch.setattr("api.recent.RECENT_BYTES", 10_000)
    listener = Counting(api)

    prepared = api.process.engine.prepare(Asked(WATCH, None, {"after": "0"}))
    await api.process.feeds.subscribe(prepared, api.actor, listener, "test")

    assert listener.cursors == cursors
    assert listener.executed_before is not None
    assert listener.executed_before - before < 150


async def test_a_change_whose_answer_is_too_long_is_told_as_an_error(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    listener, _ = await listen(api)
    monkeypatch.setattr("api.execution.LONGEST_ANSWER", 10)
    await announce(api.process.domain, some_changes(api.actor.workspace.id, 1))
    await listener.until(1)
    (told,) = listener.results
    assert (told["data"], told["errors"][0]["extensions"]["code"]) == (None, "QUERY_TOO_COMPLEX")


async def test_feeds_of_a_workspace_take_turns_and_nobody_else_waits_for_them(api: Api, settings: Settings) -> None:
    other = await api.elsewhere()
    query = "subscription { deliveryStatusChanged { delivery { event { NAME: payload } } } }"
    found = [(await listen(api, query.replace("NAME", f"a{n}")))[0] for n in range(CHANGES_AT_ONCE + 2)]
    found.append((await listen(api, query, other.actor))[0])
    async with connected(settings.database_url) as apart:
        async with apart.transaction(), asyncio.timeout(30):
            await apart.execute("LOCK TABLE event IN ACCESS EXCLUSIVE MODE")
            await announce(api.process.domain, some_changes(api.actor.workspace.id, 1))
            while await waiting_for_locks(apart) < CHANGES_AT_ONCE:
                pass
            await announce(api.process.domain, some_changes(other.actor.workspace.id, 1))
            while await waiting_for_locks(apart) < CHANGES_AT_ONCE + 1:
                pass
            assert await waiting_for_locks(apart) == CHANGES_AT_ONCE + 1
        for listener in found:
            await listener.until(1)


SLOW = "subscription($after: String) { deliveryStatusChanged(after: $after) { cursor delivery { event { payload } } } }"


async def test_the_next_changes_are_executed_while_one_waits_and_told_in_their_order(
    api: Api, settings: Settings
) -> None:
    listener, _ = await listen(api, SLOW)
    async with held_up(settings, AHEAD):
        await announce(api.process.domain, some_changes(api.actor.workspace.id, 3 * AHEAD))
    await listener.until(3 * AHEAD)
    assert listener.cursors == sorted(listener.cursors, key=order_of)


async def test_so_are_those_that_somebody_missed(api: Api, settings: Settings) -> None:
    cursors = await resumable(api, 3 * AHEAD)
    async with held_up(settings, AHEAD):
        resuming = asyncio.create_task(listen(api, SLOW, after="0"))
    listener, _ = await resuming
    assert listener.cursors == cursors


@asynccontextmanager
async def held_up(settings: Settings, number: int) -> AsyncIterator[None]:
    """Make all that read an event wait, until `number` of them do."""
    async with connected(settings.database_url) as apart, apart.transaction(), asyncio.timeout(30):
        await apart.execute("LOCK TABLE event IN ACCESS EXCLUSIVE MODE")
        yield
        while await waiting_for_locks(apart) < number:
            pass
