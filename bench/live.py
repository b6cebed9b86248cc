"""What live updates cost: one change to a thousand subscribers, against raw Starlette websockets; and idle sockets."""

import asyncio
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import aiohttp
import psutil

from bench.client import Api, api, plain, session
from bench.figures import Figure, percentile
from bench.place import Place, connect
from domain import queue
from domain.live import Change, Live, Order

SUBSCRIBERS = 1000
CHANGES = 50
ROWS = (
    "cpu_per_subscriber", "last_subscriber", "idle_sockets", "cpu_per_different_subscriber", "cpu_per_raw_socket",
)  # fmt: skip
DOCUMENT = """subscription { NAME deliveryStatusChanged
    { cursor status occurredAt delivery { id status attemptCount nextAttemptAt event { id type } } } }"""


def fan_out(place: Place) -> list[Figure]:
    """1,000 equal subscriptions, 1,000 different ones, and 1,000 raw sockets."""
    raw = asyncio.run(_raw())
    with api(place) as to:
        equal = asyncio.run(_subscribed(place, to, ""))
    with api(place) as to:
        different = asyncio.run(_subscribed(place, to, "s{}:"))
    return [
        Figure("cpu_per_subscriber", equal["cpu_us"] / raw, "ratio",
               f"API CPU for one change to one of 1,000 equal subscriptions ({equal['cpu_us']:.0f} us),"
               f" to a raw Starlette websocket send ({raw:.0f} us)", 1.5),
        Figure("last_subscriber", equal["last_ms"], "ms", "median time until the last of 1,000 has a change", 100),
        Figure("idle_sockets", equal["idle_mib"], "MiB", "memory of 1,000 idle subscribed sockets", 45),
        Figure("cpu_per_different_subscriber", different["cpu_us"] / raw, "ratio",
               f"the same for 1,000 different subscriptions ({different['cpu_us']:.0f} us)"),
        Figure("cpu_per_raw_socket", raw, "us", "CPU of a raw Starlette websocket send"),
    ]  # fmt: skip


async def _subscribed(place: Place, to: Api, name: str) -> dict[str, float]:
    connection = await connect(place)
    workspace = await connection.fetchval("SELECT max(id) FROM workspace")
    await connection.close()
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(session(to))
        redis = await stack.enter_async_context(queue.connect(place.settings.redis_url))
        before = to.process.memory_info().rss
        sockets = []
        for number in range(SUBSCRIBERS):
            socket = await stack.enter_async_context(
                client.ws_connect(f"{to.url}/graphql", protocols=["graphql-transport-ws"])
            )
            await _subscribe(socket, to, DOCUMENT.replace("NAME", name.format(number)))
            sockets.append(socket)
        await asyncio.sleep(1)
        idle = (to.process.memory_info().rss - before) / 2**20
        live = Live(redis, _now)

        async def tell(number: int) -> None:
            await live.append([_change(workspace, number)])

        for number in range(5):
            await _round(sockets, tell(CHANGES + number))
        cpu = _cpu(to.process)
        waits = [await _round(sockets, tell(number)) for number in range(CHANGES)]
        return {
            "cpu_us": (_cpu(to.process) - cpu) / CHANGES / SUBSCRIBERS * 1e6,
            "last_ms": percentile(waits, 0.5) * 1000,
            "idle_mib": idle,
        }


async def _subscribe(socket: aiohttp.ClientWebSocketResponse, to: Api, document: str) -> None:
    await socket.send_json({"type": "connection_init", "payload": {"authorization": f"Bearer {to.token}"}})
    await socket.receive_json()
    await socket.send_json({"id": "1", "type": "subscribe", "payload": {"query": document}})


async def _round(sockets: list[aiohttp.ClientWebSocketResponse], telling: Any) -> float:
    """Tell one change; seconds until every socket has heard it."""
    begun = time.monotonic()
    await telling
    for socket in sockets:
        message = await socket.receive(timeout=30)
        if '"errors"' in message.data or '"error"' in message.data:
            raise RuntimeError(message.data)
    return time.monotonic() - begun


async def _raw() -> float:
    """CPU microseconds of one raw send."""
    async with AsyncExitStack() as stack:
        url, process = stack.enter_context(plain())
        client = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        sockets = [await stack.enter_async_context(client.ws_connect(f"{url}/ws")) for _ in range(SUBSCRIBERS)]
        text = "x" * 420

        async def send() -> None:
            async with client.post(f"{url}/send", data=text) as answer:
                await answer.read()

        for _ in range(5):
            await _round(sockets, send())
        cpu = _cpu(process)
        for _ in range(CHANGES):
            await _round(sockets, send())
        return (_cpu(process) - cpu) / CHANGES / SUBSCRIBERS * 1e6


def _change(workspace: int, number: int) -> Change:
    at = datetime.now(UTC)
    delivery = {
        "id": 10**6 + number, "uuid": "0" * 36, "status": "pending", "attempt_count": 0, "max_attempts": 10,
        "created_at": at, "finished_at": None, "next_attempt_at": at, "waiting_for": "queued", "retry_of_id": None,
        "webhook_id": 1, "event_id": 1, "webhook_deleted": False,
    }  # fmt: skip
    event = {"id": 1, "uuid": "0" * 36, "type": "post.published", "occurred_at": at}
    data = {"status": "pending", "occurred_at": at, "delivery": delivery, "event": event, "attempt": None}
    return Change("delivery", workspace, 10**6 + number, 1, Order.NEXT, at, data)


async def _now() -> datetime:
    return datetime.now(UTC)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
