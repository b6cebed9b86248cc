"""What live updates cost: one change to a thousand subscribers, against raw Starlette websockets; and idle sockets."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import aiohttp
import psutil

from bench.client import HEAR_SECONDS, Api, api, plain, session, subscribed
from bench.figures import Figure, percentile
from bench.place import Place, connect, cpu_seconds
from domain import database, ids, queue
from domain.live import Change, Live, Order
from domain.vocabulary import DeliveryStatus, EventType

SUBSCRIBERS = 1000
# How many changes are measured. Fewer for different subscriptions: each of the thousand executes every change.
CHANGES, CHANGES_FOR_DIFFERENT = 50, 10
WARM_UP = 3
# How many sockets are opened at once.
AT_ONCE = 20
ROWS = (
    "cpu_per_subscriber", "last_subscriber", "last_subscriber_p95", "idle_sockets", "cpu_per_different_subscriber",
    "last_different_subscriber", "cpu_per_filtered_subscriber", "cpu_per_raw_socket",
)  # fmt: skip
DOCUMENT = """
subscription ($webhook: ID, $types: [EventType!], $statuses: [DeliveryStatus!]) {
  deliveryStatusChanged(webhookId: $webhook, eventTypes: $types, statuses: $statuses) {
    cursor status occurredAt delivery { id status attemptCount nextAttemptAt event { id type } }
  }
}
"""
WEBHOOK = 1
# Live.append tells no change twice, so each is of another delivery.
_deliveries = itertools.count(10**6)

Socket = aiohttp.ClientWebSocketResponse
Tell = Callable[[], Awaitable[None]]
Variables = dict[str, Any]


@dataclass
class Crowd:
    """Clients of one server, and a function that sends them something."""

    process: psutil.Process
    sockets: Sequence[Socket]
    tell: Tell
    cpu: float = 0.0
    heard: str = ""

    async def hear(self) -> float:
        """Tell them once; returns the seconds until the last one has heard it. Adds the server's CPU time to `cpu`."""
        cpu, begun = cpu_seconds(self.process), time.monotonic()
        await self.tell()
        for socket in self.sockets:
            self.heard = await socket.receive_str(timeout=HEAR_SECONDS)
            if '"error' in self.heard:
                raise RuntimeError(self.heard)
        took = time.monotonic() - begun
        self.cpu += cpu_seconds(self.process) - cpu
        return took


def fan_out(place: Place) -> list[Figure]:
    """1,000 equal subscriptions beside 1,000 raw sockets; 1,000 different ones that want a change, or do not."""
    with plain() as (url, process), api(place) as to:
        equal = asyncio.run(_beside_raw(place, to, url, process))
    with api(place) as to:
        different = asyncio.run(_different(place, to))
    with api(place) as to:
        filtered = asyncio.run(_filtered(place, to))
    raw = equal["raw_us"]
    return [
        Figure("cpu_per_subscriber", equal["cpu_us"] / raw, "ratio",
               f"API CPU for one change to one of 1,000 equal subscriptions ({equal['cpu_us']:.1f} us),"
               f" to a raw Starlette websocket send ({raw:.1f} us)", 1.5),
        Figure("last_subscriber", equal["last_ms"], "ms", "median time until the last of 1,000 has a change", 100),
        Figure("last_subscriber_p95", equal["last_p95_ms"], "ms", "the same, p95", 100),
        Figure("idle_sockets", equal["idle_mib"], "MiB", "memory of 1,000 idle subscribed sockets", 45),
        Figure("cpu_per_different_subscriber", different["cpu_us"] / raw, "ratio",
               "the same for 1,000 different subscriptions, each with a filter of its own that lets the change through"
               f" ({different['cpu_us']:.0f} us)"),
        Figure("last_different_subscriber", different["last_ms"], "ms", "median time until the last of those has it"),
        Figure("cpu_per_filtered_subscriber", filtered / raw, "ratio",
               f"the same for 1,000 subscriptions of which one filter lets the change through ({filtered:.1f} us)"),
        Figure("cpu_per_raw_socket", raw, "us", "CPU of a raw Starlette websocket send"),
    ]  # fmt: skip


async def _beside_raw(place: Place, to: Api, url: str, process: psutil.Process) -> dict[str, float]:
    """The two take turns, so that other load on the machine affects both alike."""
    async with AsyncExitStack() as stack:
        before = to.process.memory_info().rss
        ours = await stack.enter_async_context(_subscribed(place, to, [{}] * SUBSCRIBERS))
        await asyncio.sleep(1)
        idle = (to.process.memory_info().rss - before) / 2**20
        await ours.hear()
        raw = await stack.enter_async_context(_raw(url, process, ours.heard))
        await _measured((ours, raw), WARM_UP)
        waits = await _measured((ours, raw), CHANGES)
    return {
        "cpu_us": _microseconds(ours, CHANGES),
        "raw_us": _microseconds(raw, CHANGES),
        "last_ms": percentile(waits, 0.5) * 1000,
        "last_p95_ms": percentile(waits, 0.95) * 1000,
        "idle_mib": idle,
    }


async def _different(place: Place, to: Api) -> dict[str, float]:
    async with _subscribed(place, to, list(itertools.islice(_filters(), SUBSCRIBERS))) as crowd:
        await _measured((crowd,), WARM_UP)
        waits = await _measured((crowd,), CHANGES_FOR_DIFFERENT)
    return {"cpu_us": _microseconds(crowd, CHANGES_FOR_DIFFERENT), "last_ms": percentile(waits, 0.5) * 1000}


async def _filtered(place: Place, to: Api) -> float:
    """CPU microseconds for each subscriber, when only one of them wants the change."""
    webhooks: list[Variables] = [{"webhook": ids.make("Webhook", WEBHOOK + number)} for number in range(SUBSCRIBERS)]
    async with _subscribed(place, to, webhooks) as crowd:
        wants = Crowd(crowd.process, crowd.sockets[:1], crowd.tell)
        await _measured((wants,), WARM_UP)
        await _measured((wants,), CHANGES)
    return _microseconds(wants, CHANGES)


def _filters() -> "itertools.chain[Variables]":
    """Different filters, all of which let our changes through."""
    others = [event.name for event in EventType if event is not EventType.POST_PUBLISHED]
    statuses = [status.name for status in DeliveryStatus if status is not DeliveryStatus.PENDING]
    return itertools.chain.from_iterable(
        ({"types": ["POST_PUBLISHED", *types], "statuses": ["PENDING", status]} for status in statuses)
        for size in range(len(others) + 1)
        for types in itertools.combinations(others, size)
    )


async def _measured(crowds: Sequence[Crowd], rounds: int) -> list[float]:
    """How long each round took the first of these crowds."""
    for crowd in crowds:
        crowd.cpu = 0.0
    took = [[await crowd.hear() for crowd in crowds] for _ in range(rounds)]
    return [first for first, *_ in took]


def _microseconds(crowd: Crowd, rounds: int) -> float:
    return crowd.cpu / rounds / SUBSCRIBERS * 1e6


@asynccontextmanager
async def _subscribed(place: Place, to: Api, each: Sequence[Variables]) -> AsyncIterator[Crowd]:
    """One subscription for each set of variables, on a socket of its own."""
    connection = await connect(place)
    workspace = await connection.fetchval("SELECT max(id) FROM workspace")
    await connection.close()
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(session(to))
        await stack.enter_async_context(database.connected(place.settings))
        redis = await stack.enter_async_context(queue.connect(place.settings.redis_url))
        live = Live(redis, database.committed_until, database.identity)

        async def tell() -> None:
            await live.append([_change(workspace, next(_deliveries))])

        sockets = await _some_at_once(
            stack.enter_async_context(subscribed(client, to, DOCUMENT, **variables)) for variables in each
        )
        await _until_watched(client, to, len(sockets))
        yield Crowd(to.process, sockets, tell)


async def _some_at_once(opening: Iterable[Awaitable[Socket]]) -> list[Socket]:
    left, sockets = iter(opening), list[Socket]()
    while some := list(itertools.islice(left, AT_ONCE)):
        sockets += await asyncio.gather(*some)
    return sockets


async def _until_watched(client: aiohttp.ClientSession, to: Api, count: int) -> None:
    """Wait until this many subscriptions have begun: the protocol does not tell, but the metrics do."""
    async with asyncio.timeout(HEAR_SECONDS):
        while True:
            async with client.get(f"{to.url}/metrics") as answer:
                if f"hookline_live_subscriptions {count}.0\n" in await answer.text():
                    return
            await asyncio.sleep(0.05)


@asynccontextmanager
async def _raw(url: str, process: psutil.Process, text: str) -> AsyncIterator[Crowd]:
    """As many sockets of plain Starlette, which get the same text as ours."""
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        sockets = await _some_at_once(
            stack.enter_async_context(client.ws_connect(f"{url}/ws")) for _ in range(SUBSCRIBERS)
        )

        async def tell() -> None:
            async with client.post(f"{url}/send", data=text) as answer:
                await answer.read()

        yield Crowd(process, sockets, tell)


def _change(workspace: int, number: int) -> Change:
    at = datetime.now(UTC)
    delivery = {
        "id": number, "uuid": "0" * 36, "status": "pending", "attempt_count": 0, "max_attempts": 10,
        "created_at": at, "finished_at": None, "next_attempt_at": at, "waiting_for": "queued", "retry_of_id": None,
        "webhook_id": WEBHOOK, "event_id": 1,
    }  # fmt: skip
    event = {"id": 1, "uuid": "0" * 36, "type": "post.published", "occurred_at": at}
    data = {"status": "pending", "occurred_at": at, "delivery": delivery, "event": event, "attempt": None}
    return Change("delivery", workspace, number, str(UUID(int=number)), 1, Order.NEXT, at, data)
