"""The backlog: what is due and for how long, and which webhooks are in trouble. For monitoring."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from domain.database import rows
from domain.owed import UNFINISHED

# Counting more than this would cost more than it tells.
MOST_COUNTED = 100_000
# How many of the newest deliveries `recent` looks at.
RECENT_DELIVERIES = 10_000
# For a webhook in trouble, waiting deliveries are counted up to this.
MOST_WAITING = 1000

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is owed at this moment, in all workspaces. Counts stop at MOST_COUNTED, or after looking at that many."""

    # Deliveries that could be sent now. If the endpoint is spared or switched off, these are its tests only.
    due: int
    # How long the oldest of them has been due; zero if there is none.
    oldest_due: timedelta
    in_flight: int
    # Webhooks that are being spared.
    circuits_open: int
    # Posts that could be published now and that no worker holds, and how long the oldest of them has been due.
    due_posts: int
    oldest_due_post: timedelta


async def measure() -> Backlog:
    """What is owed now: index probes, a few for each webhook with unfinished deliveries. Raises Unavailable."""
    found = (await rows(_MEASURE, MOST_COUNTED))[0]
    return Backlog(**found)


@dataclass(frozen=True, slots=True)
class Troubled:
    """A webhook whose deliveries fail, or failed until it was switched off."""

    webhook_id: int
    workspace: str
    name: str
    active: bool
    failing_since: datetime | None
    circuit_open_until: datetime | None
    disabled_reason: str | None
    # Counted up to MOST_WAITING.
    waiting: int


async def troubled_webhooks(limit: int) -> list[Troubled]:
    """Webhooks that fail, the longest-failing first; then those that are switched off, the most recent first.

    Raises Unavailable.
    """
    return [Troubled(**row) for row in await rows(_TROUBLED, limit, MOST_WAITING)]


async def in_trouble() -> int:
    """How many webhooks fail, or were switched off because they did. Raises Unavailable."""
    counted: int = (await rows(_IN_TROUBLE))[0]["count"]
    return counted


async def waiting() -> int:
    """Deliveries that are not finished, for whatever reason; counted up to MOST_COUNTED. Raises Unavailable."""
    counted: int = (await rows(_WAITING, MOST_COUNTED))[0]["waiting"]
    return counted


async def recent(since: timedelta) -> dict[str, int]:
    """How many deliveries of the last `since`, among the newest RECENT_DELIVERIES, have each status.

    Raises Unavailable.
    """
    found: Sequence[Row] = await rows(_RECENT, RECENT_DELIVERIES, since)
    return {row["status"]: row["count"] for row in found}


# If a webhook is spared or switched off, only its tests are due, and its backlog is not read. LATERAL with a LIMIT: a
# planner without statistics would otherwise join `unsettled` with all deliveries.
_MEASURE = """
UNFINISHED, lane AS MATERIALIZED (
    SELECT w.id, w.active AND w.circuit_open_until IS NULL AS open
    FROM unfinished u JOIN webhook w ON w.id = u.webhook_id WHERE w.deleted_at IS NULL
), post_due AS (
    SELECT due_at FROM post WHERE due_at <= now() AND (leased_until IS NULL OR leased_until <= now())
    ORDER BY due_at LIMIT $1
)
SELECT
    (SELECT count(*) FROM (
        SELECT FROM lane, LATERAL (
            (SELECT FROM DUE AND lane.open LIMIT $1)
            UNION ALL
            (SELECT FROM DUE AND NOT lane.open AND d.is_test LIMIT $1)
        ) one LIMIT $1
    ) counted) AS due,
    coalesce((SELECT now() - min(first.due_at) FROM lane, LATERAL (
        (SELECT d.due_at FROM DUE AND lane.open ORDER BY d.due_at LIMIT 1)
        UNION ALL
        (SELECT d.due_at FROM DUE AND NOT lane.open AND d.is_test ORDER BY d.due_at LIMIT 1)
    ) first), interval '0') AS oldest_due,
    (SELECT count(*) FROM (SELECT delivery_id FROM unsettled LIMIT $1) u CROSS JOIN LATERAL (
        SELECT FROM delivery WHERE id = u.delivery_id AND status = 'delivering' LIMIT 1
    ) d) AS in_flight,
    (SELECT count(*) FROM webhook WHERE circuit_open_until IS NOT NULL AND active AND deleted_at IS NULL)
        AS circuits_open,
    (SELECT count(*) FROM post_due) AS due_posts,
    coalesce((SELECT now() - min(due_at) FROM post_due), interval '0') AS oldest_due_post
""".replace("UNFINISHED", UNFINISHED).replace(
    "DUE",
    """delivery d WHERE d.webhook_id = lane.id AND d.finished_at IS NULL AND d.due_at <= now()
                AND d.status IN ('pending', 'retrying')""",
)

# Webhooks that are switched off come last: they stay so until a person corrects or deletes them, so they accumulate.
_TROUBLED = """
SELECT w.id AS webhook_id, s.name AS workspace, w.name, w.active, w.failing_since, w.circuit_open_until,
    w.disabled_reason,
    (SELECT count(*) FROM (
        SELECT 1 FROM delivery d WHERE d.webhook_id = w.id AND d.finished_at IS NULL LIMIT $2
    ) counted) AS waiting
FROM webhook w JOIN workspace s ON s.id = w.workspace_id
WHERE w.deleted_at IS NULL AND (w.failing_since IS NOT NULL OR w.disabled_reason IS NOT NULL)
ORDER BY w.active DESC, w.disabled_at DESC NULLS LAST, w.failing_since LIMIT $1
"""

_IN_TROUBLE = """
SELECT count(*) AS count FROM webhook
WHERE deleted_at IS NULL AND (failing_since IS NOT NULL OR disabled_reason IS NOT NULL)
"""

_WAITING = "SELECT count(*) AS waiting FROM (SELECT 1 FROM delivery WHERE finished_at IS NULL LIMIT $1) counted"

_RECENT = """
SELECT status, count(*) AS count
FROM (SELECT status, created_at FROM delivery ORDER BY id DESC LIMIT $1) latest
WHERE created_at >= now() - $2::interval GROUP BY status
"""
