"""How feeds end: their subscribers are told to come back, and nothing is left of the feeds."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from domain.errors import Unavailable
from domain.live import CursorExpired, Entry
from domain.settings import Settings
from tests.api.changes import announce, some_changes
from tests.api.conftest import Api, running
from tests.api.test_live_feed import Listener, listen
from tests.away import close, fall_silent, gated, reopen
from tests.domain.doing import create_webhook
from tests.waiting import until

WEBHOOKS = "subscription($after: String) { deliveryStatusChanged(after: $after) { delivery { webhook { name } } } }"


async def test_when_redis_is_too_slow_for_who_fell_behind_subscribers_are_told_to_try_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # From the second change on, the feed has fallen behind, and reads the stream again.
    monkeypatch.setattr("schema.subscriptions.LONGEST_BACKLOG", 1)
    async with gated(settings) as gates, running(gates.settings) as api:
        listener, _ = await listen(api)
        # The script that takes changes contains XRANGE too. It is sent only once: here, before anything is held.
        await announce(api.process.domain, some_changes(api.actor.workspace.id, 1))
        await listener.until(1)
        gates.redis.tell("hold", "XRANGE")
        await announce(api.process.domain, some_changes(api.actor.workspace.id, 3))
        await told_to_try_again(listener)
        reopen(gates.redis)


async def test_when_the_database_says_nothing_subscribers_are_told_to_try_again(settings: Settings) -> None:
    quick = replace(settings, query_timeout=timedelta(seconds=0.5))
    async with gated(quick) as gates, running(gates.settings) as api:
        listener, _ = await listen(api, WEBHOOKS)
        fall_silent(gates.postgres)
        await announce(api.process.domain, some_changes(api.actor.workspace.id, 1))
        await told_to_try_again(listener)
        reopen(gates.postgres)


async def test_when_the_database_is_away_subscribers_are_told_to_try_again_and_get_the_change_whole(
    settings: Settings,
) -> None:
    async with gated(settings) as gates, running(gates.settings) as api:
        webhook = await create_webhook(api.process.domain, api.actor)
        listener, _ = await listen(api, WEBHOOKS)
        after = await api.process.domain.hub.live.open(api.actor.workspace.id)
        close(gates.postgres)
        await announce(api.process.domain, some_changes(api.actor.workspace.id, 1, webhook_id=webhook[0].id))
        await told_to_try_again(listener)
        with pytest.raises(Unavailable):
            await listen(api, WEBHOOKS, after=after)
        reopen(gates.postgres)
        again, _ = await listen(api, WEBHOOKS, after=after)
        await again.until(1)
    assert listener.payloads == []
    assert again.results == [{"data": {"deliveryStatusChanged": {"delivery": {"webhook": {"name": "Hook"}}}}}]


async def told_to_try_again(listener: Listener) -> None:
    await until(lambda: listener.errors, what="the end of the subscription")
    assert [error["extensions"]["code"] for error in listener.errors] == ["UNAVAILABLE"]


async def test_who_resumes_while_the_database_says_nothing_is_told_to_try_again(settings: Settings) -> None:
    quick = replace(settings, query_timeout=timedelta(seconds=0.5))
    async with gated(quick) as gates, running(gates.settings) as api:
        # A stream that is being followed is not opened again, which would ask the database.
        listener, _ = await listen(api)
        await announce(api.process.domain, some_changes(api.actor.workspace.id, 1))
        await listener.until(1)
        fall_silent(gates.postgres)
        with pytest.raises(Unavailable):
            await listen(api, WEBHOOKS, after="0")
        reopen(gates.postgres)


async def test_a_feed_ends_with_its_last_subscriber_though_a_library_swallows_its_cancellation(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("schema.subscriptions.LONGEST_BACKLOG", 1)
    hub, reading = api.process.domain.hub, asyncio.Event()
    history = hub.live.history

    async def swallowing(*place: Any) -> AsyncIterator[list[Entry]]:
        async for page in history(*place):
            reading.set()
            with suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            yield page

    monkeypatch.setattr(hub.live, "history", swallowing)
    listener, feed = await listen(api)
    await announce(api.process.domain, some_changes(api.actor.workspace.id, 3))
    await reading.wait()
    feed.leave(listener)
    await until(lambda: not hub.listeners, what="the end of the feed")


async def test_who_begins_a_feed_hears_changes_though_another_came_and_went_before_it_joined(api: Api) -> None:
    first = asyncio.create_task(listen(api))
    while not len(api.process.feeds):
        await asyncio.sleep(0)
    (feed,) = api.process.feeds._feeds.values()
    feed.started.add_done_callback(lambda _: feed.leave(Listener()))
    listener, _ = await first
    await announce(api.process.domain, some_changes(api.actor.workspace.id, 1))
    await listener.until(1)


async def test_who_reads_again_after_a_loss_is_not_told_once_more_what_was_before_it(api: Api) -> None:
    live, workspace_id = api.process.domain.hub.live, api.actor.workspace.id
    listener, _ = await listen(api, after=await live.open(workspace_id))
    await announce(api.process.domain, some_changes(workspace_id, 3))
    await listener.until(3)
    await api.process.domain.redis.flushall()

    with pytest.raises(CursorExpired) as expired:
        await listen(api, after=listener.cursors[-1])
    again = await resumed(api, expired.value.resume_from)
    await until(lambda: listener.errors, what="the end of the feed that was before the loss")
    assert again.payloads == []
    assert await live.held([(workspace_id, expired.value.resume_from)]) == [True]


async def resumed(api: Api, after: str) -> Listener:
    """A subscriber that resumes from this cursor, or from the one that it is told to resume from meanwhile."""
    while True:
        try:
            return (await listen(api, after=after))[0]
        except CursorExpired as expired:
            after = expired.resume_from
