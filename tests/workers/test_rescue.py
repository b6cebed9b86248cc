"""The database loop: each step runs on its own, whatever else breaks, and what it closes."""

import asyncio
from dataclasses import replace
from pathlib import Path
from time import monotonic

import pytest
from redis.exceptions import RedisError
from structlog.testing import capture_logs

from domain import owed, settling, workspaces
from domain.database import rows
from domain.live_scripts import stream_of
from domain.settings import Settings
from domain.tables import Delivery, PostChange, Unsettled
from domain.tasks import end
from domain.unit import Actor, Domain, opened
from domain.vocabulary import DeliveryStatus, Role
from tests.away import close, fall_silent, gated, reopen
from tests.domain.attempting import claim, lease_ran_out, owe
from tests.domain.doing import add_account, happen, happen_while_deleting, listen, write
from tests.receiver import Receiver
from tests.waiting import until
from workers import metrics
from workers.engine import Engine
from workers.rescue import Rescue


async def has(status: DeliveryStatus) -> bool:
    return await Delivery.exists(status=status)


async def test_a_step_that_breaks_does_not_stop_the_others(domain: Domain, engine: Engine) -> None:
    taken = []

    async def first() -> None:
        raise ValueError("nobody foresaw this")

    async def second() -> None:
        taken.append(2)

    with capture_logs() as lines:
        assert await Rescue(domain, engine, first, second).once()

    assert taken == [2]
    assert [(line["event"], line["step"]) for line in lines] == [("rescue.step_broke", "first")]


async def test_without_redis_it_delivers_all_the_same(settings: Settings, receiver: Receiver) -> None:
    async with (
        gated(settings) as gates,
        opened(gates.settings) as domain,
        Engine(domain).running() as engine,
    ):
        close(gates.redis)
        admin = Actor(await workspaces.create("Test"), None, Role.ADMIN)
        await listen(domain, admin, callback_url=receiver.url)
        await happen(domain, admin)
        with capture_logs():
            assert await Rescue(domain, engine).once()
            await until(lambda: has(DeliveryStatus.SUCCEEDED))

        assert len(receiver.requests) == 1


async def test_a_redis_that_is_away_is_no_reason_to_say_that_the_database_is(settings: Settings) -> None:
    async with gated(settings) as gates, opened(gates.settings) as domain, Engine(domain).running() as engine:
        admin = Actor(await workspaces.create("Test"), None, Role.ADMIN)
        await listen(domain, admin)
        await happen(domain, admin)
        await rows("UPDATE delivery SET due_at = now() + interval '1 hour'")
        await rows("INSERT INTO unsettled (delivery_id, from_change) SELECT id, 1 FROM delivery ON CONFLICT DO NOTHING")
        await rows("UPDATE unsettled SET check_at = now()")
        fall_silent(gates.redis)
        with capture_logs() as lines:
            assert await Rescue(domain, engine).once()

    assert "rescue.redis_away" in {line["event"] for line in lines}


async def test_what_redis_does_not_take_is_told_by_the_loop_when_it_can(
    domain: Domain, engine: Engine, admin: Actor
) -> None:
    await listen(domain, admin)
    await happen(domain, admin)
    await write(domain, admin, await add_account(domain, admin))
    await rows("UPDATE delivery SET due_at = now() + interval '1 hour'")
    await domain.outlet.flush()
    await rows("UPDATE unsettled SET check_at = now()")
    await rows("UPDATE post_change SET occurred_at = occurred_at - interval '2 seconds'")
    await domain.redis.flushall()
    await domain.redis.set(stream_of(admin.workspace.id), "no stream")

    for settle in (settling.settle, settling.settle_posts):
        with pytest.raises(RedisError):
            await settle(domain.hub.live, 10)

    assert await Unsettled.exists()
    assert await PostChange.exists()
    await domain.redis.delete(stream_of(admin.workspace.id))
    await rows("UPDATE unsettled SET check_at = now()")

    await Rescue(domain, engine).once()

    assert not await Unsettled.exists()
    assert not await PostChange.exists()


async def test_it_says_when_the_database_is_away_and_when_it_is_back(settings: Settings) -> None:
    async with gated(settings) as gates, opened(gates.settings) as domain, Engine(domain).running() as engine:
        rescue = Rescue(domain, engine)
        assert await rescue.once()
        close(gates.postgres)
        assert not await rescue.once()
        reopen(gates.postgres)
        assert await rescue.once()


async def test_the_ready_file_is_touched_once_the_database_answers_and_not_before(
    settings: Settings, tmp_path: Path
) -> None:
    ready = tmp_path / "ready"
    async with gated(replace(settings, ready_file=str(ready))) as gates, opened(gates.settings) as domain:
        close(gates.postgres)
        async with Engine(domain).running() as engine:
            ended = []

            async def end_a_round() -> None:
                ended.append(True)

            rescue = Rescue(domain, engine, end_a_round)
            running = asyncio.create_task(rescue.forever())
            await until(lambda: len(ended) > 1)
            assert not ready.exists()
            reopen(gates.postgres)

            await until(ready.exists)

            assert rescue.pulse.is_ready(monotonic())
            await end(running)


async def test_it_goes_on_where_the_ready_file_cannot_be_touched(settings: Settings, tmp_path: Path) -> None:
    missing = tmp_path / "no folder" / "ready"
    async with (
        opened(replace(settings, ready_file=str(missing))) as domain,
        Engine(domain).running() as engine,
    ):
        rescue = Rescue(domain, engine)
        with capture_logs() as lines:
            running = asyncio.create_task(rescue.forever())
            await until(lambda: [line["event"] for line in lines].count("rescue.ready_file_refused") == 2)
            await end(running)

    assert {line["error"] for line in lines} == {"No such file or directory"}


async def test_a_server_that_lets_nobody_in_is_out_of_reach(settings: Settings) -> None:
    wrong = replace(settings, database_url=settings.database_url.replace("?", "_gone?"))
    async with opened(wrong) as domain, Engine(domain).running() as engine:
        with capture_logs() as lines:
            assert not await Rescue(domain, engine).once()

    assert {(line["event"], line["error"]) for line in lines} == {("rescue.database_away", "InvalidCatalogNameError")}


async def test_a_server_without_our_tables_is_out_of_reach(settings: Settings, empty_database_url: str) -> None:
    empty = replace(settings, database_url=empty_database_url)
    async with opened(empty) as domain, Engine(domain).running() as engine:
        with capture_logs() as lines:
            assert not await Rescue(domain, engine).once()

    assert {(line["event"], line["error"]) for line in lines} == {("rescue.database_away", "UndefinedTableError")}


async def test_what_was_made_while_its_webhook_was_deleted_ends_and_is_never_sent(
    domain: Domain, engine: Engine, admin: Actor, receiver: Receiver
) -> None:
    webhook = await listen(domain, admin, callback_url=receiver.url)
    await happen_while_deleting(domain, admin, webhook.id)

    await Rescue(domain, engine).once()

    assert (await Delivery.get()).status is DeliveryStatus.CANCELLED
    assert receiver.requests == []


async def test_no_circuit_is_tried_while_there_is_no_place_to_try_it_from(
    domain: Domain, engine: Engine, admin: Actor, receiver: Receiver
) -> None:
    await listen(domain, admin, callback_url=receiver.url)
    await happen(domain, admin)
    await rows("UPDATE webhook SET circuit_open_until = now()")
    rescue = Rescue(domain, engine)
    taken = engine.lanes.free
    for _ in range(taken):
        engine.lanes.squeeze_in(-1, -1)

    await rescue.once()
    engine.lanes.release(-1, taken)
    await rescue.once()

    await until(lambda: has(DeliveryStatus.SUCCEEDED))


async def test_a_circuit_that_is_tried_is_tried_by_nobody_else_meanwhile(
    domain: Domain, engine: Engine, admin: Actor
) -> None:
    await owe(domain, admin)
    await rows("UPDATE webhook SET circuit_open_until = now()")
    # Nothing is sent any more, so the probe never ends.
    await engine.stop()

    await Rescue(domain, engine).probe()

    assert await owed.take_probes(1, domain.settings.lease) == []


async def test_an_attempt_whose_worker_died_is_counted(domain: Domain, engine: Engine, admin: Actor) -> None:
    delivery = await owe(domain, admin)
    await claim(delivery)
    await lease_ran_out(delivery)
    before = metrics.REGISTRY.get_sample_value("hookline_interrupted_total") or 0

    await Rescue(domain, engine).interrupt()

    assert metrics.REGISTRY.get_sample_value("hookline_interrupted_total") == before + 1
