"""Three deliveries and their workers as a machine, for Hypothesis to drive on a real database.

Time passes by moving every time in the database into the past. A worker either ends its attempt within the deadline,
dies, or freezes and records much too late.
"""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from domain import database, deliveries, unit, workspaces
from domain.database import rows
from domain.errors import Refused
from domain.outcome import Answer, Delivered, Failed, Outcome
from domain.request import OutgoingRequest
from domain.settings import Settings
from domain.unit import Actor, Domain
from domain.verdicts import MOST_INTERRUPTIONS, result_of
from domain.vocabulary import AttemptOutcome, DeliveryStatus, HttpMethod, Role
from tests.domain.doing import happen, listen

DEADLINE = 15.0
LEASE = 20.0
MAX_ATTEMPTS = 4
WAITS = (5.0, 300.0, 1800.0)
SENT = OutgoingRequest("https://example.com/in", HttpMethod.POST, (), b"{}")
TOOK = timedelta(milliseconds=10)
OUTCOMES: dict[str, Outcome] = {
    "well": Delivered(Answer(200, (), "", False), TOOK),
    "ill": Failed(AttemptOutcome.HTTP_ERROR, "no", TOOK, Answer(500, (), "", False)),
    "gone": Failed(AttemptOutcome.HTTP_ERROR, "gone", TOOK, Answer(410, (), "", False), gone=True),
    "late": Failed(AttemptOutcome.TIMED_OUT, "late", TOOK),
}
WAITING = (DeliveryStatus.PENDING, DeliveryStatus.RETRYING)

T = TypeVar("T")


@dataclass
class Attempt:
    """A request that some worker has in its hands."""

    row: Any
    began: float
    # Whether its worker will still end it within the deadline.
    alive: bool = True


@dataclass
class Model:
    """What a delivery must look like."""

    status: DeliveryStatus = DeliveryStatus.PENDING
    counted: int = 0
    interrupted: int = 0
    number: int = 0
    # Outcomes in the log, by number.
    log: dict[int, str] = field(default_factory=dict)
    in_hands: list[Attempt] = field(default_factory=list)


class Deliveries(RuleBasedStateMachine):
    """Three deliveries of one webhook, and any number of workers."""

    database: Settings
    lease = LEASE

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.opened = unit.opened(self.database)
        self.domain: Domain = self.do(self.opened.__aenter__())
        self.began = monotonic()
        # How many seconds every time in the database was moved back.
        self.passed = 0.0
        self.models: dict[int, Model] = {}

    @property
    def clock(self) -> float:
        """The time in the database, in seconds; what the test itself takes counts, too."""
        return self.passed + monotonic() - self.began

    def do(self, what: Awaitable[T]) -> T:
        async def wait() -> T:
            return await what

        return self.runner.run(wait())

    def teardown(self) -> None:
        self.do(self.opened.__aexit__(None, None, None))
        self.runner.close()

    @initialize()
    def owe(self) -> None:
        async def make() -> list[Any]:
            self.actor = Actor(await workspaces.create(str(uuid4())), None, Role.ADMIN)
            await listen(self.domain, self.actor, max_attempts=MAX_ATTEMPTS)
            for _ in range(3):
                await happen(self.domain, self.actor)
            return list(await rows("SELECT id FROM delivery WHERE workspace_id = $1", self.actor.workspace.id))

        self.models = {row["id"]: Model() for row in self.do(make())}

    # ------------------------------------------------------------ what may happen

    @rule()
    def claim(self) -> None:
        before, began = self.read("d.due_at <= clock_timestamp()"), self.clock
        claimed = self.do(deliveries.claim(list(self.models), timedelta(seconds=self.lease)))
        after = self.read("d.due_at <= clock_timestamp() OR status = 'delivering' AND due_at <= claimed_at")
        got = {row["id"]: row for row in claimed}
        for id_, model in self.models.items():
            wanted = model.status in WAITING
            assert id_ in got or not (wanted and before[id_]["it"]), "something due was not claimed"
            if id_ not in got:
                continue
            assert wanted, f"claimed while {model.status}"
            assert after[id_]["it"], "claimed before it was due"
            assert not [one for one in model.in_hands if self.is_under_way(one)], "sent while it was being sent"
            model.status = DeliveryStatus.DELIVERING
            model.number += 1
            model.in_hands.append(Attempt(got[id_], began))

    @rule(which=st.integers(0, 2), outcome=st.sampled_from(sorted(OUTCOMES)))
    def record(self, which: int, outcome: str) -> None:
        model = list(self.models.values())[which]
        if model.in_hands:
            self.end(model, model.in_hands[0], OUTCOMES[outcome])

    @rule(which=st.integers(0, 2))
    def die(self, which: int) -> None:
        hands = list(self.models.values())[which].in_hands
        if hands and hands[-1].alive:
            hands.pop()

    @rule(which=st.integers(0, 2))
    def freeze(self, which: int) -> None:
        """A worker sleeps past its lease while it holds an attempt; what it records afterwards comes too late."""
        hands = list(self.models.values())[which].in_hands
        if hands:
            hands[-1].alive = False
            self.wait(LEASE + 1)
            self.interrupt()

    @rule(which=st.integers(0, 2))
    def cancel(self, which: int) -> None:
        id_, model = list(self.models.items())[which]

        async def try_to() -> None:
            async with self.domain.unit(self.actor) as opened:
                await deliveries.cancel(opened, id_)

        if model.status in WAITING:
            self.do(try_to())
            model.status = DeliveryStatus.CANCELLED
        else:
            with pytest.raises(Refused):
                self.do(try_to())

    @rule()
    def interrupt(self) -> None:
        before = self.read("status = 'delivering' AND leased_until < clock_timestamp()")
        self.do(deliveries.Watch().interrupt_expired(100))
        now = self.read("true")
        for id_, model in self.models.items():
            if model.status is not DeliveryStatus.DELIVERING or now[id_]["status"] == "delivering":
                assert not before[id_]["it"], "an attempt whose lease ran out was left"
                continue
            assert not [one for one in model.in_hands if self.is_under_way(one)], "interrupted while being sent"
            model.interrupted += 1
            model.log[model.number] = "interrupted"
            over = model.interrupted >= MOST_INTERRUPTIONS
            model.status = DeliveryStatus.FAILED if over else DeliveryStatus.RETRYING

    @rule(seconds=st.sampled_from([1.0, 7.0, 14.0, 25.0, 400.0, 2500.0]))
    def wait(self, seconds: float) -> None:
        """Time passes; workers that are alive end their attempts within the deadline."""
        for model in self.models.values():
            for attempt in list(model.in_hands):
                if attempt.alive and self.clock + seconds - attempt.began > DEADLINE:
                    # At the last moment of its deadline.
                    self.end(model, attempt, OUTCOMES["late"], at=attempt.began + DEADLINE)
        self.do(rows(_PASS_DELIVERIES, self.actor.workspace.id, timedelta(seconds=seconds)))
        self.do(rows(_PASS_UNSETTLED, list(self.models), timedelta(seconds=seconds)))
        self.passed += seconds

    # ------------------------------------------------------------ what must hold

    @invariant()
    def the_database_is_as_it_must_be(self) -> None:
        if not self.models:
            return
        found = self.read("true")
        logged: dict[int, dict[int, str]] = {id_: {} for id_ in self.models}
        for row in self.do(rows(_LOG, list(self.models))):
            logged[row["delivery_id"]][row["number"]] = row["outcome"]
        for id_, model in self.models.items():
            row = found[id_]
            assert row["status"] == model.status
            assert (row["attempt_count"], row["interrupted_count"]) == (model.counted, model.interrupted)
            assert logged[id_] == model.log

    def end(self, model: Model, attempt: Attempt, outcome: Outcome, at: float | None = None) -> None:
        """A worker records the outcome of its attempt."""
        if at is not None and at > self.clock:
            self.pass_until(at)
        model.in_hands.remove(attempt)
        before = self.do(database.now())
        recorded = self.do(deliveries.record([result_of(attempt.row, SENT, outcome, 0.0)]))
        current = model.status is DeliveryStatus.DELIVERING and attempt.row["attempt_number"] == model.number
        assert bool(recorded) == current, "a lost lease was recorded" if recorded else "a result was lost"
        if not current:
            return
        model.counted += 1
        model.log[model.number] = outcome.kind.value
        if outcome.kind is AttemptOutcome.SUCCEEDED:
            model.status = DeliveryStatus.SUCCEEDED
        elif outcome.gone or model.counted >= MAX_ATTEMPTS:
            model.status = DeliveryStatus.FAILED
        else:
            model.status = DeliveryStatus.RETRYING
            wait = timedelta(seconds=WAITS[model.counted - 1])
            assert before + wait <= self.read("d.due_at")[attempt.row["id"]]["it"] <= self.do(database.now()) + wait

    def pass_until(self, at: float) -> None:
        seconds = at - self.clock
        self.do(rows(_PASS_DELIVERIES, self.actor.workspace.id, timedelta(seconds=seconds)))
        self.do(rows(_PASS_UNSETTLED, list(self.models), timedelta(seconds=seconds)))
        self.passed += seconds

    def is_under_way(self, attempt: Attempt) -> bool:
        return attempt.alive and self.clock - attempt.began <= DEADLINE

    def read(self, expression: str) -> dict[int, Any]:
        found = self.do(rows(_READ.replace("IT", expression), list(self.models)))
        return {row["id"]: row for row in found}


_READ = "SELECT id, status, attempt_count, interrupted_count, (IT) AS it FROM delivery d WHERE id = ANY ($1)"
_LOG = "SELECT delivery_id, number, outcome FROM attempt WHERE delivery_id = ANY ($1)"
_PASS_DELIVERIES = """
UPDATE delivery SET due_at = due_at - $2::interval, leased_until = leased_until - $2::interval,
    claimed_at = claimed_at - $2::interval
WHERE workspace_id = $1
"""
_PASS_UNSETTLED = "UPDATE unsettled SET check_at = check_at - $2::interval WHERE delivery_id = ANY ($1)"


def explore(settings: Settings, examples: int, lease: float = LEASE) -> None:
    """Run the machine on this database."""

    class Here(Deliveries):
        database = settings

    Here.lease = lease
    run_state_machine_as_test(
        Here,
        settings=hypothesis_settings(
            max_examples=examples,
            stateful_step_count=30,
            database=None,
            derandomize=True,
            report_multiple_bugs=False,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
        ),
    )
