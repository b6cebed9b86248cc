"""Settling: the database loop adds to the live stream what a process that died, or a Redis that was away, left out."""

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from domain.changes import recalled
from domain.database import rows
from domain.live import Change, Live, Order
from domain.outlet import SETTLE
from domain.vocabulary import DeliveryStatus

# About how much of posts is sent at once: Redis may have been away for hours, and a post may have half a megabyte.
MOST_BYTES = 8 * 1024 * 1024

Row = Mapping[str, Any]


async def settle(live: Live, limit: int) -> int:
    """Send the changes of up to `limit` deliveries that the stream may lack, in order, and forget deliveries at rest.

    Two processes may do this at once: the stream takes each change once. Returns how many deliveries were looked at.
    Raises Unavailable, or what redis-py raises.
    """
    unsettled = await rows(_TAKE_UNSETTLED, limit)
    if not unsettled:
        return 0
    attempts = await _attempts_of([row["id"] for row in unsettled])
    told: list[Change] = []
    for row in unsettled:
        told += recalled(row, attempts.get(row["id"], ()), row["from_change"])
    if told:
        await live.append(told)
    at_rest = [row for row in unsettled if row["status"] != DeliveryStatus.DELIVERING]
    await rows(SETTLE, [row["id"] for row in at_rest], [row["change"] for row in at_rest])
    under_way = [row for row in unsettled if row["status"] == DeliveryStatus.DELIVERING]
    await rows(_LOOK_LATER, [row["id"] for row in under_way], [row["change"] for row in under_way])
    return len(unsettled)


async def settle_posts(live: Live, limit: int) -> int:
    """The same for posts. Each change is kept whole until the stream has it; fewer are sent at once if they are large.

    Returns how many were sent. Raises the same.
    """
    untold = await rows(_UNTOLD_POSTS, limit, MOST_BYTES)
    changes = [
        Change(
            kind="post",
            workspace_id=row["workspace_id"],
            subject_id=row["post_id"],
            subject_uuid=snapshot["post"]["uuid"],
            number=row["change"],
            order=Order.RECALLED,
            occurred_at=row["occurred_at"],
            data=snapshot,
        )
        for row in untold
        for snapshot in [orjson.loads(row["snapshot"])]
    ]
    if changes:
        await live.append(changes)
        await rows("DELETE FROM post_change WHERE id = ANY ($1)", [row["id"] for row in untold])
    return len(changes)


async def _attempts_of(delivery_ids: Sequence[int]) -> dict[int, list[Row]]:
    found: dict[int, list[Row]] = {}
    for row in await rows(_ATTEMPTS, delivery_ids):
        found.setdefault(row["delivery_id"], []).append(row)
    return found


# Taking a row postpones its next check, so that no other process sends the same changes at the same time.
_TAKE_UNSETTLED = """
WITH taken AS (
    UPDATE unsettled SET check_at = now() + interval '5 seconds'
    WHERE delivery_id = ANY (ARRAY(
        SELECT delivery_id FROM unsettled WHERE check_at <= now() ORDER BY check_at LIMIT $1 FOR UPDATE SKIP LOCKED
    ))
    RETURNING delivery_id, from_change
)
SELECT d.*, t.from_change, w.*, e.* FROM taken t CROSS JOIN LATERAL (
    SELECT * FROM delivery WHERE id = t.delivery_id LIMIT 1
) d CROSS JOIN LATERAL (
    SELECT active, circuit_open_until FROM webhook WHERE id = d.webhook_id LIMIT 1
) w CROSS JOIN LATERAL (
    SELECT uuid AS event_uuid, occurred_at AS event_occurred_at FROM event WHERE id = d.event_id LIMIT 1
) e
ORDER BY d.id
"""

_ATTEMPTS = """
SELECT delivery_id, number, started_at, duration_ms, outcome, error, response_status
FROM attempt WHERE delivery_id = ANY ($1) ORDER BY delivery_id, number
"""

# An attempt under way is looked at again when its lease has run out.
_LOOK_LATER = """
UPDATE unsettled u SET from_change = told.number + 1, check_at = greatest(d.leased_until, now())
FROM unnest($1::bigint[], $2::int[]) AS told (delivery_id, number), delivery d
WHERE u.delivery_id = told.delivery_id AND d.id = told.delivery_id AND d.change = told.number
"""

_UNTOLD_POSTS = """
SELECT id, workspace_id, post_id, change, occurred_at, snapshot FROM (
    SELECT *, sum(octet_length(snapshot)) OVER (ORDER BY id) - octet_length(snapshot) AS before FROM (
        SELECT c.id, c.workspace_id, c.post_id, c.change, c.occurred_at, c.snapshot::text AS snapshot
        FROM post_change c WHERE c.occurred_at < now() - interval '1 second' ORDER BY c.id LIMIT $1
    ) untold
) weighed WHERE before < $2 ORDER BY id
"""
