"""Hypothesis drives the states of deliveries on a real database, and finds the faults that are sown into the SQL."""

from collections.abc import Callable

import pytest
from asyncpg import UniqueViolationError

from domain import deliveries
from domain.settings import Settings
from tests.domain.delivery_machine import DEADLINE, explore


def test_no_order_of_events_breaks_the_states_of_a_delivery(settings: Settings) -> None:
    explore(settings, examples=25)


def without(name: str, clause: str, instead: str = "") -> Callable[[pytest.MonkeyPatch], None]:
    """Sows a fault: removes or replaces a clause of one of the statements."""

    def sow(patch: pytest.MonkeyPatch) -> None:
        statement: str = getattr(deliveries, name)
        assert clause in statement, "the statement has changed; sow the fault anew"
        patch.setattr(deliveries, name, statement.replace(clause, instead))

    return sow


FENCE = "AND d.status = 'delivering' AND d.attempt_number = o.number"
COUNTING = "SET interrupted_count"
SOWN = {
    "no fence": without("_RECORD", FENCE),
    "a fence by status alone": without("_RECORD", FENCE, "AND d.status = 'delivering'"),
    "no due check": without("_CLAIM_THESE", "AND d.due_at <= now()"),
    "no check of the status": without("_CLAIM_THESE", "AND d.status IN ('pending', 'retrying')"),
    "a lost failure": without("_RECORD", FENCE, f"AND o.outcome <> 'http_error' {FENCE}"),
    "a death that costs an attempt": without("_INTERRUPT", COUNTING, f"SET attempt_count = 1, {COUNTING[4:]}"),
    "leases that nobody looks at": without("_INTERRUPT", "leased_until < now()", "false"),
}


@pytest.mark.parametrize("fault", SOWN)
def test_each_sown_fault_is_found(settings: Settings, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    SOWN[fault](monkeypatch)
    # The table of attempts takes no number twice: a second line of defence, behind the fence.
    with pytest.raises((AssertionError, UniqueViolationError)):
        explore(settings, examples=50)


def test_a_lease_shorter_than_the_deadline_is_found(settings: Settings) -> None:
    with pytest.raises(AssertionError, match="while"):
        explore(settings, examples=50, lease=DEADLINE / 3)
