"""An upgrade as it is done: every process is replaced under load, and nobody notices (F4).

`Service` stands in for a cluster's load balancer: new connections go to the newest API, old ones stay where they are.
"""

import asyncio
import signal
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any

import aiohttp
import pytest

from cli.programs import api_answers, try_port
from tests.e2e.client import SUBSCRIPTION, Refused, Unanswered
from tests.e2e.process import Process
from tests.e2e.receivers import Behaviour
from tests.e2e.system import System
from tests.e2e.world import World, entered
from tests.waiting import until

ROUNDS = 10
WORKERS = 2
EVENTS_PER_SECOND = 100
EVENTS_PER_REQUEST = 4
WRITERS = 16
SUBSCRIBERS = 2
# As deploy/kubernetes/api.yaml waits, but shorter: a client that has just connected may yet send its request.
PAUSE_SECONDS = 0.5
RESTARTING = 1012
ONE = "postCreate(input: $new) { post { uuid } errors { message } }"
WRITE = f"mutation($new: PostCreateInput!) {{ {' '.join(f'p{n}: {ONE}' for n in range(EVENTS_PER_REQUEST))} }}"


class Service:
    """Forwards each new connection to the newest API."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Service"]:
        server = await asyncio.start_server(self._forward, "127.0.0.1", 0, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with suppress(OSError):
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
            await asyncio.gather(_pump(reader, back), _pump(there, writer))


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
    with suppress(OSError):
        sink.close()


class Subscriber:
    """Follows every delivery, and resumes from its cursor whenever it is cut off."""

    def __init__(self, url: str, token: str) -> None:
        self.seen: defaultdict[str, list[str]] = defaultdict(list)
        self.cuts: Counter[int] = Counter()
        self._url, self._token = url, token
        self._cursor = "0"

    async def follow(self) -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                with suppress(aiohttp.ClientError):
                    await self._connect(session)
                await asyncio.sleep(0.05)

    async def _connect(self, session: aiohttp.ClientSession) -> None:
        async with session.ws_connect(f"{self._url}/graphql", protocols=["graphql-transport-ws"]) as ws:
            await ws.send_json({"type": "connection_init", "payload": {"authorization": f"Bearer {self._token}"}})
            query = SUBSCRIPTION.replace('after: "0"', f'after: "{self._cursor}"')
            async for message in ws:
                told: dict[str, Any] = message.json()
                if told["type"] == "connection_ack":
                    await ws.send_json({"id": "1", "type": "subscribe", "payload": {"query": query}})
                elif told["type"] == "next":
                    self._take(told["payload"]["data"]["deliveryStatusChanged"])
                else:
                    assert told["type"] in {"ping", "pong"}, told
            self.cuts[ws.close_code or 0] += 1

    def _take(self, change: dict[str, Any]) -> None:
        self._cursor = change["cursor"]
        self.seen[change["delivery"]["uuid"]].append(change["status"])


@pytest.fixture
async def service(system: System) -> AsyncIterator[Service]:
    """During this test, clients reach the system through this."""
    own = system.url
    async with Service(system.port).running() as service:
        system.url = service.url
        try:
            yield service
        finally:
            system.url = own
            # The next test expects workers with shorter timeouts.
            system.kill_workers()
            if service.target != system.port:
                system.api.kill()
                system.api = await system.api_process().launch().ready()


@pytest.fixture
async def world(system: System, service: Service) -> AsyncIterator[World]:
    async with entered(system) as world:
        yield world


@pytest.mark.alone
async def test_everything_is_replaced_ten_times_under_load_and_nobody_notices(world: World, service: Service) -> None:
    system = world.system
    world.lease = 30.0
    await system.with_workers(WORKERS, **told(system))
    # Slow enough that every worker has something in flight when it is told to stop.
    world.receivers.behaviours["/"] = Behaviour(seconds=0.1)
    await world.hook()
    token = world.client._session.headers["Authorization"].removeprefix("Bearer ")
    subscribers = [Subscriber(service.url, token) for _ in range(SUBSCRIBERS)]
    following = [asyncio.create_task(subscriber.follow()) for subscriber in subscribers]
    begun = time.monotonic()
    async with steadily(world):
        for _ in range(ROUNDS):
            await replace_api(system, service)
            # A rollout may do either.
            await asyncio.gather(replace_worker_by_one_that_is_ready(system), replace_worker_at_once(system))
    rate = len(world.acknowledged) / (time.monotonic() - begun)

    tally = await world.keeps_the_rule()
    await until(lambda: all(is_whole(subscriber, tally.accepted) for subscriber in subscribers), what="every change")
    for task in following:
        task.cancel()
    await asyncio.gather(*following, return_exceptions=True)
    print(f"\n{tally.accepted} events, {rate:.0f}/s, over {ROUNDS} replacements of every process")
    assert (tally.delivered, tally.duplicated) == (tally.accepted, 0)
    assert (world.refused, world.unanswered) == (Counter(), 0)
    for row in await world.rows():
        assert (row["attempt_count"], row["interrupted_count"], row["attempt_number"]) == (1, 0, 1)
    for subscriber in subscribers:
        assert subscriber.cuts[RESTARTING] >= ROUNDS, subscriber.cuts
        assert set(map(tuple, subscriber.seen.values())) == {("PENDING", "DELIVERING", "SUCCEEDED")}


@asynccontextmanager
async def steadily(world: World) -> AsyncIterator[None]:
    """Write EVENTS_PER_SECOND while the block lasts; a busy machine that falls behind catches up."""
    stopped = asyncio.Event()
    begun, numbers = time.monotonic(), count()

    async def write() -> None:
        while not stopped.is_set():
            await asyncio.sleep(begun + next(numbers) * EVENTS_PER_REQUEST / EVENTS_PER_SECOND - time.monotonic())
            await write_posts(world)

    writers = [asyncio.create_task(write()) for _ in range(WRITERS)]
    try:
        yield
    finally:
        stopped.set()
        await asyncio.gather(*writers)


async def write_posts(world: World) -> None:
    """Write EVENTS_PER_REQUEST posts with one request, because connections cost this process most."""
    try:
        made = await world.client.ask(WRITE, new={"body": "Hello", "accountIds": [world.account]})
    except Refused as error:
        world.refused[f"{error.status} {error.code}"] += 1
    except Unanswered:
        world.unanswered += 1
    else:
        world.acknowledged |= {payload["post"]["uuid"]: time.time() for payload in made.values()}


def is_whole(subscriber: Subscriber, deliveries: int) -> bool:
    return len(subscriber.seen) == deliveries and all(len(seen) >= 3 for seen in subscriber.seen.values())


async def replace_api(system: System, service: Service) -> None:
    """The new one is ready before the old one stops."""
    port = try_port("127.0.0.1", 0) if service.target == system.port else system.port
    variables = {**system.variables("api"), **told(system), "HOOKLINE_PORT": str(port)}
    old, new = system.api, Process("api", variables, system.folder / "api.log", api_answers("127.0.0.1", port))
    await new.launch().ready()
    service.target, system.api = port, new
    await asyncio.sleep(PAUSE_SECONDS)
    old.send(signal.SIGTERM)
    assert await old.gone() == 0, old.last_lines()


async def replace_worker_by_one_that_is_ready(system: System) -> None:
    old = system.workers.pop(0)
    await system.add_worker(**told(system)).ready()
    old.send(signal.SIGTERM)
    assert await old.gone() == 0, old.last_lines()


async def replace_worker_at_once(system: System) -> None:
    old = system.workers.pop(0)
    old.send(signal.SIGTERM)
    code, _ = await asyncio.gather(old.gone(), system.add_worker(**told(system)).ready())
    assert code == 0, old.last_lines()


def told(system: System) -> dict[str, str]:
    """As in production: no proxy between a process and its servers, and time for slow receivers."""
    return {
        "HOOKLINE_DATABASE_URL": system.postgres.url, "HOOKLINE_REDIS_URL": system.redis.url,
        "HOOKLINE_CONNECT_TIMEOUT": "5", "HOOKLINE_REQUEST_TIMEOUT": "15", "HOOKLINE_LEASE": "30",
        "HOOKLINE_SHUTDOWN_DEADLINE": "20",
    }  # fmt: skip
