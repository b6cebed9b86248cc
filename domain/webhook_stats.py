"""How webhooks fare: what became of their deliveries over a span of time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from domain import database
from domain.moments import EPOCH, ids_between
from domain.tables import Delivery

# The span of `read` if no start is given.
STATS_SPAN = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Stats:
    """How the deliveries of one webhook fared.

    `success_rate` (0 to 1) counts those that succeeded or failed. Times are of attempts with an answer, in
    milliseconds. Each is None without any.
    """

    deliveries: int = 0
    succeeded: int = 0
    failed: int = 0
    pending: int = 0
    attempts: int = 0
    success_rate: float | None = None
    p50_ms: float | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None


async def read(webhook_ids: list[int], since: datetime | None, until: datetime | None) -> dict[int, Stats]:
    """How the deliveries made from `since` until before `until` fared, for every webhook asked for.

    Without `until`: until now; without `since`: the 30 days before. The caller must check whose webhooks these are.
    Raises Unavailable.
    """
    since = since or max(until or datetime.now(UTC), EPOCH) - STATS_SPAN
    after, last = await ids_between(Delivery, since, until)
    found = await database.rows(_STATS, webhook_ids, since, until, after, last)
    return {webhook_id: Stats() for webhook_id in webhook_ids} | {row["webhook_id"]: _stats_of(row) for row in found}


_STATS = """
WITH chosen AS (
    SELECT id, webhook_id, status FROM delivery
    WHERE webhook_id = ANY($1) AND id > $4 AND id <= $5
        AND created_at >= $2 AND created_at < coalesce($3::timestamptz, 'infinity')
), counted AS (
    SELECT webhook_id, count(*) AS deliveries,
        count(*) FILTER (WHERE status = 'succeeded') AS succeeded,
        count(*) FILTER (WHERE status = 'failed') AS failed,
        count(*) FILTER (WHERE status IN ('pending', 'delivering', 'retrying')) AS pending
    FROM chosen GROUP BY webhook_id
), timed AS (
    SELECT webhook_id, count(*) AS attempts,
        percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY duration_ms)
            FILTER (WHERE response_status IS NOT NULL) AS times
    FROM chosen JOIN attempt ON attempt.delivery_id = chosen.id GROUP BY webhook_id
)
SELECT * FROM counted LEFT JOIN timed USING (webhook_id)
"""


def _stats_of(row: Mapping[str, Any]) -> Stats:
    finished = row["succeeded"] + row["failed"]
    p50, p95, p99 = row["times"] or (None, None, None)
    return Stats(
        deliveries=row["deliveries"],
        succeeded=row["succeeded"],
        failed=row["failed"],
        pending=row["pending"],
        attempts=row["attempts"] or 0,
        success_rate=row["succeeded"] / finished if finished else None,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
    )
