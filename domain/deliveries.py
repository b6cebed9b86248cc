"""Deliveries: one event on its way to one webhook, and every change of its state.

    PENDING -> DELIVERING -> SUCCEEDED | RETRYING | FAILED
    RETRYING -> DELIVERING
    PENDING, RETRYING -> CANCELLED

Drawn in docs/life-of-a-delivery.md. No other module changes these states. A worker claims, acts and records. Each claim
increments `attempt_number`, and a result is recorded only under the number it was claimed with, so a worker that lost
its lease changes nothing. Due times and leases come from the database's clock.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from domain import audit
from domain.changes import STATE, change_of
from domain.database import rows
from domain.errors import not_found, wrong_state
from domain.live import Change, Order
from domain.tables import Delivery
from domain.unit import Unit
from domain.verdicts import MOST_INTERRUPTIONS, Result
from domain.vocabulary import FINISHED, DeliveryStatus

MOST_CANCELLED = 5_000  # by one statement: a fifth of a second's work
MOST_WATCHED = 10_000
INTERRUPTED = "The worker stopped during this attempt; the request may have arrived."

Row = Mapping[str, Any]


# ---------------------------------------------------------------- stopped by a person


async def cancel(unit: Unit, delivery_id: int) -> Delivery:
    """Cancel a delivery that is waiting. Raises Refused."""
    delivery = await locked(unit, delivery_id)
    if delivery.status in FINISHED:
        wrong_state("This delivery has already finished.")
    if delivery.status is DeliveryStatus.DELIVERING:
        wrong_state("An attempt is under way; cancel the delivery when it has ended.")
    unit.announce(_changes(await rows(_CANCEL_ONE, delivery.id), "finished_at"))
    await audit.record(unit, "delivery.cancel", delivery)
    return await Delivery.get(id=delivery.id)


async def cancel_all_of(unit: Unit, webhook_id: int) -> None:
    """Cancel what waits for a webhook just deleted. If very many wait, the loop cancels and announces the rest."""
    unit.announce(_changes(await rows(_CANCEL_LEFT, [webhook_id], MOST_CANCELLED), "finished_at"))


async def cancel_left(webhook_ids: Sequence[int]) -> None:
    """Cancel some of what `cancel_all_of` has left: very many waited, or it was created, locked or under way just then.
    Does nothing to webhooks that are not deleted. The loop announces it. Raises Unavailable."""
    await rows(_CANCEL_LEFT, webhook_ids, MOST_CANCELLED)


async def locked(unit: Unit, delivery_id: int) -> Delivery:
    """A delivery of the unit's workspace, locked until the unit ends. Raises Refused if there is none."""
    delivery = await Delivery.filter(id=delivery_id, workspace_id=unit.workspace.id).select_for_update().get_or_none()
    return delivery or not_found("delivery")


def _changes(found: Sequence[Row], happened: str) -> list[Change]:
    return [change_of(row, row[happened], Order.CLEAR if row["clear"] else Order.NEXT) for row in found]


# The stream forgets the last change of what has waited for long. If there was no row in `unsettled`, all changes before
# this one have been announced.
_CANCEL = """
WITH d AS (
    UPDATE delivery SET status = 'cancelled', change = change + 1, finished_at = now()
    WHERE status IN ('pending', 'retrying') AND WHICH RETURNING *
), noted AS (
    INSERT INTO unsettled (delivery_id, from_change, check_at) SELECT id, change, now() FROM d
    ON CONFLICT (delivery_id) DO UPDATE SET check_at = now() RETURNING delivery_id, xmax = 0 AS clear
)
SELECT STATE, clear, e.uuid AS event_uuid, e.occurred_at AS event_occurred_at FROM d
JOIN noted ON delivery_id = d.id JOIN webhook w ON w.id = d.webhook_id JOIN event e ON e.id = d.event_id LIMIT 1000
""".replace("STATE", STATE)
_CANCEL_ONE = _CANCEL.replace("WHICH", "id = $1")
# Rows locked by others are skipped: waiting for thousands of locks in no fixed order would deadlock with claims and
# erasures. An ARRAY is computed once; with old statistics, a plain subquery would run 20,000 times, for over 30 s.
_CANCEL_LEFT = _CANCEL.replace(
    "WHICH",
    """id = ANY (ARRAY(
        SELECT d.id FROM webhook w CROSS JOIN LATERAL (
            SELECT id FROM delivery WHERE webhook_id = w.id AND finished_at IS NULL
                AND status IN ('pending', 'retrying') LIMIT $2 FOR NO KEY UPDATE SKIP LOCKED
        ) d
        WHERE w.id = ANY ($1) AND w.deleted_at IS NOT NULL LIMIT $2
    ))""",
)


# ---------------------------------------------------------------- claimed by a worker


@dataclass(frozen=True, slots=True)
class Room:
    """How many more deliveries of one webhook a worker has room for. A probe may pass an open circuit."""

    webhook_id: int
    places: int
    probe: bool = False


async def claim(delivery_ids: Iterable[int], lease: timedelta) -> Sequence[Row]:
    """Claim those of these deliveries that are due. Skips deliveries that are claimed or finished already, or whose
    webhook is deleted, switched off or spared by an open circuit. Tests are claimed in the last two cases too.

    The rows hold all that an attempt needs, event and webhook included. Raises Unavailable.
    """
    return await rows(_CLAIM_THESE, lease, sorted(delivery_ids))


async def claim_for(room: Sequence[Room], lease: timedelta) -> Sequence[Row]:
    """Claim what has been due longest for each of these webhooks, as far as it has room. Raises Unavailable."""
    return await rows(
        _CLAIM_FOR, lease, [r.webhook_id for r in room], [r.places for r in room], [r.probe for r in room]
    )


def begun(claimed: Sequence[Row]) -> list[Change]:
    """The live changes of a claim."""
    return _changes(claimed, "claimed_at")


# The UPDATE does not say `finished_at IS NULL`: with old statistics, a planner might then scan the whole index of
# unfinished deliveries (1.8 s instead of 5 ms for 500 of 20,000). The event comes from a LATERAL with a LIMIT: a cached
# plan that was made while the tables were empty would otherwise read all events for each row.
_CLAIM = """
WITH picked AS (PICKED), d AS (
    UPDATE delivery d
    SET status = 'delivering', attempt_number = d.attempt_number + 1, change = d.change + 1,
        claimed_at = now(), leased_until = now() + $1::interval
    FROM picked, webhook w
    WHERE d.id = picked.id AND w.id = d.webhook_id AND d.due_at <= now()
        AND d.status IN ('pending', 'retrying') AND w.deleted_at IS NULL
        AND (d.is_test OR w.active AND (w.circuit_open_until IS NULL OR picked.probe))
    RETURNING STATE, w.uuid AS webhook_uuid, w.callback_url, w.method, w.content_type, w.sealed_secret,
        CASE WHEN w.previous_secret_until > now() THEN w.sealed_previous_secret END AS sealed_previous_secret,
        w.sealed_headers, w.circuit_open_until IS NOT NULL AND picked.probe AS is_probe
), noted AS (
    INSERT INTO unsettled (delivery_id, from_change) SELECT id, change FROM d
    ON CONFLICT (delivery_id) DO NOTHING RETURNING delivery_id
)
SELECT d.*, e.*, d.id IN (SELECT delivery_id FROM noted) AS clear
FROM d CROSS JOIN LATERAL (
    SELECT uuid AS event_uuid, occurred_at AS event_occurred_at, document, trace
    FROM event WHERE id = d.event_id LIMIT 1
) e
""".replace("STATE", STATE)

_CLAIM_THESE = _CLAIM.replace("PICKED", "SELECT unnest($2::bigint[]) AS id, false AS probe")
_CLAIM_FOR = _CLAIM.replace(
    "PICKED",
    """SELECT due.id, room.probe FROM unnest($2::bigint[], $3::int[], $4::bool[]) AS room (webhook_id, places, probe)
    JOIN webhook w ON w.id = room.webhook_id
    CROSS JOIN LATERAL (
        SELECT id FROM (WAITING AND w.active AND (w.circuit_open_until IS NULL OR room.probe) UP_TO) AS any_of_them
        UNION ALL
        SELECT id FROM (WAITING AND o.is_test AND NOT (w.active AND (w.circuit_open_until IS NULL OR room.probe)) UP_TO)
            AS tests_alone
    ) due""".replace(
        "WAITING",
        """SELECT o.id FROM delivery o
            WHERE o.webhook_id = room.webhook_id AND o.finished_at IS NULL AND o.due_at <= now()
                AND o.status IN ('pending', 'retrying')""",
    ).replace("UP_TO", "ORDER BY o.due_at LIMIT room.places FOR UPDATE SKIP LOCKED"),
)


# ---------------------------------------------------------------- recorded by a worker


@dataclass(frozen=True, slots=True)
class Recorded:
    """A result that was accepted. `now` holds the new state of its delivery, and its webhook's health."""

    result: Result
    now: Row


async def record(results: Sequence[Result]) -> list[Recorded]:
    """Log these attempts and set the next state of their deliveries, all in one statement. Raises Unavailable.

    A result whose lease was lost is neither logged nor returned.
    """
    columns = zip(*(_columns(result) for result in sorted(results, key=lambda r: r.claimed["id"])), strict=True)
    done = await rows(_RECORD, *(list(column) for column in columns))
    made = {(result.claimed["id"], result.claimed["attempt_number"]): result for result in results}
    return [Recorded(made[row["id"], row["attempt_number"]], row) for row in done]


def ended(recorded: Sequence[Recorded]) -> list[Change]:
    """The live changes of these results."""
    return [_ended(each.result, each.now) for each in recorded]


def _columns(result: Result) -> tuple[Any, ...]:
    row = result.claimed
    return (
        row["id"], row["attempt_number"], result.status, result.wait, result.retry_after, result.duration_ms,
        result.outcome, result.error, result.request_url, row["method"], result.request_headers,
        result.response_status, result.response_headers, result.response_body, result.response_truncated,
        row["callback_url"],
    )  # fmt: skip


def _ended(result: Result, row: Row) -> Change:
    attempt = {
        "number": result.claimed["attempt_number"],
        "started_at": result.claimed["claimed_at"],
        "duration_ms": result.duration_ms,
        "outcome": result.outcome,
        "error": result.error,
        "response_status": result.response_status,
    }
    return change_of({**result.claimed, **row}, row["recorded_at"], Order.NEXT, attempt)


# If the webhook's URL changed during the attempt, the next attempt is due at once: the new URL has not been tried yet.
_RECORD = """
WITH o AS (
    SELECT * FROM unnest($1::bigint[], $2::smallint[], $3::text[], $4::interval[], $5::bool[], $6::int[], $7::text[],
        $8::text[], $9::text[], $10::text[], $11::text[], $12::smallint[], $13::text[], $14::text[], $15::bool[],
        $16::text[])
    AS o (delivery_id, number, status, wait, retry_after, duration_ms, outcome, error, request_url, request_method,
        request_headers, response_status, response_headers, response_body, response_truncated, callback_url)
), done AS (
    UPDATE delivery d
    SET status = o.status, change = d.change + 1, leased_until = NULL,
        attempt_count = d.attempt_count + (o.outcome <> 'interrupted')::int,
        interrupted_count = d.interrupted_count + (o.outcome = 'interrupted')::int,
        due_at = CASE WHEN o.status <> 'retrying' THEN d.due_at
            WHEN w.callback_url = o.callback_url THEN now() + o.wait ELSE now() END,
        retry_after = o.retry_after AND w.callback_url = o.callback_url,
        finished_at = CASE WHEN o.status <> 'retrying' THEN now() END
    FROM o, webhook w
    WHERE d.id = o.delivery_id AND d.status = 'delivering' AND d.attempt_number = o.number AND w.id = d.webhook_id
    RETURNING d.id, d.status, d.attempt_number, d.attempt_count, d.change, d.claimed_at, d.due_at, d.retry_after,
        d.finished_at, now() AS recorded_at, w.active, w.failing_since, w.circuit_open_until
), logged AS (
    INSERT INTO attempt (delivery_id, number, started_at, duration_ms, outcome, error, request_url, request_method,
        request_headers, response_status, response_headers, response_body, response_truncated)
    SELECT o.delivery_id, o.number, done.claimed_at, o.duration_ms, o.outcome, o.error, o.request_url, o.request_method,
        o.request_headers, o.response_status, o.response_headers, o.response_body, o.response_truncated
    FROM o JOIN done ON done.id = o.delivery_id
)
SELECT * FROM done
"""


# ---------------------------------------------------------------- left by a worker that died


class Watch:
    """Looks for attempts whose lease ran out, page by page: after hours without Redis, millions are unsettled."""

    after = 0

    async def interrupt_expired(self, limit: int, page: int = MOST_WATCHED) -> int:
        """Interrupt those of the next page. They use up no attempt, and are due again at once; with MOST_INTERRUPTIONS
        they have failed. Returns how many."""
        ended, reached = (await rows(_INTERRUPT, limit, MOST_INTERRUPTIONS, INTERRUPTED, self.after, page))[0]
        self.after = reached if len(ended) < limit else self.after
        return len(ended)


# LATERAL: a planner that knows how few are DELIVERING would otherwise scan all deliveries once a second. The duration
# is capped to what its column holds (24 days), and rounded up: a change from before the due time would say BACKOFF.
_INTERRUPT = """
WITH looked_at AS MATERIALIZED (
    SELECT delivery_id FROM unsettled WHERE check_at <= now() AND delivery_id > $4 ORDER BY delivery_id LIMIT $5
), expired AS (
    SELECT d.id FROM looked_at CROSS JOIN LATERAL (
        SELECT id FROM delivery WHERE id = looked_at.delivery_id AND status = 'delivering' AND leased_until < now()
        FOR UPDATE SKIP LOCKED
    ) d LIMIT $1
), d AS (
    UPDATE delivery d
    SET interrupted_count = d.interrupted_count + 1, change = d.change + 1, leased_until = NULL, due_at = now(),
        retry_after = false, status = CASE WHEN d.interrupted_count + 1 < $2 THEN 'retrying' ELSE 'failed' END,
        finished_at = CASE WHEN d.interrupted_count + 1 < $2 THEN NULL ELSE now() END
    FROM expired WHERE d.id = expired.id
    RETURNING d.*
), logged AS (
    INSERT INTO attempt (delivery_id, number, started_at, duration_ms, outcome, error, request_url, request_method,
        request_headers)
    SELECT d.id, d.attempt_number, d.claimed_at,
        least(ceil(extract(epoch FROM now() - d.claimed_at) * 1000), 2147483647), 'interrupted', $3,
        w.callback_url, w.method, '[]'
    FROM d JOIN webhook w ON w.id = d.webhook_id RETURNING delivery_id
)
SELECT array(SELECT delivery_id FROM logged) AS ended,
    (SELECT CASE WHEN count(*) < $5 THEN 0 ELSE max(delivery_id) END FROM looked_at) AS reached
"""
