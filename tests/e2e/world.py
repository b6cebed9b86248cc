"""One test's world: a workspace, its client and receivers, what was acknowledged to it, and the rule it must keep."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import uuid4

import asyncpg

from tests.e2e.client import Client, Refused, Unanswered, calling
from tests.e2e.receivers import Arrival, Receivers, receiving
from tests.e2e.system import LEASE, System, connect
from tests.e2e.tally import Tally, Window, copies, lost

# docs/reliability.md: nothing stays DELIVERING longer than the lease and this.
GRACE_SECONDS = 5.0
WATCH_SECONDS = 0.3
DONE_SECONDS = 60.0


@dataclass
class World:
    """What a test works with."""

    system: System
    workspace: int
    client: Client
    receivers: Receivers
    account: str
    hooks: int = 0
    # In seconds, as the workers' settings say.
    lease: float = LEASE
    # Posts whose creation was acknowledged, and when.
    acknowledged: dict[str, float] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    unanswered: int = 0
    faults: list[Window] = field(default_factory=list)
    outages: list[Window] = field(default_factory=list)
    stuck: set[str] = field(default_factory=set)

    # ------------------------------------------------------------ doing

    async def hook(self, path: str = "/", **more: Any) -> str:
        """A webhook that listens to posts; returns its id."""
        made = await self.client.webhook(self.receivers.url(path), **more)
        self.hooks += 1
        return made

    async def post(self, **more: Any) -> str:
        """Write a post and note that it was acknowledged. Raises Refused or Unanswered."""
        made = await self.client.post(self.account, **more)
        self.acknowledged[made["uuid"]] = time.time()
        return str(made["uuid"])

    async def try_post(self) -> bool:
        """Write a post; returns False and counts it if it is not acknowledged."""
        try:
            await self.post()
        except Refused as error:
            self.refused[f"{error.status} {error.code}"] += 1
            return False
        except Unanswered:
            self.unanswered += 1
            return False
        return True

    async def posts(self, count: int) -> None:
        """Write this many at once, each again if a busy machine is not done with it in time."""
        await asyncio.gather(*(self._surely_post(uuid4().hex) for _ in range(count)))

    async def _surely_post(self, key: str) -> None:
        while True:
            try:
                await self.post(idempotencyKey=key)
            except Refused as error:
                if error.status != 503:
                    raise
                await asyncio.sleep(0.2)
            else:
                return

    @asynccontextmanager
    async def load(self, per_second: float = 25) -> AsyncIterator[None]:
        """Write posts while the block lasts, whatever happens to them."""
        stopped = asyncio.Event()

        async def write() -> None:
            while not stopped.is_set():
                pause = random.expovariate(per_second / 4)
                if not await self.try_post():
                    pause += 0.1
                with suppress(TimeoutError):
                    await asyncio.wait_for(stopped.wait(), pause)

        writers = [asyncio.create_task(write()) for _ in range(4)]
        try:
            yield
        finally:
            stopped.set()
            await asyncio.gather(*writers)

    async def written(self, more: int, seconds: float = 60) -> None:
        """Wait until this many more posts were acknowledged."""
        goal = len(self.acknowledged) + more
        end = time.monotonic() + seconds
        while len(self.acknowledged) < goal:
            assert time.monotonic() < end, f"only {len(self.acknowledged)} of {goal} acknowledged"
            await asyncio.sleep(0.02)

    @contextmanager
    def fault(self, *, outage: bool = False) -> Iterator[Window]:
        """Attempts that are open while the block lasts may be sent twice; see `Tally.unexplained`.

        `outage`: no attempt can be ended meanwhile, because there is no worker or no database.
        """
        window = Window(time.time())
        self.faults.append(window)
        if outage:
            self.outages.append(window)
        try:
            yield window
        finally:
            window.end = time.time()

    async def hurry(self) -> None:
        """Make every retry due now."""
        await self.system.sql("UPDATE delivery SET due_at = now() WHERE status = 'retrying' AND due_at > now()")

    # ------------------------------------------------------------ judging

    async def rows(self) -> list[Any]:
        """The deliveries of this workspace."""
        return await self.system.sql(_DELIVERIES, self.workspace)

    async def finished(self, seconds: float = DONE_SECONDS) -> None:
        """Wait until every delivery has ended."""
        end = time.monotonic() + seconds
        while left := await self.system.sql(_UNFINISHED, self.workspace):
            assert time.monotonic() < end, f"{len(left)} unfinished after {seconds:g} s, as {left[0]}"
            await asyncio.sleep(0.05)

    async def tally(self) -> Tally:
        """Compare what was acknowledged with the database, and the database with what the receivers saw."""
        rows = await self.rows()
        arrivals: dict[str, list[Arrival]] = {}
        for arrival in self.receivers.arrivals:
            arrivals.setdefault(arrival.delivery, []).append(arrival)
        attempts: dict[tuple[str, int], Any] = {}
        for attempt in await self.system.sql(_ATTEMPTS, self.workspace):
            attempts[str(attempt["uuid"]), attempt["number"]] = attempt
        counts = Counter(row["status"] for row in rows)
        duplicated, unexplained = 0, []
        for delivery, came in arrivals.items():
            again, without = copies(delivery, came, attempts, self.faults)
            duplicated += again
            unexplained += without
        return Tally(
            accepted=len(self.acknowledged),
            delivered=counts["succeeded"],
            failed=counts["failed"],
            cancelled=counts["cancelled"],
            waiting=counts["pending"] + counts["retrying"] + counts["delivering"],
            lost=tuple(lost(self.acknowledged, self.hooks, rows, arrivals)),
            duplicated=duplicated,
            unexplained=tuple(unexplained),
        )

    async def keeps_the_rule(self, *, finished: bool = True) -> Tally:
        """Check the rule of docs/reliability.md for every fault. Returns the tally, or raises AssertionError."""
        await self.system.healthy()
        if finished:
            await self.finished()
        tally = await self.tally()
        assert not tally.lost, tally.lost
        assert not tally.unexplained, tally.unexplained
        assert not self.stuck, f"DELIVERING for longer than the lease and {GRACE_SECONDS:g} s: {self.stuck}"
        if tally.waiting:
            await self._waits_with_a_reason()
        return tally

    async def _waits_with_a_reason(self) -> None:
        found = await self.client.ask(
            "{ deliveries(first: 100, filter: {statuses: [PENDING, RETRYING]}) { nodes { uuid waitingFor } } }"
        )
        for node in found["deliveries"]["nodes"]:
            assert node["waitingFor"], node

    async def watch(self) -> None:
        """Look for deliveries that stay DELIVERING, until cancelled."""
        while True:
            with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await self._watch_once_connected()
            await asyncio.sleep(WATCH_SECONDS)

    async def _watch_once_connected(self) -> None:
        connection = await connect(self.system.settings())
        try:
            while True:
                for row in await connection.fetch(_DELIVERING, timedelta(seconds=self.lease + GRACE_SECONDS)):
                    self._note_stuck(row)
                await asyncio.sleep(WATCH_SECONDS)
        finally:
            with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                connection.terminate()

    def _note_stuck(self, row: Any) -> None:
        now = row["now"].timestamp()
        ends = [min(window.end, now) for window in self.outages]
        since = max([row["claimed_at"].timestamp(), *ends])
        if now - since > self.lease + GRACE_SECONDS:
            self.stuck.add(f"{row['uuid']} for {now - since:.1f} s")


@asynccontextmanager
async def entered(system: System) -> AsyncIterator[World]:
    """A new workspace with an account, watched while the block lasts."""
    workspace, token = await system.new_workspace()
    async with receiving() as receivers, calling(system.url, token) as client:
        world = World(system, workspace, client, receivers, (await client.account())["id"])
        watching = asyncio.create_task(world.watch())
        try:
            yield world
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)


_DELIVERIES = """
SELECT d.uuid, d.status, d.webhook_id, d.attempt_count, d.interrupted_count, d.attempt_number, d.due_at,
    e.document::json -> 'data' ->> 'uuid' AS subject
FROM delivery d JOIN event e ON e.id = d.event_id WHERE d.workspace_id = $1 ORDER BY d.id
"""
_UNFINISHED = """
SELECT uuid, status, attempt_number, due_at, leased_until, now() FROM delivery
WHERE workspace_id = $1 AND finished_at IS NULL
"""
_ATTEMPTS = """
SELECT d.uuid, a.number, a.outcome, a.started_at, a.duration_ms
FROM attempt a JOIN delivery d ON d.id = a.delivery_id WHERE d.workspace_id = $1
"""
_DELIVERING = """
SELECT uuid, claimed_at, now() AS now FROM delivery
WHERE finished_at IS NULL AND status = 'delivering' AND claimed_at < now() - $1::interval
"""
