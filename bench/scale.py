"""What a million finished deliveries do to claiming, recording and reading."""

import asyncio
import time

from bench.client import Api, api, ask, session
from bench.engine import DELIVERIES, worked_off
from bench.figures import Figure, percentile
from bench.place import Place, connect, remember

FEW, MANY = 10_000, 1_000_000
PAGES = 200
ROWS = ("deliveries_per_second_at_1000000", "page_at_1000000")
PAGE = "{ deliveries(first: 50) { nodes { id status attemptCount createdAt finishedAt } pageInfo { endCursor } } }"


def million(place: Place) -> list[Figure]:
    """The engine's rate, and a page of the log, beside 10,000 and beside 1,000,000 finished deliveries."""
    rates, pages = {}, {}
    for history in (FEW, MANY):
        with api(place) as to:
            asyncio.run(_remember(place, history))
            pages[history] = asyncio.run(_page(to))
        rates[history] = worked_off(place, DELIVERIES, history=history).per_second
    return [
        Figure("deliveries_per_second_at_1000000", rates[MANY] / rates[FEW], "ratio",
               f"beside 1,000,000 finished deliveries ({rates[MANY]:.0f}/s), to beside 10,000 ({rates[FEW]:.0f}/s)",
               0.8, "higher"),
        Figure("page_at_1000000", pages[FEW] / pages[MANY], "ratio",
               f"pages of the log per second: {pages[MANY]:.2f} ms a page, to {pages[FEW]:.2f} ms", 0.8, "higher"),
    ]  # fmt: skip


async def _remember(place: Place, deliveries: int) -> None:
    connection = await connect(place)
    workspace = await connection.fetchval("SELECT max(id) FROM workspace")
    await remember(connection, workspace, deliveries)
    await connection.close()


async def _page(to: Api) -> float:
    """Milliseconds for one page, the median of many."""
    took = []
    async with session(to) as client:
        for _ in range(PAGES):
            begun = time.monotonic()
            await ask(client, to, PAGE)
            took.append((time.monotonic() - begun) * 1000)
    return percentile(took, 0.5)
