"""Break everything at random under load, and count: `make chaos [SECONDS=120] [SEED=n]`.

Faults of servers and faults of processes run side by side, so that they coincide. The seed determines which faults
come, in which order and for how long, but not when each meets the load. Exits with 1 if something was lost, came twice
without an excuse, stayed DELIVERING, was still waiting at the end, or was refused by anything but a 503.
"""

import asyncio
import os
import random
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from tests.domain.name_server import naming
from tests.e2e.faults import NAMES, Chaos
from tests.e2e.system import System
from tests.e2e.tally import Tally
from tests.e2e.world import World, entered

END_SECONDS = 120
PER_SECOND = 25


async def run(folder: Path, seconds: float, seed: int) -> bool:
    """Run all of it; returns whether the rule was kept."""
    dice = random.Random(seed)
    system = System(folder)
    try:
        await system.start(workers=1)
        async with entered(system) as world, naming() as names:
            for path, host in NAMES.items():
                if host != "127.0.0.1":
                    names.addresses[host] = ("127.0.0.1",)
                await world.client.webhook(world.receivers.url(f"/{path}", host), maxAttempts=20)
                world.hooks += 1
            chaos = Chaos(system, world, names, dice)
            await chaos.all_workers_killed()
            await torment(chaos, seconds)
            tally = await came_to_rest(world)
            show(chaos, tally, seconds, seed)
            return not (tally.lost or tally.unexplained or tally.waiting or world.stuck or unclear(world))
    finally:
        system.stop()


async def torment(chaos: Chaos, seconds: float) -> None:
    """Load and faults for this many seconds."""
    until = time.monotonic() + seconds
    hurrying = asyncio.create_task(hurry(chaos.world))
    try:
        async with chaos.world.load(per_second=PER_SECOND):
            await asyncio.gather(chaos.go_on(chaos.of_servers, until), chaos.go_on(chaos.of_processes, until))
    finally:
        hurrying.cancel()
        await asyncio.gather(hurrying, return_exceptions=True)
    chaos.system.proxies.heal()
    await chaos.system.healthy()


async def hurry(world: World) -> None:
    """Make retries and probes due a few seconds after they were postponed."""
    while True:
        await asyncio.sleep(2)
        with suppress(Exception):
            await world.hurry()
            await world.system.sql("UPDATE webhook SET circuit_open_until = now() WHERE circuit_open_until > now()")


async def came_to_rest(world: World) -> Tally:
    """What became of everything, once nothing waits any more, or END_SECONDS have passed."""
    hurrying = asyncio.create_task(hurry(world))
    try:
        with suppress(AssertionError):
            await world.finished(END_SECONDS)
    finally:
        hurrying.cancel()
        await asyncio.gather(hurrying, return_exceptions=True)
    return await world.tally()


def show(chaos: Chaos, tally: Tally, seconds: float, seed: int) -> None:
    """Print the tables."""
    world = chaos.world
    lines = {
        "posts acknowledged": tally.accepted,
        "mutations refused with 503 and a reason": world.refused.total() - unclear(world),
        "mutations refused in any other way": unclear(world),
        "mutations without an answer (the API was killed)": world.unanswered,
        "deliveries delivered": tally.delivered,
        "deliveries failed": tally.failed,
        "deliveries waiting": tally.waiting,
        "lost": len(tally.lost),
        "sent twice, open at a fault": tally.duplicated - len(tally.unexplained),
        "sent twice without an excuse": len(tally.unexplained),
        "DELIVERING for too long": len(world.stuck),
    }
    print(f"\nSECONDS={seconds:g} SEED={seed}\n\n| what | count |\n|---|---|")
    for what, count in lines.items():
        print(f"| {what} | {count} |")
    print("\n| fault | times |\n|---|---|")
    for name, times in sorted(chaos.done.items()):
        print(f"| {name} | {times} |")
    print("\nrefused:", dict(world.refused))
    for trouble in (*tally.lost, *tally.unexplained, *sorted(world.stuck)):
        print("!!", trouble)


def unclear(world: World) -> int:
    """How many mutations were refused by anything but a 503."""
    return sum(times for answer, times in world.refused.items() if not answer.startswith("503 "))


def main() -> int:
    """Run with SECONDS and SEED of the environment."""
    seconds = float(os.environ.get("SECONDS") or 120)
    seed = int(os.environ.get("SEED") or random.SystemRandom().randrange(10**6))
    print(f"SECONDS={seconds:g} SEED={seed}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="hookline-chaos-"))
    kept = asyncio.run(run(folder, seconds, seed))
    if kept:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"The logs lie in {folder}.")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
