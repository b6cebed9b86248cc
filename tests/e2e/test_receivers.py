"""Receivers and name servers that hang, fail and fall silent (F20 to F22)."""

import asyncio
import time

import pytest

from tests.domain.name_server import NameServer, naming
from tests.e2e.receivers import Behaviour
from tests.e2e.system import ENDPOINT_PLACES, SHIFTED
from tests.e2e.world import World
from tests.waiting import until

DNS_SECONDS = 30
HANGING = 100
HEALTHY = 10
# docs/reliability.md, F21.
P99_SECONDS = 2.0


async def test_endpoints_whose_names_cannot_be_looked_up_do_not_slow_the_others(world: World) -> None:
    """F20: half of the time the name server is silent, and half of the time it says SERVFAIL."""
    async with naming() as names:
        names.addresses.update(dict.fromkeys(("well.example.org", "gone.example.org"), ("127.0.0.1",)))
        told = {"PYTHONPATH": str(SHIFTED), "TEST_NAMESERVERS": names.address}
        await world.system.with_workers(2, **told)
        for name in ("well", "gone"):
            await world.client.webhook(world.receivers.url(f"/{name}", f"{name}.example.org"))
            world.hooks += 1
        world.receivers.behaviours["/gone"] = Behaviour(keeps_open=False)
        async with world.load(per_second=10):
            await until(lambda: len(world.receivers.at("/gone")) > 10, what="both names are known")
            for faulty in (names.silent, names.broken):
                await one_name_fails(world, names, faulty)
        assert within(world, "/well", 0.99) < P99_SECONDS
        await endpoints_are_well_again(world)

    tally = await world.keeps_the_rule()
    assert tally.delivered == 2 * tally.accepted
    assert tally.duplicated == 0


async def one_name_fails(world: World, names: NameServer, faulty: set[str]) -> None:
    before = await lookups_that_failed(world)
    faulty.add("gone.example.org")
    # Earlier failures open its circuit, and then no worker would look the name up for half a minute.
    await hurry(world)
    try:
        end = time.monotonic() + DNS_SECONDS / 2
        while time.monotonic() < end:
            await ten_more(world, "/well")
    finally:
        faulty.clear()
    assert await lookups_that_failed(world) > before


async def lookups_that_failed(world: World) -> int:
    [row] = await world.system.sql("SELECT count(*) FROM attempt WHERE outcome = 'dns_failed'")
    count: int = row["count"]
    return count


async def hurry(world: World) -> None:
    """Let the time of all retries and probes come."""
    await world.system.sql("UPDATE webhook SET circuit_open_until = now() WHERE circuit_open_until > now()")
    await world.hurry()


async def ten_more(world: World, path: str) -> None:
    goal = len(world.receivers.at(path)) + 10
    await until(lambda: len(world.receivers.at(path)) >= goal, what=f"ten more at {path}")


@pytest.mark.alone
async def test_healthy_endpoints_do_not_wait_for_a_hundred_that_hang(world: World) -> None:
    """F21."""
    # As long as in production: each attempt hangs for the whole fifteen seconds.
    usual = {"HOOKLINE_REQUEST_TIMEOUT": "15", "HOOKLINE_LEASE": "30", "HOOKLINE_SHUTDOWN_DEADLINE": "20"}
    world.lease = 30.0
    await world.system.with_workers(1, **usual, HOOKLINE_CONNECT_TIMEOUT="5")
    never = asyncio.Event()
    for number in range(HANGING):
        world.receivers.behaviours[f"/hangs/{number}"] = Behaviour(until=never)
        await world.hook(f"/hangs/{number}")
    for number in range(HEALTHY):
        await world.hook(f"/well/{number}")
    # Ten posts take all ten places of each hanging endpoint, and the last post comes before any request times out.
    for _ in range(30):
        await world.post()
        await asyncio.sleep(0.1)
    wanted = HEALTHY * len(world.acknowledged)
    await until(lambda: sum(len(world.receivers.at(f"/well/{n}")) for n in range(HEALTHY)) == wanted, 60, "the healthy")

    assert max(within(world, f"/well/{n}", 0.99) for n in range(HEALTHY)) < P99_SECONDS
    assert len(world.receivers.deliveries()) > wanted, "nothing hung"
    never.set()
    await world.system.sql("UPDATE webhook SET circuit_open_until = now() WHERE circuit_open_until IS NOT NULL")
    tally = await world.keeps_the_rule(finished=False)
    assert tally.duplicated == 0


async def test_a_backlog_is_worked_off_when_receivers_are_well_again_and_none_is_overrun(world: World) -> None:
    """F22."""
    paths = ("/a", "/b", "/c")
    for path in paths:
        world.receivers.behaviours[path] = Behaviour(status=500)
        await world.hook(path)
    await world.posts(100)
    await until(lambda: len(world.receivers.deliveries()) == 300, 60, "every first attempt")
    await everything_waits(world)
    for path in paths:
        world.receivers.behaviours[path] = Behaviour(seconds=0.05)
    world.receivers.most_at_once.clear()
    await world.hurry()

    tally = await world.keeps_the_rule()
    assert (tally.delivered, tally.duplicated) == (300, 0)
    for path in paths:
        # The cap holds for each worker by itself.
        assert ENDPOINT_PLACES // 2 < world.receivers.most_at_once[path] <= ENDPOINT_PLACES * len(world.system.workers)


async def everything_waits(world: World) -> None:
    async with asyncio.timeout(30):
        while {row["status"] for row in await world.rows()} != {"retrying"}:
            await asyncio.sleep(0.05)


async def endpoints_are_well_again(world: World) -> None:
    """Hurry until nothing waits."""
    end = time.monotonic() + 60
    while {row["status"] for row in await world.rows()} != {"succeeded"}:
        assert time.monotonic() < end, [dict(row) for row in await world.rows() if row["status"] != "succeeded"][:3]
        await hurry(world)
        await asyncio.sleep(1)


def within(world: World, path: str, share: float) -> float:
    """The seconds from acknowledgement to arrival that this share of an endpoint's deliveries stayed within."""
    came = {arrival.subject: arrival.at for arrival in reversed(world.receivers.at(path))}
    waits = sorted(came[post] - at for post, at in world.acknowledged.items() if post in came)
    assert waits, f"nothing came to {path}"
    return waits[min(int(share * len(waits)), len(waits) - 1)]
