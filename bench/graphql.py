"""What GraphQL costs: writing, against bare inserts; reading, against plain Starlette."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import asyncpg

from bench.client import RENAME_ACCOUNT, Api, account, api, ask, plain, session, webhook
from bench.figures import Figure
from bench.place import Place, connect, due_backlog

CONCURRENCY = 32
WRITES = 4000
READS = 1000
TURNS = 10
ACCEPT_ROWS = ("mutations_per_second",)
LIST_ROWS = ("list_of_100_deliveries",)
Call = Callable[[int, int], Awaitable[None]]
LIST = """{ deliveries(first: 100) { nodes
    { id uuid status attemptCount maxAttempts createdAt finishedAt nextAttemptAt } } }"""


def accept(place: Place) -> list[Figure]:
    """Mutations that each record an event with one delivery, against bare transactions that insert the same."""
    with api(place) as to:
        ours, bare = asyncio.run(_mutations(place, to))
    return [
        Figure("mutations_per_second", ours / bare, "ratio",
               f"mutations that record an event with one delivery ({ours:.0f}/s), to bare asyncpg transactions that"
               f" insert an event with one delivery ({bare:.0f}/s), {CONCURRENCY} at once", 0.25, "higher")
    ]  # fmt: skip


async def _mutations(place: Place, to: Api) -> tuple[float, float]:
    async with session(to) as client:
        accounts = [await account(client, to, f"a{number}") for number in range(CONCURRENCY)]
        connections = [await connect(place) for _ in range(CONCURRENCY)]
        await webhook(client, to, "https://example.com/never-sent")

        async def rename(lane: int, number: int) -> None:
            await ask(client, to, RENAME_ACCOUNT, id=accounts[lane], name=f"n{number}")

        async def insert(lane: int, _: int) -> None:
            await _insert(connections[lane])

        rates = await _in_turn((rename, WRITES), (insert, WRITES))
        for connection in connections:
            await connection.close()
        return rates


async def _insert(connection: asyncpg.Connection) -> None:
    async with connection.transaction():
        event = await connection.fetchval(
            "INSERT INTO event (workspace_id, type, document) VALUES (1, 'account.updated', $1) RETURNING id",
            "{}" * 200,
        )
        delivery = await connection.fetchval(
            "INSERT INTO delivery (workspace_id, event_id, webhook_id, event_type, max_attempts)"
            " VALUES (1, $1, 1, 'account.updated', 10) RETURNING id",
            event,
        )
        await connection.execute("INSERT INTO unsettled (delivery_id, from_change) VALUES ($1, 1)", delivery)


def listing(place: Place) -> list[Figure]:
    """100 deliveries with 8 fields over HTTP, against plain Starlette serving the same JSON."""
    with api(place) as to, plain() as (beside, _):
        asyncio.run(due_backlog(place, "https://example.com/never-sent", 200))
        ours, theirs = asyncio.run(_lists(to, beside))
    return [
        Figure("list_of_100_deliveries", ours / theirs, "ratio",
               f"100 deliveries x 8 fields ({ours:.0f}/s), to the same JSON from plain Starlette ({theirs:.0f}/s)",
               0.1, "higher")
    ]  # fmt: skip


async def _lists(to: Api, beside: str) -> tuple[float, float]:
    async with session(to) as client:
        told: Any = await ask(client, to, LIST)
        async with client.put(f"{beside}/json", json=told) as kept:
            kept.raise_for_status()

        async def ours(_: int, __: int) -> None:
            await ask(client, to, LIST)

        async def theirs(_: int, __: int) -> None:
            await _post(client, f"{beside}/json")

        return await _in_turn((ours, READS), (theirs, READS * 5))


async def _post(client: aiohttp.ClientSession, url: str) -> None:
    async with client.post(url, json={"query": LIST}) as answer:
        await answer.json(content_type=None)


async def _in_turn(ours: tuple[Call, int], theirs: tuple[Call, int]) -> tuple[float, float]:
    """Calls a second of both, in turns: a machine may be twice as fast a second later. The first turn is a warm-up."""
    seconds = [0.0, 0.0]
    for turn in range(TURNS + 1):
        for which, (call, calls) in enumerate((ours, theirs)):
            took = await _seconds(call, calls // TURNS)
            if turn:
                seconds[which] += took
    return ours[1] / seconds[0], theirs[1] / seconds[1]


async def _seconds(call: Call, calls: int) -> float:
    """How long `calls` calls take, CONCURRENCY at once; each call gets the number of its lane and its own."""
    numbers = iter(range(calls))

    async def lane(number: int) -> None:
        for call_number in numbers:
            await call(number, call_number)

    begun = time.monotonic()
    await asyncio.gather(*(lane(number) for number in range(CONCURRENCY)))
    return time.monotonic() - begun
