"""What is owed: which webhooks have due deliveries, and which posts are due, as the database loop finds them.

Being due is not a state of a delivery: states change only in domain/deliveries.py. Everything here raises Unavailable
if PostgreSQL is out of reach.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from domain import database
from domain.database import rows

# A second's work.
MOST_MADE_DUE = 50_000

Row = Mapping[str, Any]


async def due_webhooks(limit: int) -> Sequence[Row]:
    """Webhooks with a due delivery that may be sent, in random order: webhook_id, workspace_id and deleted.

    A deleted webhook is included if anything waits for it, due or not: that must be cancelled, not sent.
    Costs a few index probes for each webhook with unfinished deliveries, however many of them wait.
    """
    return await rows(_DUE_WEBHOOKS, limit)


async def make_due(webhook_id: int, *, asked_for_too: bool) -> None:
    """Make a webhook's waiting deliveries due now; those put off by Retry-After only if `asked_for_too`.

    At most MOST_MADE_DUE of them, in the order of their due times; the others keep theirs.
    """
    await rows(_MAKE_DUE, webhook_id, asked_for_too, MOST_MADE_DUE)


async def make_due_elsewhere(tried: Mapping[int, str]) -> set[int]:
    """Make retries due now if their webhook's URL has changed since the last attempt. Returns the deliveries' ids.

    `tried` maps the id of each delivery to the URL of its last attempt.
    """
    ids = sorted(tried)
    return {row["id"] for row in await rows(_MAKE_DUE_ELSEWHERE, ids, [tried[each] for each in ids])}


async def take_probes(limit: int, lease: timedelta) -> Sequence[Row]:
    """Webhooks whose open circuit may be probed by one delivery now. Each is returned at most once per `lease`."""
    return await rows(_TAKE_PROBES, limit, lease)


async def due_posts(limit: int, now: datetime | None = None) -> dict[int, int]:
    """Due posts that no worker holds, with their workspaces.

    Workspaces take turns: the post that is due longest in each comes before a second one of any.
    """
    found = await rows(_DUE_POSTS, limit, now or await database.now())
    return {row["id"]: row["workspace_id"] for row in found}


async def workspace_of_due_post(post_id: int) -> int | None:
    """The workspace of a post; None if the post is not due."""
    found = await rows("SELECT workspace_id FROM post WHERE id = $1 AND due_at <= now()", post_id)
    return found[0]["workspace_id"] if found else None


# Walks from one webhook with unfinished deliveries to the next, with one index probe each.
UNFINISHED = """WITH RECURSIVE unfinished AS (
    (SELECT webhook_id FROM delivery WHERE finished_at IS NULL ORDER BY webhook_id LIMIT 1)
    UNION ALL
    SELECT (
        SELECT d.webhook_id FROM delivery d
        WHERE d.finished_at IS NULL AND d.webhook_id > unfinished.webhook_id
        ORDER BY d.webhook_id LIMIT 1
    ) FROM unfinished WHERE unfinished.webhook_id IS NOT NULL
)"""

_DUE_WEBHOOKS = """
UNFINISHED
SELECT w.id AS webhook_id, w.workspace_id, w.deleted_at IS NOT NULL AS deleted
FROM unfinished u JOIN webhook w ON w.id = u.webhook_id CROSS JOIN LATERAL (
    SELECT FROM delivery d WHERE WAITING AND d.due_at <= now() AND w.active AND w.circuit_open_until IS NULL
    UNION ALL
    SELECT FROM delivery d WHERE WAITING AND d.due_at <= now() AND d.is_test
    UNION ALL
    SELECT FROM delivery d WHERE WAITING AND w.deleted_at IS NOT NULL
    LIMIT 1
) due
ORDER BY random() LIMIT $1
""".replace("UNFINISHED", UNFINISHED).replace(
    "WAITING", "d.webhook_id = w.id AND d.finished_at IS NULL AND d.status IN ('pending', 'retrying')"
)

# Locked by id, the order of claims: otherwise this would deadlock with a claim of deliveries that come due meanwhile.
_MAKE_DUE = """
UPDATE delivery SET due_at = now() WHERE id = ANY (ARRAY(
    SELECT id FROM delivery
    WHERE status IN ('pending', 'retrying') AND id = ANY (ARRAY(
        SELECT id FROM delivery
        WHERE webhook_id = $1 AND finished_at IS NULL AND due_at > now() AND status IN ('pending', 'retrying')
            AND (NOT retry_after OR $2)
        ORDER BY due_at LIMIT $3
    ))
    ORDER BY id FOR NO KEY UPDATE
))
"""

_MAKE_DUE_ELSEWHERE = """
UPDATE delivery d SET due_at = now(), retry_after = false
FROM unnest($1::bigint[], $2::text[]) AS tried (id, callback_url), webhook w
WHERE d.id = tried.id AND d.status = 'retrying' AND d.due_at > now()
    AND w.id = d.webhook_id AND w.callback_url <> tried.callback_url
RETURNING d.id
"""

_TAKE_PROBES = """
UPDATE webhook SET circuit_open_until = now() + $2::interval
WHERE id IN (
    SELECT w.id FROM webhook w
    WHERE w.circuit_open_until <= now() AND w.active AND w.deleted_at IS NULL AND EXISTS (
        SELECT 1 FROM delivery d
        WHERE d.webhook_id = w.id AND d.finished_at IS NULL AND d.due_at <= now()
            AND d.status IN ('pending', 'retrying')
    )
    ORDER BY w.circuit_open_until LIMIT $1 FOR UPDATE SKIP LOCKED
)
RETURNING id AS webhook_id, workspace_id
"""

# Usually no more posts are due than the limit, and all of them are returned. Otherwise this walks from one workspace
# with planned posts to the next, with two index probes each. It reads more than the first post of each only if fewer
# workspaces than the limit have due posts.
_DUE_POSTS = """
WITH RECURSIVE earliest AS MATERIALIZED (
    SELECT id, workspace_id, due_at FROM post WHERE DUE ORDER BY due_at LIMIT $1 + 1
), planning AS (
    (
        SELECT workspace_id FROM post WHERE due_at IS NOT NULL AND (SELECT count(*) FROM earliest) > $1
        ORDER BY workspace_id LIMIT 1
    )
    UNION ALL
    SELECT (
        SELECT p.workspace_id FROM post p WHERE p.due_at IS NOT NULL AND p.workspace_id > planning.workspace_id
        ORDER BY p.workspace_id LIMIT 1
    ) FROM planning WHERE planning.workspace_id IS NOT NULL
), late AS MATERIALIZED (
    SELECT first.workspace_id FROM planning CROSS JOIN LATERAL (
        SELECT workspace_id FROM post WHERE workspace_id = planning.workspace_id AND DUE ORDER BY due_at LIMIT 1
    ) first
), found AS (
    SELECT id, workspace_id, due_at FROM earliest WHERE (SELECT count(*) FROM earliest) <= $1
    UNION ALL
    SELECT mine.* FROM late CROSS JOIN LATERAL (
        SELECT id, workspace_id, due_at FROM post WHERE workspace_id = late.workspace_id AND DUE
        ORDER BY due_at LIMIT CASE WHEN (SELECT count(*) FROM late) < $1 THEN $1 ELSE 1 END
    ) mine
)
SELECT id, workspace_id FROM (
    SELECT *, row_number() OVER (PARTITION BY workspace_id ORDER BY due_at) AS turn FROM found
) p
ORDER BY turn, due_at LIMIT $1
""".replace("DUE", "due_at <= $2 AND (leased_until IS NULL OR leased_until <= $2)")
