"""How long things take, end to end, under everyday load."""

import asyncio
import time
from typing import Any

import aiohttp

from bench.client import Api, api, ask, record_events, session, steadily, subscribed, webhook
from bench.figures import Figure, percentile
from bench.place import Place, ask_receiver, connect, due_backlog, receiver, workers

RATE = 50
SECONDS = 30
STEADY_ROWS = ("request_median", "request_p99", "seen_median", "seen_p99")
HANGING_ROWS = ("healthy_p99_beside_a_hanging_endpoint",)
BUSY_ROWS = ("api_p99_while_delivering",)
SUBSCRIPTION = "subscription { deliveryStatusChanged(statuses: [SUCCEEDED]) { delivery { uuid } } }"
LIST = "{ webhooks { nodes { id name } } }"


def steady(place: Place) -> list[Figure]:
    """From the mutation's transaction to the request at the receiver, and to SUCCEEDED at a subscriber.

    A transaction's time is when it began, so the figures are a little too high rather than too low.
    """
    with receiver() as url, api(place) as to, workers(place):
        requests, seen = asyncio.run(_steady(place, to, url))
    what = f"from the mutation's transaction to {{}}, {RATE} events/s for {SECONDS} s"
    return [
        Figure("request_median", percentile(requests, 0.5), "ms", what.format("the request at the receiver"), 15),
        Figure("request_p99", percentile(requests, 0.99), "ms", what.format("the same, p99"), 60),
        Figure("seen_median", percentile(seen, 0.5), "ms", what.format("SUCCEEDED at a subscriber"), 30),
        Figure("seen_p99", percentile(seen, 0.99), "ms", what.format("the same, p99"), 120),
    ]


async def _steady(place: Place, to: Api, url: str) -> tuple[list[float], list[float]]:
    async with session(to) as client:
        await webhook(client, to, url)
        seen: dict[str, float] = {}
        watching = asyncio.create_task(_watch(client, to, seen))
        await _events(client, to)
        watching.cancel()
    return await waits(place, await arrivals(url), url), await waits(place, seen, url)


async def _events(client: aiohttp.ClientSession, to: Api) -> None:
    await record_events(client, to, RATE, SECONDS)
    await asyncio.sleep(2)


async def arrivals(url: str) -> dict[str, float]:
    """When each delivery first came to a receiver."""
    told: Any = await asyncio.to_thread(ask_receiver, url, "/times")
    return dict(told)


async def waits(place: Place, ended: dict[str, float], url: str) -> list[float]:
    """Milliseconds from each delivery's transaction to its time in `ended`; KeyError if one to `url` is not there."""
    connection = await connect(place)
    made = await connection.fetch(
        "SELECT d.uuid::text AS uuid, extract(epoch FROM d.created_at)::float8 AS at FROM delivery d"
        " JOIN webhook w ON w.id = d.webhook_id WHERE w.callback_url = $1",
        url,
    )
    await connection.close()
    return [(ended[row["uuid"]] - row["at"]) * 1000 for row in made]


async def _watch(client: aiohttp.ClientSession, to: Api, seen: dict[str, float]) -> None:
    async with subscribed(client, to, SUBSCRIPTION) as socket:
        while True:
            message = await socket.receive_json()
            if message["type"] == "next":
                seen[message["payload"]["data"]["deliveryStatusChanged"]["delivery"]["uuid"]] = time.time()


def hanging(place: Place) -> list[Figure]:
    """Healthy endpoints, without and with one that hangs and gets half of all events."""
    with receiver() as url, api(place) as to, workers(place):
        without = asyncio.run(_healthy_p99(place, to, url, hang=False))
    with receiver() as url, api(place) as to, workers(place):
        beside = asyncio.run(_healthy_p99(place, to, url, hang=True))
    return [
        Figure("healthy_p99_beside_a_hanging_endpoint", beside / without, "ratio",
               f"p99 of healthy endpoints beside one that hangs ({beside:.0f} ms), to without ({without:.0f} ms)", 2)
    ]  # fmt: skip


async def _healthy_p99(place: Place, to: Api, url: str, *, hang: bool) -> float:
    async with session(to) as client:
        await webhook(client, to, url)
        if hang:
            # Each event makes a delivery to each of the two, so half of all go to the one that hangs.
            await webhook(client, to, f"{url}/hang")
        await _events(client, to)
    return percentile(await waits(place, await arrivals(url), url), 0.99)


def busy(place: Place) -> list[Figure]:
    """The API's answers while a worker beside it works off 10,000 deliveries."""
    with receiver() as url, api(place) as to:
        idle = asyncio.run(_api_p99(to))
        asyncio.run(due_backlog(place, url, 10_000))
        with workers(place):
            working = asyncio.run(_api_p99(to))
    return [
        Figure("api_p99_while_delivering", working / idle, "ratio",
               f"p99 of a query while 10,000 deliveries are worked off ({working:.1f} ms), to idle ({idle:.1f} ms)", 3)
    ]  # fmt: skip


async def _api_p99(to: Api) -> float:
    took: list[float] = []
    async with session(to) as client:

        async def query(_: int) -> None:
            begun = time.monotonic()
            await ask(client, to, LIST)
            took.append((time.monotonic() - begun) * 1000)

        await steadily(RATE, 5, query)
    return percentile(took, 0.99)
