"""Workers that are killed, stopped and frozen (F1 to F3, F5, F23); test_rolling_restart.py has F4."""

import asyncio
import signal
from typing import Any

from tests.e2e.receivers import Behaviour
from tests.e2e.system import SHUTDOWN
from tests.e2e.world import GRACE_SECONDS, World
from tests.waiting import until

# A lane begins with ten places, so fifty in flight need five endpoints.
ENDPOINTS = 5
IN_FLIGHT = 50
# Requests stay in flight however slow a busy machine is; `System.end_leases` ends their leases.
PATIENT = {"HOOKLINE_REQUEST_TIMEOUT": "60", "HOOKLINE_LEASE": "65", "HOOKLINE_SHUTDOWN_DEADLINE": "60"}


async def fifty_in_flight(world: World, **more: Any) -> asyncio.Event:
    """Exactly fifty unanswered requests of one new worker; set the event to have them answered."""
    world.system.kill_workers()
    answers = asyncio.Event()
    for number in range(ENDPOINTS):
        world.receivers.behaviours[f"/{number}"] = Behaviour(until=answers)
        await world.hook(f"/{number}", **more)
    await world.posts(IN_FLIGHT // ENDPOINTS)
    world.lease = float(PATIENT["HOOKLINE_LEASE"])
    world.system.add_worker(**PATIENT)
    await until(lambda: world.receivers.under_way.total() == IN_FLIGHT, what="fifty in flight")
    return answers


async def test_what_a_killed_worker_had_in_flight_is_sent_again_once_its_lease_has_run_out(world: World) -> None:
    """F1."""
    with world.fault():
        answers = await fifty_in_flight(world)
        world.system.kill_workers()
    answers.set()
    await world.system.end_leases()
    with world.fault(outage=True):
        await world.system.add_worker().ready()
    await until(
        lambda: len(world.receivers.deliveries()) == IN_FLIGHT and min(world.receivers.deliveries().values()) == 2,
        GRACE_SECONDS,
        "all fifty again",
    )

    tally = await world.keeps_the_rule()
    assert (tally.delivered, tally.duplicated) == (IN_FLIGHT, IN_FLIGHT)
    assert {row["attempt_count"] for row in await world.rows()} == {1}


async def test_nothing_is_lost_when_all_workers_are_killed_ten_times(world: World) -> None:
    """F2."""
    world.receivers.behaviours["/"] = Behaviour(seconds=0.02)
    await world.hook()
    async with world.load():
        for _ in range(10):
            await world.written(5)
            with world.fault(outage=True):
                world.system.kill_workers()
                first, second = world.system.add_worker(), world.system.add_worker()
                await asyncio.gather(first.ready(), second.ready())

    tally = await world.keeps_the_rule()
    assert tally.delivered == tally.accepted >= 50


async def test_a_worker_that_is_told_to_stop_finishes_what_it_has_begun(world: World) -> None:
    """F3."""
    world.receivers.behaviours["/"] = Behaviour(seconds=0.5)
    await world.hook()
    (first, _) = world.system.workers
    async with world.load():
        await world.written(20)
        await until(lambda: world.receivers.under_way.total() > 2, what="load")
        first.send(signal.SIGTERM)
        assert await first.gone(SHUTDOWN + 5) == 0
        world.system.workers.remove(first)
        await world.written(10)

    tally = await world.keeps_the_rule()
    assert (tally.delivered, tally.duplicated) == (tally.accepted, 0)
    rows = await world.rows()
    assert {(row["attempt_count"], row["interrupted_count"], row["attempt_number"]) for row in rows} == {(1, 0, 1)}


async def test_the_late_results_of_a_worker_that_was_frozen_past_its_lease_change_nothing(world: World) -> None:
    """F5."""
    with world.fault():
        answers = await fifty_in_flight(world, maxAttempts=1)
        (frozen,) = world.system.workers
        frozen.send(signal.SIGSTOP)
    # The copies fail for good, so that a success written late would show.
    for number in range(ENDPOINTS):
        world.receivers.behaviours[f"/{number}"] = Behaviour(status=500)
    answers.set()
    await world.system.end_leases()
    with world.fault(outage=True):
        await world.system.add_worker().ready()
    await world.finished()
    before = await world.rows()
    frozen.send(signal.SIGCONT)
    # Two rounds of its loop: by then it has tried to record whatever it still held.
    await frozen.ready()
    await frozen.ready()
    world.system.workers.remove(frozen)
    frozen.kill()

    assert await world.rows() == before
    outcomes = {row["outcome"]: row["count"] for row in await attempts_by_outcome(world)}
    assert outcomes == {"interrupted": IN_FLIGHT, "http_error": IN_FLIGHT}
    tally = await world.keeps_the_rule()
    assert (tally.failed, tally.duplicated) == (IN_FLIGHT, IN_FLIGHT)


async def attempts_by_outcome(world: World) -> list[Any]:
    return await world.system.sql(
        "SELECT a.outcome, count(*) AS count FROM attempt a JOIN delivery d ON d.id = a.delivery_id "
        "WHERE d.workspace_id = $1 GROUP BY 1",
        world.workspace,
    )


async def test_a_success_that_was_never_recorded_costs_exactly_one_more_copy(world: World) -> None:
    """F23."""
    await world.hook()
    await world.system.with_workers(1)
    with world.fault():
        # The worker writes this word only after it has got the receiver's 200.
        world.system.proxies.tell("worker.postgres", "hold", "succeeded")
        await world.post()
        await until(lambda: world.system.proxies.tell("worker.postgres", "ask"), what="the result on its way")
        assert [arrival.status for arrival in world.receivers.arrivals] == [200]
        world.system.kill_workers()
    # What the proxy holds back is dropped with its connection, once the proxy has noticed its end.
    await until(lambda: not world.system.proxies.tell("worker.postgres", "ask"), what="the end of the connection")
    world.system.proxies.heal()
    with world.fault(outage=True):
        await world.system.add_worker().ready()

    tally = await world.keeps_the_rule()
    assert (tally.delivered, tally.duplicated) == (1, 1)
    assert [arrival.attempt for arrival in world.receivers.arrivals] == [1, 2]
