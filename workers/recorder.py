"""The recorder: writes outcomes in groups, and announces what follows from them."""

import asyncio
import random
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

import structlog

from domain import deliveries, health, owed
from domain.deliveries import Recorded
from domain.errors import Unavailable
from domain.health import Health, Sign
from domain.live import Change
from domain.logs import Lines
from domain.outcome import Outcome
from domain.queue import Owed
from domain.request import OutgoingRequest
from domain.tasks import end
from domain.unit import Domain
from domain.verdicts import Result, result_of
from domain.vocabulary import DeliveryStatus
from workers import metrics

# How long outcomes are gathered, and how many go into one statement.
WINDOW_SECONDS = 0.005
MOST_AT_ONCE = 200
# How soon to try again while PostgreSQL is away. A result is worth keeping as long as its lease.
AGAIN_SECONDS = 0.25
# A stopping worker waits no longer than this for a PostgreSQL that is away: what is not recorded is sent again.
CLOSE_SECONDS = 3

Row = Mapping[str, Any]
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Ended:
    """An attempt that has ended."""

    claimed: Row
    request: OutgoingRequest
    outcome: Outcome


class Recorder:
    """Records outcomes of attempts. Use as `async with recorder.running():`; leaving records the rest, if it can."""

    def __init__(self, domain: Domain) -> None:
        self._domain = domain
        self._lines = Lines(domain.settings, "attempt")
        self._ended: list[Ended] = []
        self._filled = asyncio.Event()
        self._groups: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Recorder"]:
        """Records for as long as the block lasts, and the rest at its end."""
        task = asyncio.create_task(self._record_forever(), name="recorder")
        try:
            yield self
        finally:
            await end(task)
            self._start_groups()
            if self._groups:
                await asyncio.wait(self._groups, timeout=CLOSE_SECONDS)
            await end(*self._groups)

    def add(self, claimed: Row, request: OutgoingRequest, outcome: Outcome) -> None:
        """Take the outcome of one attempt; it is written within a few milliseconds."""
        self._ended.append(Ended(claimed, request, outcome))
        self._filled.set()

    async def _record_forever(self) -> None:
        while True:
            await self._filled.wait()
            await asyncio.sleep(WINDOW_SECONDS)
            self._start_groups()

    def _start_groups(self) -> None:
        self._filled.clear()
        ended, self._ended = self._ended, []
        for start in range(0, len(ended), MOST_AT_ONCE):
            task = asyncio.create_task(self._record(ended[start : start + MOST_AT_ONCE]))
            self._groups.add(task)
            task.add_done_callback(self._groups.discard)

    async def _record(self, group: Sequence[Ended]) -> None:
        """Write one group; try again while PostgreSQL is away and the leases last."""
        give_up = monotonic() + self._domain.settings.lease.total_seconds()
        while True:
            try:
                await self._write(group)
            except Unavailable:
                if monotonic() > give_up:
                    log.warning("recorder.gave_up", attempts=len(group))
                    return
                await asyncio.sleep(AGAIN_SECONDS)
            except Exception:
                log.exception("recorder.broke", attempts=len(group))
                await self._record_singly(group)
                return
            else:
                return

    async def _record_singly(self, group: Sequence[Ended]) -> None:
        """Write each result alone: one that PostgreSQL refuses must not cause the others to be sent again."""
        if len(group) > 1:
            for ended in group:
                await self._record([ended])

    async def _write(self, group: Sequence[Ended]) -> None:
        results = [result_of(each.claimed, each.request, each.outcome, random.random()) for each in group]  # noqa: S311
        recorded = await deliveries.record(results)
        states = await self._health_after(recorded, group)
        moved = await self._made_due_elsewhere(recorded, states)
        changes = deliveries.ended([_with_health(each, states, moved) for each in recorded])
        self._domain.outlet.announce(changes)
        self._hint_at_retries(changes)
        _tell(states)
        metrics.count_attempts(results, recorded)
        self._note(results)

    async def _health_after(self, recorded: Sequence[Recorded], group: Sequence[Ended]) -> dict[int, Health]:
        """Note what the attempts that count say about their endpoints; returns the states it touched, by webhook."""
        outcomes = {_key(each.claimed): each.outcome for each in group}
        signs = [_sign(each, outcomes[_key(each.result.claimed)]) for each in recorded]
        try:
            return await health.note(signs, self._domain.settings.failing_limit)
        except Exception as error:
            # The attempts are recorded and must still be announced. The next ones will say the same of their endpoints.
            if not isinstance(error, Unavailable):
                log.exception("recorder.health_broke")
            return {}

    async def _made_due_elsewhere(self, recorded: Sequence[Recorded], states: Mapping[int, Health]) -> set[int]:
        """Make due now the deliveries whose webhook got another URL while their attempt was recorded; returns them.

        The change of the URL did not see that they wait, and recording them did not see the new URL. But noting the
        endpoint's health waited for that change and then found no webhook with the old URL, so `states` lacks it.
        """
        late = {
            each.now["id"]: each.result.claimed["callback_url"]
            for each in recorded
            if each.now["status"] == DeliveryStatus.RETRYING and each.result.claimed["webhook_id"] not in states
        }
        with suppress(Unavailable):
            return await owed.make_due_elsewhere(late) if late else set()
        return set()

    def _note(self, results: Sequence[Result]) -> None:
        if self._lines.wanted:
            self._lines.write(map(_line, results))
        if self._domain.tracer.enabled:
            self._domain.tracer.attempts(results)

    def _hint_at_retries(self, changes: Sequence[Change]) -> None:
        for change in changes:
            delivery = change.data["delivery"]
            # While its webhook is switched off, a delivery has no time for its next attempt.
            if change.data["status"] is DeliveryStatus.RETRYING and delivery["next_attempt_at"]:
                hint = Owed(change.subject_id, delivery["webhook_id"], change.workspace_id)
                self._domain.outlet.deliver([hint], at=delivery["next_attempt_at"])


def _line(result: Result) -> dict[str, Any]:
    """What one line of the log says about an attempt. The URL is left out: people put keys into URLs."""
    claimed = result.claimed
    return {
        "delivery": str(claimed["uuid"]),
        "webhook": claimed["webhook_id"],
        "workspace": claimed["workspace_id"],
        "type": claimed["event_type"],
        "attempt": claimed["attempt_number"],
        "outcome": result.outcome,
        "response_status": result.response_status,
        "milliseconds": result.duration_ms,
        "late_milliseconds": int((claimed["claimed_at"] - claimed["due_at"]).total_seconds() * 1000),
        "status": result.status,
        "error": result.error,
        "trace": claimed["trace"],
    }


def _key(claimed: Row) -> tuple[int, int]:
    return claimed["id"], claimed["attempt_number"]


def _sign(recorded: Recorded, outcome: Outcome) -> Sign:
    claimed, now = recorded.result.claimed, recorded.now
    return Sign(
        webhook_id=claimed["webhook_id"],
        callback_url=claimed["callback_url"],
        outcome=outcome,
        probed=claimed["is_probe"],
        was_failing=now["failing_since"] is not None or now["circuit_open_until"] is not None,
    )


def _with_health(recorded: Recorded, states: Mapping[int, Health], moved: Collection[int]) -> Recorded:
    now = recorded.now
    if now["id"] in moved:
        return replace(recorded, now={**now, "due_at": now["recorded_at"]})
    state = states.get(recorded.result.claimed["webhook_id"])
    if state is None:
        return recorded
    return replace(recorded, now={**now, "active": state.active, "circuit_open_until": state.circuit_open_until})


def _tell(states: Mapping[int, Health]) -> None:
    for state in states.values():
        if state.was_disabled:
            reason = str(state.disabled_reason)
            metrics.WEBHOOKS_DISABLED.labels(reason).inc()
            log.warning("webhook.disabled", webhook=state.webhook_id, workspace=state.workspace_id, reason=reason)
        if state.was_opened:
            metrics.CIRCUITS_OPENED.inc()
            log.warning("webhook.circuit_opened", webhook=state.webhook_id, workspace=state.workspace_id)
