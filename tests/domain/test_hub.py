"""The hub: one reader, every entry once to every listener, and the truth where Redis lost something."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from time import monotonic
from uuid import UUID

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from domain import queue
from domain.database import committed_until, identity
from domain.hub import AWAY_SECONDS, BLOCK_MS, READ_COUNT, Attachment, Hub
from domain.live import Change, CursorExpired, Entry, Live, Order, order_of
from domain.live_scripts import stream_of
from domain.settings import Settings
from domain.unit import Domain, opened
from tests.away import break_silently, close, gated, reopen
from tests.waiting import until

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Listener:
    """What one subscriber heard."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[Entry] = asyncio.Queue()
        self.lost: asyncio.Queue[CursorExpired] = asyncio.Queue()

    async def next(self, count: int) -> list[int]:
        async with asyncio.timeout(30):
            return [(await self.heard.get()).data["n"] for _ in range(count)]


@pytest.fixture
def hub(domain: Domain) -> Hub:
    return domain.hub


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with queue.connect(redis_url) as redis:
        yield redis


def changes(*numbers: int, workspace: int = 7) -> list[Change]:
    return [
        Change("delivery", workspace, workspace, str(UUID(int=workspace)), n, Order.CLEAR, NOW, {"n": n})
        for n in numbers
    ]


async def attach(hub: Hub, workspace: int = 7) -> tuple[Listener, str]:
    listener = Listener()
    attachment = await hub.attach(workspace, listener.heard.put_nowait, listener.lost.put_nowait)
    return listener, attachment.position


async def test_all_listeners_hear_everything_once_and_in_order(hub: Hub) -> None:
    (one, _), (two, _) = await attach(hub), await attach(hub)

    await hub.live.append(changes(1, 2, 3))

    assert await one.next(3) == await two.next(3) == [1, 2, 3]
    assert one.heard.empty()


async def test_history_up_to_the_place_of_attachment_and_what_is_heard_after_it_leave_no_gap(hub: Hub) -> None:
    await hub.live.append(changes(1, 2))
    listener, position = await attach(hub)
    await hub.live.append(changes(3))

    before = [entry.data["n"] async for page in hub.history(7, "0", position) for entry in page]

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


async def test_who_joins_hears_at_once_whether_the_reader_waits_or_has_just_begun(hub: Hub, redis: Redis) -> None:
    began = monotonic()
    for workspace in range(10, 18):
        # Some after one more, so that they come at other moments of the read.
        await attach(hub, workspace + 100)
        if workspace % 4 == 0:
            await until(lambda: _readers(redis, 1))
        listener, _ = await attach(hub, workspace)
        await hub.live.append(changes(1, workspace=workspace))
        assert await listener.next(1) == [1]

    assert monotonic() - began < BLOCK_MS / 1000 - 1, "or somebody waited until the read of before was over"


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
    await until(lambda: _readers(redis, 1))


async def _readers(redis: Redis, count: int) -> bool:
    """Whether so many connections of the server wait for changes."""
    return len([client for client in await redis.client_list() if client["cmd"].startswith("xread")]) == count


async def test_who_has_closed_hears_nothing_more(hub: Hub) -> None:
    gone, stays = Listener(), Listener()
    (await hub.attach(7, gone.heard.put_nowait, gone.lost.put_nowait)).close()
    await hub.attach(7, stays.heard.put_nowait, stays.lost.put_nowait)

    await hub.live.append(changes(1))

    assert await stays.next(1) == [1]
    assert gone.heard.empty()
    assert hub.listeners == 1


async def test_who_closes_as_it_hears_something_takes_nobody_along(hub: Hub) -> None:
    leaving: list[Attachment] = []
    for _ in range(3):
        leaving.append(await hub.attach(7, lambda _: leaving.pop().close(), lambda _: None))
    stays, _ = await attach(hub)

    await hub.live.append(changes(1, 2))

    assert await stays.next(2) == [1, 2]
    assert (leaving, hub.listeners) == ([], 1)


async def test_when_redis_is_emptied_listeners_are_told_to_read_again_with_a_cursor_that_works(
    hub: Hub, redis: Redis
) -> None:
    listener, _ = await attach(hub)
    # A stream that is lost and begun anew within one millisecond begins with the same id; then nothing is missing.
    begun = (await redis.time())[1] // 1000
    while (await redis.time())[1] // 1000 == begun:
        pass
    await redis.flushall()

    await hub.live.append(changes(1))

    async with asyncio.timeout(30):
        lost = await listener.lost.get()
    again, position = await attach(hub)
    await hub.live.append(changes(2))
    assert await again.next(1) == [2]
    caught_up = [e.data["n"] async for page in hub.history(7, lost.resume_from, position) for e in page]
    assert caught_up == [1]


async def test_the_reader_survives_the_loss_of_its_connections(hub: Hub, redis: Redis) -> None:
    listener, _ = await attach(hub)
    await redis.client_kill_filter(_type="normal", skipme=True)

    await hub.live.append(changes(1, 2))

    assert await listener.next(2) == [1, 2]
    assert listener.lost.empty()


async def test_listeners_are_told_to_read_again_where_a_redis_with_a_slow_clock_hides_a_change(
    settings: Settings, redis: Redis
) -> None:
    async with gated(settings) as gates, opened(gates.settings) as domain:
        listener, position = await attach(domain.hub)
        close(gates.redis)
        # Another one takes over, without the last entries and with a clock that is behind.
        milliseconds, count = order_of(position)
        await redis.delete(stream_of(7))
        for number, at in ((1, milliseconds - 1), (2, milliseconds + 1)):
            await redis.xadd(stream_of(7), {"k": "d", "e": f'{{"n":{number}}}'}, id=f"{at}-{count}")
        reopen(gates.redis)

        async with asyncio.timeout(30):
            lost = await listener.lost.get()
        assert await domain.hub.live.holds(7, lost.resume_from)


async def test_a_loss_that_no_error_told_of_is_found_when_nothing_is_heard_for_a_while(
    hub: Hub, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domain.hub.BLOCK_MS", 20)
    listener, position = await attach(hub)
    milliseconds, count = order_of(position)
    async with redis.pipeline(transaction=True) as pipe:
        pipe.delete(stream_of(7))
        pipe.xadd(stream_of(7), {"k": "d", "e": '{"n":1}'}, id=f"{milliseconds - 1}-{count}")
        await pipe.execute()

    async with asyncio.timeout(30):
        await listener.lost.get()


async def test_who_attaches_while_losses_are_looked_for_does_not_end_the_search(hub: Hub) -> None:
    listeners = [(await attach(hub, workspace))[0] for workspace in (1, 2, 3)]
    # Then it reads all three; and nobody waits for a connection.
    await asyncio.gather(hub.live.open(1), hub.live.open(2))
    await hub.live.append(changes(1, workspace=3))
    await listeners[2].next(1)

    await asyncio.gather(hub._look_for_losses(), attach(hub, 4))


async def test_what_is_trimmed_before_it_is_read_is_not_passed_over(hub: Hub, redis: Redis) -> None:
    listener, position = await attach(hub)
    count = order_of(position)[1]
    async with redis.pipeline(transaction=True) as pipe:
        for number in range(2 * READ_COUNT):
            pipe.xadd(stream_of(7), {"k": "d", "e": f'{{"n":{number}}}'}, id=f"{2**45}-{count + number}")
        pipe.xtrim(stream_of(7), maxlen=READ_COUNT, approximate=False)
        await pipe.execute()

    async with asyncio.timeout(30):
        lost = await listener.lost.get()
    assert listener.heard.empty()
    assert await hub.live.holds(7, lost.resume_from)


async def test_the_reader_gives_up_a_connection_that_broke_without_a_word(settings: Settings, redis: Redis) -> None:
    async with gated(settings) as gates, opened(gates.settings) as domain:
        listener, _ = await attach(domain.hub)
        await until(lambda: _readers(redis, 1))
        break_silently(gates.redis)

        await Live(redis, committed_until, identity).append(changes(1))

        assert await listener.next(1) == [1]


async def test_the_reader_survives_that_both_servers_are_away(settings: Settings) -> None:
    async with gated(settings) as gates, opened(gates.settings) as domain:
        listener, _ = await attach(domain.hub)
        with capture_logs() as lines:
            began = monotonic()
            for gate in (gates.postgres, gates.redis):
                close(gate)
            await until(lambda: len(lines) > 1)
            assert len(lines) - 1 <= (monotonic() - began) / AWAY_SECONDS, "or it asks without a pause"
            # Now Redis answers, and what was lost cannot be told without PostgreSQL.
            reopen(gates.redis)
            await until(lambda: "live.database_away" in {line["event"] for line in lines})
        reopen(gates.postgres)

        await domain.hub.live.append(changes(1))

        assert await listener.next(1) == [1]
