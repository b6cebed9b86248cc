"""The engine: claims what there is room for, sends it, and hands the outcomes to the recorder."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from time import monotonic
from typing import Any, TypeVar

import structlog

from domain import deliveries
from domain.assignments import assignment_of
from domain.deliveries import Room
from domain.errors import Unavailable
from domain.outcome import Failed, Outcome
from domain.queue import Owed
from domain.request import OutgoingRequest, build
from domain.tasks import end
from domain.unit import Domain
from domain.vault import CannotOpen
from domain.vocabulary import AttemptOutcome, HttpMethod
from workers import metrics
from workers.lanes import Lanes
from workers.recorder import Recorder

# Freed places are gathered for a moment, so that one claim fills many.
GATHER_SECONDS = 0.002
AWAY_SECONDS = 0.5

Row = Mapping[str, Any]
T = TypeVar("T")
log = structlog.get_logger(__name__)


class Engine:
    """One worker's deliveries. Use as `async with engine.running():`; leaving waits for what is in flight."""

    def __init__(self, domain: Domain) -> None:
        settings = domain.settings
        self._domain = domain
        self._lease = settings.lease
        self._recorder = Recorder(domain)
        self._in_flight: set[asyncio.Task[Any]] = set()
        self._filling: asyncio.Task[None]
        self._closing = False
        self.lanes = Lanes(settings.worker_concurrency, settings.endpoint_concurrency)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Engine"]:
        """Fills freed places for as long as the block lasts; then finishes what is in flight, within the deadline."""
        async with self._recorder.running():
            self._filling = asyncio.create_task(self._fill_forever(), name="engine")
            try:
                yield self
            finally:
                await self.stop()

    async def stop(self) -> None:
        """Begin nothing more, and wait for what is in flight. What is not done by the deadline is left to its lease."""
        self._closing = True
        await end(self._filling)
        deadline = monotonic() + self._domain.settings.shutdown_deadline.total_seconds()
        # A claim that ends begins attempts, so there may be more to wait for.
        while self._in_flight and monotonic() < deadline:
            await asyncio.wait(set(self._in_flight), timeout=deadline - monotonic())
        await end(*self._in_flight)

    async def deliver(self, owed: Sequence[Owed]) -> None:
        """Make one attempt of each of these that is still owed and gets a place; the others stay in the database."""
        admitted = self.lanes.admit(owed) if not self._closing else []
        if admitted:
            claiming = deliveries.claim([item.delivery_id for item in admitted], self._lease)
            await self._begin(claiming, [Room(item.webhook_id, 1) for item in admitted], by="hint")

    async def probe(self, webhooks: Sequence[tuple[int, int]]) -> None:
        """Send one delivery to each of these endpoints, whose circuits are open, to see whether they are back."""
        rooms = self.lanes.seat_probes(webhooks) if not self._closing else []
        if rooms:
            await self._begin(deliveries.claim_for(rooms, self._lease), rooms, by="probe")

    async def _fill_forever(self) -> None:
        while True:
            await self.lanes.room_for_hungry.wait()
            await asyncio.sleep(GATHER_SECONDS)
            self.lanes.room_for_hungry.clear()
            try:
                await self._fill()
            except Unavailable:
                await asyncio.sleep(AWAY_SECONDS)
            except Exception:
                # Nothing else fills this worker's places, so this loop survives every error.
                log.exception("engine.fill_broke")
                await asyncio.sleep(AWAY_SECONDS)

    async def _fill(self) -> None:
        """Fill the free places with what is due for the hungry webhooks."""
        rooms = self.lanes.seat_hungry()
        if not rooms:
            return
        claimed = await self._begin(deliveries.claim_for(rooms, self._lease), rooms, by="database")
        got = Counter(row["webhook_id"] for row in claimed)
        for room in rooms:
            if got[room.webhook_id] < room.places:
                self.lanes.sated(room.webhook_id)

    async def _begin(self, claiming: Awaitable[Sequence[Row]], rooms: Sequence[Room], by: str) -> Sequence[Row]:
        """Start an attempt for each row that the claim yields, and give back the places that it leaves empty."""
        # The caller may be cancelled, as when the worker stops. The claim must not be: nothing would send its rows.
        return await asyncio.shield(self._spawn(self._claim(claiming, rooms, by)))

    async def _claim(self, claiming: Awaitable[Sequence[Row]], rooms: Sequence[Room], by: str) -> Sequence[Row]:
        claimed: Sequence[Row] = []
        try:
            claimed = await claiming
        finally:
            self._give_back(rooms, claimed)
        metrics.CLAIMED.labels(by).inc(len(claimed))
        self._domain.outlet.announce(deliveries.begun(claimed))
        for row in claimed:
            self._spawn(self._attempt(row))
        return claimed

    def _give_back(self, rooms: Sequence[Room], claimed: Sequence[Row]) -> None:
        """Give back the places that the claim did not fill."""
        empty = Counter(room.webhook_id for room in rooms for _ in range(room.places))
        for row in claimed:
            if empty[row["webhook_id"]]:
                empty[row["webhook_id"]] -= 1
            else:
                # The hint named another webhook than the delivery's: a stranger wrote it.
                self.lanes.squeeze_in(row["webhook_id"], row["workspace_id"])
        for webhook_id, places in empty.items():
            if places:
                self.lanes.release(webhook_id, places)

    def _spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._in_flight.add(task)
        task.add_done_callback(self._in_flight.discard)
        return task

    async def _attempt(self, claimed: Row) -> None:
        """One attempt: send, and hand the outcome to the recorder."""
        webhook_id = claimed["webhook_id"]
        try:
            request, outcome = await self._send(claimed)
        except Exception:
            # Our fault, not the receiver's. When the lease runs out, the attempt is logged as interrupted. Only so many
            # interruptions are allowed, so the delivery ends.
            log.exception("attempt.broke", delivery=str(claimed["uuid"]))
        else:
            self.lanes.learn(webhook_id, outcome.kind)
            self._recorder.add(claimed, request, outcome)
        finally:
            self.lanes.release(webhook_id)

    async def _send(self, claimed: Row) -> tuple[OutgoingRequest, Outcome]:
        try:
            # By the database's clock: receivers refuse a time that is minutes off, and each refusal costs an attempt.
            request = build(assignment_of(self._domain.vault, claimed), claimed["claimed_at"])
        except CannotOpen:
            log.error("attempt.cannot_open", delivery=str(claimed["uuid"]), webhook=claimed["webhook_id"])
            return _unsent(claimed, "Nothing was sent: Hookline could not open the secrets of this webhook.")
        return request, await self._domain.sender.send(request)


def _unsent(claimed: Row, sentence: str) -> tuple[OutgoingRequest, Outcome]:
    """An attempt that this machine could not even begin; it does not count toward the delivery's attempts."""
    request = OutgoingRequest(claimed["callback_url"], HttpMethod(claimed["method"]), (), b"")
    return request, Failed(AttemptOutcome.INTERRUPTED, sentence, timedelta(0))
