"""Everything that can be broken at random: servers, names, receivers and processes."""

import asyncio
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from redis.asyncio import Redis

from domain.queue import QUEUE_NAME
from tests.domain.name_server import NameServer
from tests.e2e.process import Process
from tests.e2e.receivers import Behaviour
from tests.e2e.system import LEASE, SHIFTED, SHUTDOWN, System, kill_server, start_again
from tests.e2e.test_postgres import take_all_connections
from tests.e2e.world import World

WORKERS = 3
NAMES = {"steady": "127.0.0.1", "fails": "fails.example.org", "hangs": "127.0.0.1"}

Fault = Callable[[], Awaitable[None]]


class Chaos:
    """Everything that can be broken, one method each."""

    def __init__(self, system: System, world: World, names: NameServer, dice: random.Random) -> None:
        self.system = system
        self.world = world
        self.names = names
        self.dice = dice
        self.done: Counter[str] = Counter()
        self.of_servers: Sequence[Fault] = (
            self.redis_dies, self.redis_forgets, self.redis_is_silent, self.redis_is_full, self.redis_has_junk,
            self.postgres_crashes, self.postgres_is_unreachable, self.postgres_is_silent, self.postgres_is_crowded,
            self.names_are_silent, self.names_fail, self.receivers_fail, self.receivers_hang,
        )  # fmt: skip
        self.of_processes: Sequence[Fault] = (
            self.worker_killed, self.all_workers_killed, self.worker_told_to_stop, self.worker_frozen,
            self.worker_with_a_wrong_clock, self.api_killed, self.api_killed_before_a_commit,
            self.api_killed_before_it_enqueued,
        )  # fmt: skip

    async def go_on(self, faults: Sequence[Fault], until: float) -> None:
        """One fault after another; each kind comes once before any comes again."""
        while True:
            for fault in self.dice.sample(faults, len(faults)):
                if time.monotonic() > until:
                    return
                name = getattr(fault, "__name__", "fault").replace("_", " ")
                print(f"{time.strftime('%H:%M:%S')}  {name}", flush=True)
                self.done[name] += 1
                await fault()
                await asyncio.sleep(self.dice.uniform(0.2, 1.5))

    async def _for_a_while(self, most: float = 5.0) -> None:
        await asyncio.sleep(self.dice.uniform(0.5, most))

    # ------------------------------------------------------------ servers

    async def redis_dies(self) -> None:
        kill_server(self.system.redis, signal.SIGKILL)
        await self._for_a_while(8)
        start_again(self.system.redis)

    async def redis_forgets(self) -> None:
        async with Redis.from_url(self.system.redis.url) as redis:
            await redis.flushall()

    async def redis_is_silent(self) -> None:
        await self._ways("redis", "silent")

    async def redis_is_full(self) -> None:
        async with Redis.from_url(self.system.redis.url) as redis:
            await redis.config_set("maxmemory", 1)
            await self._for_a_while()
            await redis.config_set("maxmemory", 0)

    async def redis_has_junk(self) -> None:
        async with Redis.from_url(self.system.redis.url) as redis:
            await redis.set("arq:job:junk", b"\x80junk")
            # One id has a broken job, the other is not even text.
            await redis.zadd(QUEUE_NAME, dict.fromkeys(("junk", b"\xff\xfe"), time.time() * 1000))

    async def postgres_crashes(self) -> None:
        with self.world.fault(outage=True):
            kill_server(self.system.postgres, signal.SIGQUIT)
            start_again(self.system.postgres)
            await self._for_a_while(1)

    async def postgres_is_unreachable(self) -> None:
        with self.world.fault(outage=True):
            await self._ways("postgres", "refuse")

    async def postgres_is_silent(self) -> None:
        with self.world.fault(outage=True):
            await self._ways("postgres", "silent")

    async def postgres_is_crowded(self) -> None:
        with self.world.fault(outage=True), suppress(AssertionError):
            taken = await take_all_connections(self.system)
            await self._for_a_while()
            for connection in taken:
                connection.terminate()

    async def _ways(self, server: str, mode: str) -> None:
        for who in ("api", "worker"):
            self.system.proxies.tell(f"{who}.{server}", mode)
        await self._for_a_while(8)
        for who in ("api", "worker"):
            self.system.proxies.tell(f"{who}.{server}", "pass")

    # ------------------------------------------------------------ receivers

    async def names_are_silent(self) -> None:
        await self._name_fails(self.names.silent)

    async def names_fail(self) -> None:
        await self._name_fails(self.names.broken)

    async def _name_fails(self, faulty: set[str]) -> None:
        faulty.add(NAMES["fails"])
        await self._for_a_while(8)
        faulty.clear()

    async def receivers_fail(self) -> None:
        self.world.receivers.behaviours["/fails"] = Behaviour(status=500)
        await self._for_a_while(8)
        self.world.receivers.behaviours["/fails"] = Behaviour()

    async def receivers_hang(self) -> None:
        answers = asyncio.Event()
        self.world.receivers.behaviours["/hangs"] = Behaviour(until=answers)
        await self._for_a_while(8)
        self.world.receivers.behaviours["/hangs"] = Behaviour()
        answers.set()

    # ------------------------------------------------------------ processes

    async def worker_killed(self) -> None:
        worker = self._any_worker()
        with self.world.fault():
            worker.kill()
        self._start_workers()

    async def all_workers_killed(self) -> None:
        with self.world.fault(outage=True):
            self.system.kill_workers()
            self._start_workers()
            await asyncio.gather(*(worker.ready() for worker in self.system.workers))

    async def worker_told_to_stop(self) -> None:
        worker = self._any_worker()
        worker.send(signal.SIGTERM)
        try:
            await worker.gone(SHUTDOWN + 10)
        except AssertionError:
            # It may be trying to record while PostgreSQL is away: its attempts are then as open as after a kill.
            with self.world.fault():
                worker.kill()
        self._start_workers()

    async def worker_frozen(self) -> None:
        worker = self._any_worker()
        with self.world.fault():
            worker.send(signal.SIGSTOP)
        await asyncio.sleep(LEASE + self.dice.uniform(0, 3))
        worker.send(signal.SIGCONT)
        self.system.workers.append(worker)

    async def worker_with_a_wrong_clock(self) -> None:
        worker = self._any_worker()
        with self.world.fault():
            worker.kill()
        self._start_workers(TEST_CLOCK_AHEAD=str(self.dice.choice([3600, -3600])))

    async def api_killed(self) -> None:
        self.system.api.kill()
        await self.system.api.launch().ready()

    async def api_killed_before_a_commit(self) -> None:
        await self._api_killed_holding("api.postgres", "COMMIT")

    async def api_killed_before_it_enqueued(self) -> None:
        await self._api_killed_holding("api.redis", "arq:job")

    async def _api_killed_holding(self, way: str, word: str) -> None:
        self.system.proxies.tell(way, "hold", word)
        end = time.monotonic() + 5
        while not self.system.proxies.tell(way, "ask") and time.monotonic() < end:
            await asyncio.sleep(0.02)
        self.system.api.kill()
        self.system.proxies.tell(way, "pass")
        await self.system.api.launch().ready()

    def _any_worker(self) -> Process:
        return self.system.workers.pop(self.dice.randrange(len(self.system.workers)))

    def _start_workers(self, **variables: str) -> None:
        self.system.workers = [worker for worker in self.system.workers if worker.is_running]
        while len(self.system.workers) < WORKERS:
            told = {"PYTHONPATH": str(SHIFTED), "TEST_NAMESERVERS": self.names.address}
            self.system.add_worker(**told, **variables)
