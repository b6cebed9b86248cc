"""The hub tells listeners the truth if Redis lost something, broke or is away."""

import asyncio
from time import monotonic

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from domain.database import committed_until, identity
from domain.hub import AWAY_SECONDS, READ_COUNT, Hub
from domain.live import Live, order_of
from domain.live_scripts import LARGE_CHANGE, stream_of
from domain.settings import Settings
from domain.unit import opened
from tests.away import break_silently, close, gated, reopen
from tests.domain.hearing import attach, changes, readers
from tests.waiting import until


async def test_when_redis_is_emptied_listeners_are_told_to_read_again_with_a_cursor_that_works(
    hub: Hub, redis: Redis
) -> None:
    listener, _ = await attach(hub)
    # Within one millisecond, the new stream would begin with the same id as the lost one: nothing would be missing.
    begun = (await redis.time())[1] // 1000
    while (await redis.time())[1] // 1000 == begun:
        pass
    await redis.flushall()

    await hub.live.append(changes(1))

    async with asyncio.timeout(30):
        lost = await listener.lost.get()
    again, _ = await attach(hub)
    await hub.live.append(changes(2))
    while await again.next(1) != [2]:
        pass
    end = await hub.live.open(7)
    caught_up = [e.data["n"] async for page in hub.live.history(7, lost.resume_from, end) for e in page]
    # If change 1 came before the hub looked, listeners find it in what they read again.
    assert caught_up in ([1, 2], [2])


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
        # Another Redis takes over, without the last entries and with a clock that is behind.
        milliseconds, count = order_of(position)
        await redis.delete(stream_of(7))
        for number, at in ((1, milliseconds - 1), (2, milliseconds + 1)):
            await redis.xadd(stream_of(7), {"k": "d", "e": f'{{"n":{number}}}'}, id=f"{at}-{count}")
        reopen(gates.redis)

        async with asyncio.timeout(30):
            lost = await listener.lost.get()
        assert await domain.hub.live.held([(7, lost.resume_from)]) == [True]


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


async def test_looking_for_losses_asks_for_the_time_of_the_database_only_where_there_is_one(
    hub: Hub, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a thousand quiet workspaces cost a thousand queries every five seconds, and nothing is heard meanwhile."""
    listeners = [(await attach(hub, workspace))[0] for workspace in (1, 2, 3)]
    asked: list[int] = []
    opening = hub.live.open

    async def noted(workspace_id: int) -> str:
        asked.append(workspace_id)
        return await opening(workspace_id)

    monkeypatch.setattr(hub.live, "open", noted)
    await redis.delete(stream_of(2))
    await hub._look_for_losses()

    assert asked == [2]
    assert [listener.lost.qsize() for listener in listeners] == [0, 1, 0]


async def test_a_stream_that_is_watched_is_kept_on(hub: Hub, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("domain.hub.BLOCK_MS", 20)
    await attach(hub)
    await redis.expire(stream_of(7), 100)

    await until(lambda: is_kept(redis), what="a longer life")


async def test_so_it_is_by_a_process_that_always_hears_something(
    hub: Hub, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domain.hub.LOOK_SECONDS", 0.0)
    await attach(hub)
    other, _ = await attach(hub, 8)
    await redis.expire(stream_of(7), 100)

    for number in range(1, 100):
        await hub.live.append(changes(number, workspace=8))
        await other.next(1)
        if await is_kept(redis):
            return
    raise AssertionError("it ends though it is watched")


async def is_kept(redis: Redis) -> bool:
    return int(await redis.ttl(stream_of(7))) > 100


async def test_who_attaches_while_losses_are_looked_for_does_not_end_the_search(hub: Hub) -> None:
    listeners = [(await attach(hub, workspace))[0] for workspace in (1, 2, 3)]
    # Afterwards the hub reads all three streams, and nobody has to wait for a connection.
    await asyncio.gather(hub.live.open(1), hub.live.open(2))
    await hub.live.append(changes(1, workspace=3))
    await listeners[2].next(1)

    await asyncio.gather(hub._look_for_losses(), attach(hub, 4))


@pytest.mark.parametrize(
    ("left", "size"), [pytest.param(READ_COUNT, 1, id="for its length"), pytest.param(2, LARGE_CHANGE, id="its size")]
)
async def test_what_is_trimmed_before_it_is_read_is_not_passed_over(
    hub: Hub, redis: Redis, left: int, size: int
) -> None:
    listener, position = await attach(hub)
    count = order_of(position)[1]
    text = "x" * size
    async with redis.pipeline(transaction=True) as pipe:
        for number in range(2 * left):
            entry = f'{{"n":{number},"text":"{text}"}}'
            pipe.xadd(stream_of(7), {"k": "d", "e": entry}, id=f"{2**45}-{count + number}")
        pipe.xtrim(stream_of(7), maxlen=left, approximate=False)
        await pipe.execute()

    async with asyncio.timeout(30):
        lost = await listener.lost.get()
    assert listener.heard.empty()
    assert await hub.live.held([(7, lost.resume_from)]) == [True]


async def test_the_reader_gives_up_a_connection_that_broke_without_a_word(settings: Settings, redis: Redis) -> None:
    async with gated(settings) as gates, opened(gates.settings) as domain:
        listener, _ = await attach(domain.hub)
        await until(lambda: readers(redis, 1))
        break_silently(gates.redis)

        await Live(redis, committed_until, identity).append(changes(1))

        assert await listener.next(1) == [1]


async def test_the_reader_survives_that_both_servers_are_away(settings: Settings, redis: Redis) -> None:
    async with gated(settings) as gates, opened(gates.settings) as domain:
        listener, _ = await attach(domain.hub)
        with capture_logs() as lines:
            began = monotonic()
            for gate in (gates.postgres, gates.redis):
                close(gate)
            await until(lambda: len(lines) > 1)
            assert len(lines) - 1 <= (monotonic() - began) / AWAY_SECONDS, "or it asks without a pause"
            # Now Redis answers, but without PostgreSQL a lost stream cannot be opened again.
            await redis.delete(stream_of(7))
            reopen(gates.redis)
            await until(lambda: "live.database_away" in {line["event"] for line in lines})
        reopen(gates.postgres)

        async with asyncio.timeout(30):
            await listener.lost.get()
