"""Why a delivery waits and until when: every reason, and which one counts if there are several."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.changes import next_attempt_at, waiting_for
from domain.vocabulary import FINISHED, DeliveryStatus, DeliveryWaitReason

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
AGO, SOON, LATER = NOW - timedelta(minutes=1), NOW + timedelta(minutes=1), NOW + timedelta(hours=1)


def row(**columns: Any) -> dict[str, Any]:
    return {
        "status": "pending", "is_test": False, "due_at": AGO, "retry_after": False, "active": True,
        "circuit_open_until": None, **columns,
    }  # fmt: skip


@pytest.mark.parametrize("status", ["pending", "retrying"])
@pytest.mark.parametrize(
    ("columns", "reason", "at"),
    [
        pytest.param({}, "QUEUED", AGO, id="due"),
        pytest.param({"due_at": NOW}, "QUEUED", NOW, id="due this very moment"),
        pytest.param({"due_at": SOON}, "BACKOFF", SOON, id="by the schedule"),
        pytest.param({"due_at": SOON, "retry_after": True}, "RETRY_AFTER", SOON, id="asked for"),
        pytest.param({"due_at": AGO, "retry_after": True}, "QUEUED", AGO, id="asked for, and past"),
        pytest.param({"circuit_open_until": SOON}, "CIRCUIT_OPEN", SOON, id="spared"),
        pytest.param({"circuit_open_until": AGO}, "CIRCUIT_OPEN", AGO, id="spared until its probe is taken"),
        pytest.param({"circuit_open_until": LATER, "due_at": SOON}, "CIRCUIT_OPEN", LATER, id="spared for longer"),
        pytest.param({"circuit_open_until": SOON, "due_at": LATER}, "CIRCUIT_OPEN", LATER, id="not due before either"),
        pytest.param({"active": False}, "WEBHOOK_INACTIVE", None, id="off"),
        pytest.param({"active": False, "due_at": SOON}, "WEBHOOK_INACTIVE", None, id="off, and not due"),
        pytest.param({"active": False, "circuit_open_until": SOON}, "WEBHOOK_INACTIVE", None, id="off, and spared"),
        pytest.param({"is_test": True, "active": False}, "QUEUED", AGO, id="a test of one that is off"),
        pytest.param({"is_test": True, "circuit_open_until": SOON}, "QUEUED", AGO, id="a test of one that is spared"),
        pytest.param({"is_test": True, "active": False, "due_at": SOON}, "BACKOFF", SOON, id="a test that failed"),
    ],
)
def test_a_waiting_delivery_says_why_and_until_when(
    status: str, columns: dict[str, Any], reason: str, at: datetime | None
) -> None:
    found = row(status=status, **columns)

    assert waiting_for(found, NOW) is DeliveryWaitReason[reason]
    assert next_attempt_at(found, waiting_for(found, NOW)) == at


@pytest.mark.parametrize("status", [*sorted(FINISHED), DeliveryStatus.DELIVERING])
@pytest.mark.parametrize("columns", [{}, {"due_at": LATER}, {"active": False}, {"circuit_open_until": LATER}])
def test_what_is_under_way_or_finished_waits_for_nothing(status: DeliveryStatus, columns: dict[str, Any]) -> None:
    found = row(status=status, **columns)

    assert waiting_for(found, NOW) is None
    assert next_attempt_at(found, None) is None
