"""The hub: one reader, which hands every entry to every listener once."""

import asyncio

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from domain import queue
from domain.hub import Attachment, Hub
from domain.live_scripts import stream_of
from domain.unit import Domain
from tests.domain.hearing import Listener, attach, changes, readers
from tests.waiting import until


async def test_all_listeners_hear_everything_once_and_in_order(hub: Hub) -> None:
    (one, _), (two, _) = await attach(hub), await attach(hub)

    await hub.live.append(changes(1, 2, 3))

    assert await one.next(3) == await two.next(3) == [1, 2, 3]
    assert one.heard.empty()


async def test_history_up_to_the_place_of_attachment_and_what_is_heard_after_it_leave_no_gap(hub: Hub) -> None:
    await hub.live.append(changes(1, 2))
    listener, position = await attach(hub)
    await hub.live.append(changes(3))

    before = [entry.data["n"] async for page in hub.live.history(7, "0", position) for entry in page]

    assert before == [1, 2]
    assert await listener.next(1) == [3]


async def test_a_workspace_that_is_watched_later_joins_the_same_reader(hub: Hub) -> None:
    one, _ = await attach(hub, 7)
    two, _ = await attach(hub, 8)

    await hub.live.append([*changes(1, workspace=8), *changes(1, workspace=7)])

    assert await one.next(1) == await two.next(1) == [1]
    assert two.heard.empty()


async def test_two_who_are_the_first_to_watch_a_workspace_both_hear_of_it(hub: Hub) -> None:
    (one, _), (two, _) = await asyncio.gather(attach(hub), attach(hub))

    await hub.live.append(changes(1))

    assert await one.next(1) == await two.next(1) == [1]


async def test_who_joins_hears_at_once_whether_the_reader_waits_or_has_just_begun(
    domain: Domain, redis: Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So long that a listener gives up before a read ends, unless the read is cut short.
    monkeypatch.setattr("domain.hub.BLOCK_MS", 120_000)
    async with queue.connect(redis_url, answer_seconds=180) as reader, Hub(domain.hub.live, reader).running() as hub:
        for workspace in range(10, 18):
            # Another one joins first, and every fourth time the reader waits again: so they join at different moments.
            await attach(hub, workspace + 100)
            if workspace % 4 == 0:
                await until(lambda: readers(redis, 1))
            listener, _ = await attach(hub, workspace)
            await hub.live.append(changes(1, workspace=workspace))
            assert await listener.next(1) == [1]


async def test_reading_leaves_no_tasks_behind(hub: Hub) -> None:
    listener, _ = await attach(hub)
    before = len(asyncio.all_tasks())
    for number in range(1, 11):
        await hub.live.append(changes(number))
        await listener.next(1)

    assert len(asyncio.all_tasks()) < before + 10


async def test_one_reader_serves_all_subscribers_of_all_workspaces(hub: Hub, redis: Redis) -> None:
    workspaces = range(1, 21)
    listeners = [(await attach(hub, workspace))[0] for workspace in workspaces for _ in range(5)]

    await hub.live.append([each for workspace in workspaces for each in changes(1, workspace=workspace)])

    assert [await listener.next(1) for listener in listeners] == [[1]] * 100
    await until(lambda: readers(redis, 1))


async def test_who_has_closed_hears_nothing_more(hub: Hub) -> None:
    gone, stays = Listener(), Listener()
    (await hub.attach(7, gone.heard.put_nowait, gone.lost.put_nowait)).close()
    await hub.attach(7, stays.heard.put_nowait, stays.lost.put_nowait)

    await hub.live.append(changes(1))

    assert await stays.next(1) == [1]
    assert gone.heard.empty()
    assert hub.listeners == 1


async def test_an_entry_of_a_stranger_that_is_no_change_ends_no_reading(hub: Hub, redis: Redis) -> None:
    listener, _ = await attach(hub)
    with capture_logs() as lines:
        await redis.xadd(stream_of(7), {"k": "d", "e": "{"})
        await until(lambda: "live.broke" in {line["event"] for line in lines})

    await hub.live.append(changes(1))

    assert await listener.next(1) == [1]


async def test_who_closes_as_it_hears_something_takes_nobody_along(hub: Hub) -> None:
    leaving: list[Attachment] = []
    for _ in range(3):
        leaving.append(await hub.attach(7, lambda _: leaving.pop().close(), lambda _: None))
    stays, _ = await attach(hub)

    await hub.live.append(changes(1, 2))

    assert await stays.next(2) == [1, 2]
    assert (leaving, hub.listeners) == ([], 1)
