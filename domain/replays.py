"""Replays: finished deliveries of one webhook, sent again as new deliveries of the same events.

A replay is a stored job. It copies page by page, each page in one statement together with its position, so a restart
neither repeats nor skips any. It pauses while many of its copies wait for their first attempt, so that live traffic is
not crowded out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from domain import audit
from domain.changes import change_of
from domain.database import now, rows
from domain.errors import FaultCode, Faults
from domain.live import Change, Order
from domain.moments import ids_between
from domain.queue import Owed
from domain.tables import Delivery, Replay, Webhook
from domain.unit import Unit
from domain.vocabulary import FINISHED, DeliveryStatus

PAGE = 100
# Copies of one replay that may wait for their first attempt at once.
MOST_WAITING = 200


@dataclass(frozen=True, slots=True)
class NewReplay:
    """What a person asks for: deliveries made in [since, until); `until` is now if it is None."""

    webhook_id: int
    statuses: tuple[DeliveryStatus, ...]
    since: datetime
    until: datetime | None = None


async def start(unit: Unit, new: NewReplay) -> Replay:
    """Begin a replay; workers carry it out. Raises Refused with all that is wrong with it."""
    moment = await now()
    webhook = await Webhook.get_or_none(id=new.webhook_id, workspace_id=unit.workspace.id, deleted_at=None)
    _check(new, webhook, moment)
    assert webhook is not None
    before, last = await ids_between(Delivery, new.since, new.until)
    replay = await Replay.create(
        workspace_id=unit.workspace.id,
        webhook_id=new.webhook_id,
        statuses=[status.value for status in dict.fromkeys(new.statuses)],
        since=new.since,
        until=min(new.until or moment, moment),
        position=before,
        # By the database's clock, as finished_at is.
        created_at=moment,
    )
    counted = await rows(_COUNT, replay.id, last)
    replay.total = counted[0]["total"]
    if not replay.total:
        replay.finished_at = moment
    await replay.save(update_fields=["total", "finished_at"])
    await audit.record(unit, "delivery.replay", replay, name=webhook.name, total=replay.total)
    return replay


def _check(new: NewReplay, webhook: Webhook | None, moment: datetime) -> None:
    faults = Faults()
    if webhook is None:
        faults.add(FaultCode.NOT_FOUND, "There is no such webhook.", "webhook_id")
    if not new.statuses:
        faults.add(FaultCode.REQUIRED, "Name at least one status.", "statuses")
    for status in dict.fromkeys(new.statuses):
        if status not in FINISHED:
            message = "Only finished deliveries can be sent again: SUCCEEDED, FAILED or CANCELLED."
            faults.add(FaultCode.INVALID, message, "statuses", str(new.statuses.index(status)))
    if new.since > moment:
        faults.add(FaultCode.OUT_OF_RANGE, "The start must not be in the future.", "since")
    if new.until is not None and new.until <= new.since:
        faults.add(FaultCode.OUT_OF_RANGE, "The end must be after the start.", "until")
    faults.raise_if_any()


@dataclass(frozen=True, slots=True)
class Page:
    """What one step of a replay made."""

    changes: Sequence[Change]
    owed: Sequence[Owed]


async def open_replays(limit: int) -> list[int]:
    """Some of the replays that are not finished, at most `limit`; one of each workspace before a second one of any.

    Raises Unavailable.
    """
    return [row["id"] for row in await rows(_OPEN, limit)]


async def copy_page(replay_id: int) -> Page:
    """Copy the next page of a replay; nothing if it is done, has to wait, or is being copied by another worker.

    Raises Unavailable.
    """
    asked = await rows("SELECT until FROM replay WHERE id = $1 AND finished_at IS NULL", replay_id)
    if not asked:
        return Page((), ())
    _, last = await ids_between(Delivery, None, asked[0]["until"])
    made: Sequence[Mapping[str, Any]] = await rows(_COPY_PAGE, replay_id, PAGE, MOST_WAITING, last)
    return Page(
        changes=[change_of(row, row["created_at"], Order.NEXT) for row in made],
        owed=[Owed(row["id"], row["webhook_id"], row["workspace_id"]) for row in made],
    )


# In random order: replays that have to wait must not hold up those that need not.
_OPEN = """
SELECT id FROM (
    SELECT id, row_number() OVER (PARTITION BY workspace_id ORDER BY random()) AS turn
    FROM replay WHERE finished_at IS NULL
) r
ORDER BY turn, random() LIMIT $1
"""

_MATCHES = """d.finished_at <= r.created_at AND d.status = ANY (r.statuses)
    AND d.created_at >= r.since AND d.created_at < r.until"""

# A delivery that repeats another one which is copied too is left out: with each replay that fails, the next one would
# otherwise send every event twice as often. With a LIMIT, it is found by its key, and never by reading all deliveries.
_WANTED = """MATCHES AND NOT EXISTS (
        SELECT FROM (SELECT * FROM delivery WHERE id = d.retry_of_id LIMIT 1) AS original WHERE ORIGINAL_MATCHES
    )""".replace("ORIGINAL_MATCHES", _MATCHES.replace("d.", "original.")).replace("MATCHES", _MATCHES)

_COUNT = """
SELECT count(*) AS total FROM replay r JOIN delivery d ON d.webhook_id = r.webhook_id
WHERE r.id = $1 AND WANTED AND d.id > r.position AND d.id <= $2
""".replace("WANTED", _WANTED)

# The total may grow: a delivery that finished just before the replay was created may be committed after the count.
_COPY_PAGE = """
WITH r AS (
    SELECT r.*, w.deleted_at FROM replay r JOIN webhook w ON w.id = r.webhook_id
    WHERE r.id = $1 AND r.finished_at IS NULL
        AND $3 > (SELECT count(*) FROM (
            SELECT FROM delivery WHERE replay_id = $1 AND finished_at IS NULL AND attempt_number = 0 LIMIT $3
        ) waiting)
    FOR UPDATE OF r SKIP LOCKED
), page AS (
    SELECT d.id, d.workspace_id, d.event_id, d.webhook_id, d.event_type, d.is_test FROM r, LATERAL (
        SELECT * FROM delivery d
        WHERE d.webhook_id = r.webhook_id AND d.id > r.position AND d.id <= $4 AND WANTED AND r.deleted_at IS NULL
        ORDER BY d.id LIMIT $2
    ) d
), made AS (
    INSERT INTO delivery (workspace_id, event_id, webhook_id, event_type, max_attempts, is_test, retry_of_id, replay_id)
    SELECT p.workspace_id, p.event_id, p.webhook_id, p.event_type, w.max_attempts, p.is_test, p.id, $1
    FROM page p JOIN webhook w ON w.id = p.webhook_id
    RETURNING *
), noted AS (
    INSERT INTO unsettled (delivery_id, from_change) SELECT id, 1 FROM made
), moved AS (
    UPDATE replay SET position = coalesce((SELECT max(id) FROM page), replay.position),
        done = replay.done + (SELECT count(*) FROM page),
        total = greatest(replay.total, replay.done + (SELECT count(*) FROM page)),
        finished_at = CASE WHEN (SELECT count(*) FROM page) < $2 THEN now() END
    FROM r WHERE replay.id = r.id
)
SELECT d.*, w.active, w.circuit_open_until, e.uuid AS event_uuid,
    e.occurred_at AS event_occurred_at
FROM made d JOIN webhook w ON w.id = d.webhook_id JOIN event e ON e.id = d.event_id
""".replace("WANTED", _WANTED)
