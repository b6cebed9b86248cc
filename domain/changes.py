"""What the live stream carries of a delivery: a snapshot at the moment of each change of its status."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from asyncpg import Record

from domain.live import Change, Order
from domain.vocabulary import FINISHED, WAITING, AttemptOutcome, DeliveryStatus, DeliveryWaitReason

Row = Mapping[str, Any]
AnyRow = Row | Record

_UNTIL_SOMEBODY_ACTS = (None, DeliveryWaitReason.WEBHOOK_INACTIVE)

# The columns of a delivery `d` and its webhook `w` that a change needs, besides `event_uuid` and `event_occurred_at`.
STATE = """
    d.id, d.uuid, d.workspace_id, d.event_id, d.webhook_id, d.event_type, d.status, d.is_test, d.max_attempts,
    d.attempt_count, d.interrupted_count, d.attempt_number, d.due_at, d.retry_after, d.claimed_at, d.change,
    d.created_at, d.finished_at, d.retry_of_id, w.active, w.circuit_open_until
"""


def waiting_for(row: AnyRow, now: datetime) -> DeliveryWaitReason | None:
    """Why a delivery is not being sent right now; None if it is not waiting.

    `row` holds status, is_test, due_at and retry_after of the delivery, and active and circuit_open_until of its
    webhook.
    """
    if row["status"] not in WAITING:
        return None
    if not row["is_test"]:
        if not row["active"]:
            return DeliveryWaitReason.WEBHOOK_INACTIVE
        if row["circuit_open_until"]:
            return DeliveryWaitReason.CIRCUIT_OPEN
    if row["due_at"] > now:
        return DeliveryWaitReason.RETRY_AFTER if row["retry_after"] else DeliveryWaitReason.BACKOFF
    return DeliveryWaitReason.QUEUED


def next_attempt_at(row: AnyRow, reason: DeliveryWaitReason | None) -> datetime | None:
    """When a delivery that waits for `reason` is tried next; None if unknown. `row` is as in `waiting_for`."""
    if reason in _UNTIL_SOMEBODY_ACTS:
        return None
    due: datetime = row["due_at"]
    probed = row["circuit_open_until"]
    return max(due, probed) if probed and reason is DeliveryWaitReason.CIRCUIT_OPEN else due


def change_of(row: Row, occurred_at: datetime, order: Order, attempt: Mapping[str, Any] | None = None) -> Change:
    """The change that led to the state in `row`: a delivery with its event's uuid and time and its webhook's state."""
    status = DeliveryStatus(row["status"])
    return Change(
        kind="delivery",
        workspace_id=row["workspace_id"],
        subject_id=row["id"],
        subject_uuid=str(row["uuid"]),
        number=row["change"],
        order=order,
        occurred_at=occurred_at,
        data={
            "status": status,
            "occurred_at": occurred_at,
            "delivery": _delivery(row, occurred_at),
            "event": {
                "id": row["event_id"],
                "uuid": str(row["event_uuid"]),
                "type": row["event_type"],
                "occurred_at": row["event_occurred_at"],
            },
            "attempt": attempt,
        },
        settles=status is DeliveryStatus.RETRYING or status in FINISHED,
    )


def _delivery(row: Row, now: datetime) -> dict[str, Any]:
    reason = waiting_for(row, now)
    return {
        "id": row["id"],
        "uuid": str(row["uuid"]),
        "status": row["status"],
        "attempt_count": row["attempt_count"],
        "max_attempts": row["max_attempts"],
        "created_at": row["created_at"],
        "finished_at": row["finished_at"],
        "next_attempt_at": next_attempt_at(row, reason),
        "waiting_for": reason,
        "retry_of_id": row["retry_of_id"],
        "webhook_id": row["webhook_id"],
        "event_id": row["event_id"],
    }


def recalled(row: Row, attempts: Sequence[Row], from_change: int) -> list[Change]:
    """All changes of a delivery from the given one on, as the database remembers them.

    Change 1 is PENDING; attempt n is changes 2n (DELIVERING) and 2n + 1 (what it led to); CANCELLED comes last.
    """
    changes = []
    for number, status, counted, at, attempt in _history(row, attempts):
        latest = number == row["change"]
        was = {"status": status, "attempt_count": counted, "change": number, "finished_at": None, "due_at": at}
        if number >= from_change:
            # For a retry, the database knows when the attempt ended, but not when that was recorded.
            rough = latest and row["status"] == DeliveryStatus.RETRYING
            order = Order.ROUGHLY if rough else Order.RECALLED
            when = row["finished_at"] or at if latest else at
            changes.append(change_of(row if latest else {**row, **was}, when, order, attempt))
    return changes


def _history(row: Row, attempts: Sequence[Row]) -> Iterator[tuple[int, DeliveryStatus, int, datetime, Row | None]]:
    """Number, status, attempts counted by then, time and attempt of each change."""
    counted = 0
    yield 1, DeliveryStatus.PENDING, 0, row["created_at"], None
    for attempt in attempts:
        began = 2 * attempt["number"]
        if began >= row["change"]:
            break  # it ended after the row was read: the row still has it under way
        yield began, DeliveryStatus.DELIVERING, counted, attempt["started_at"], None
        counted += attempt["outcome"] != AttemptOutcome.INTERRUPTED
        ended = attempt["started_at"] + timedelta(milliseconds=attempt["duration_ms"])
        yield began + 1, DeliveryStatus.RETRYING, counted, ended, head_of_attempt(attempt)
    if row["status"] == DeliveryStatus.DELIVERING:
        yield row["change"], DeliveryStatus.DELIVERING, counted, row["claimed_at"], None
    if row["status"] == DeliveryStatus.CANCELLED:
        yield row["change"], DeliveryStatus.CANCELLED, counted, row["finished_at"], None


def head_of_attempt(attempt: Row) -> dict[str, Any]:
    """What the stream carries of an attempt; the rest is in the log."""
    return {
        "number": attempt["number"],
        "started_at": attempt["started_at"],
        "duration_ms": attempt["duration_ms"],
        "outcome": attempt["outcome"],
        "error": attempt["error"],
        "response_status": attempt["response_status"],
    }
