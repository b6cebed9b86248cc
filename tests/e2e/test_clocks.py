"""Clocks that are an hour wrong (F18, F19). Due times, leases and signed times come from the database's clock."""

import time

import pytest

from tests.e2e.receivers import Behaviour
from tests.e2e.system import SHIFTED
from tests.e2e.world import World
from tests.waiting import until

HOUR_SECONDS = 3600
LATEST_SECONDS = 5.0
# What the guide to receiving and the libraries of Standard Webhooks tolerate.
TOLERATED_SECONDS = 300


def ahead(seconds: int) -> dict[str, str]:
    """The variables that shift the clock of a process."""
    return {"PYTHONPATH": str(SHIFTED), "TEST_CLOCK_AHEAD": str(seconds)}


@pytest.mark.parametrize("seconds", [HOUR_SECONDS, -HOUR_SECONDS], ids=["ahead", "behind"])
async def test_a_worker_whose_clock_is_an_hour_wrong_sends_nothing_twice_nothing_early_and_signs_the_right_time(
    world: World, seconds: int
) -> None:
    """F18: one worker is right and one is wrong; the first answers make both retry."""
    world.receivers.behaviours["/fails"] = Behaviour(first=[500] * 10)
    await world.hook()
    await world.hook("/fails")
    await world.system.with_workers(1)
    await world.system.add_worker(**ahead(seconds)).ready()
    assert await clock_of(world) == pytest.approx(seconds, abs=60)
    await world.posts(40)
    await world.finished(seconds=60)

    again = [arrival for arrival in world.receivers.at("/fails") if arrival.attempt > 1]
    assert len(again) == 10
    for arrival in again:
        (before,) = [
            each for each in world.receivers.at("/fails") if (each.delivery, each.attempt) == (arrival.delivery, 1)
        ]
        # The schedule's first wait is five seconds, stretched by up to a tenth.
        assert 5.0 - 0.5 <= arrival.at - before.at <= 5.5 + LATEST_SECONDS
    assert all(abs(arrival.at - arrival.signed_at) < TOLERATED_SECONDS for arrival in world.receivers.arrivals)
    tally = await world.keeps_the_rule()
    assert tally.duplicated == 0


async def clock_of(world: World) -> float:
    """How many seconds the clock of the last worker's log is ahead of ours."""
    text = world.system.workers[-1].log.read_text().split("Z ")[0]
    shown = time.strptime(text.rsplit("\n", maxsplit=1)[-1].split(".")[0], "%Y-%m-%dT%H:%M:%S")
    return time.mktime(shown) - time.mktime(time.gmtime())


async def test_nothing_is_late_when_the_clock_of_the_api_is_an_hour_ahead(world: World) -> None:
    """F19."""
    await world.hook()
    world.system.api.kill()
    world.system.api = world.system.api_process(**ahead(HOUR_SECONDS)).launch()
    try:
        await world.system.api.ready()
        for _ in range(20):
            written = await world.post()
            acknowledged = world.acknowledged[written]
            await until(
                lambda: len(world.receivers.arrivals) == len(world.acknowledged), LATEST_SECONDS, "the delivery"
            )
            assert world.receivers.arrivals[-1].at - acknowledged < LATEST_SECONDS
        tally = await world.keeps_the_rule()
        assert (tally.delivered, tally.duplicated) == (20, 0)
    finally:
        world.system.api.kill()
        world.system.api = world.system.api_process()
