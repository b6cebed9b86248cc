"""What sockets that come and go do to everything else: an API that runs for months must not stop to tidy up."""

import asyncio
import time

import aiohttp

from bench.client import Api, api, ask, session, steadily, subscribed
from bench.figures import Figure, percentile
from bench.place import Place

# New sockets a second, and for how many seconds each stays.
COMING, STAY_SECONDS = 80, 20
IDLE_SECONDS, SECONDS = 20, 120
QUERIES = 40
QUERY = "{ viewer { workspace { name } } }"
WATCH = "subscription { deliveryStatusChanged { cursor status delivery { id } } }"
ROWS = ("p99_beside_visitors", "longest_beside_visitors", "memory_of_visitors")


def visitors(place: Place) -> list[Figure]:
    """Small queries, without and with sockets that come, subscribe and go."""
    with api(place, HOOKLINE_SOCKETS_PER_TOKEN=str(2 * COMING * STAY_SECONDS)) as to:
        idle, beside, kept = asyncio.run(_measured(to))
    what = f"a query beside {COMING} new sockets a second that stay {STAY_SECONDS} s each"
    alone = percentile(idle, 0.99)
    return [
        Figure("p99_beside_visitors", percentile(beside, 0.99) / alone, "ratio",
               f"p99 of {what} ({percentile(beside, 0.99):.1f} ms), to idle ({alone:.1f} ms)"),
        Figure("longest_beside_visitors", max(beside), "ms", f"the longest of {len(beside):,} such queries"),
        Figure("memory_of_visitors", kept, "MiB", f"what the API has more, once {COMING * SECONDS:,} have gone"),
    ]  # fmt: skip


async def _measured(to: Api) -> tuple[list[float], list[float], float]:
    async with session(to) as client:
        # A warm-up: what is made only once does not count.
        await steadily(COMING, 5, lambda _: _visit(client, to, 1))
        idle = await _queries(client, to, IDLE_SECONDS)
        before = to.process.memory_info().rss
        _, beside = await asyncio.gather(
            steadily(COMING, SECONDS, lambda _: _visit(client, to, STAY_SECONDS)),
            _queries(client, to, SECONDS + STAY_SECONDS),
        )
        return idle, beside, (to.process.memory_info().rss - before) / 2**20


async def _visit(client: aiohttp.ClientSession, to: Api, seconds: float) -> None:
    async with subscribed(client, to, WATCH):
        await asyncio.sleep(seconds)


async def _queries(client: aiohttp.ClientSession, to: Api, seconds: float) -> list[float]:
    """The milliseconds that each query took."""
    took: list[float] = []

    async def query(_: int) -> None:
        begun = time.monotonic()
        await ask(client, to, QUERY)
        took.append((time.monotonic() - begun) * 1000)

    await steadily(QUERIES, seconds, query)
    return took
