"""Retention: what is done with and past its age is removed, a page at a time.

Three sweeps walk their tables by id, oldest first: the bodies that receivers answered, finished deliveries with their
attempts, and events without deliveries. Each keeps its position in its row of `sweep`, which every page locks: workers
take turns, and one goes on where another has stopped (docs/decisions/0120-retention.md).
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from domain.database import rows
from domain.replays import MOST_WAITING
from domain.settings import Settings

PAGE = 100
# How long after its end a sweep begins again.
REST = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Swept:
    """One page: what was removed, and whether there may be more at once."""

    removed: int
    more: bool


NOTHING = Swept(0, more=False)


async def clear_attempt_bodies(keep: timedelta, page: int = PAGE) -> Swept:
    """Forget what receivers answered more than `keep` ago, in up to `page` attempts. Raises Unavailable."""
    return await _sweep(_BODIES, page, keep)


async def remove_deliveries(keep: timedelta, page: int = PAGE) -> Swept:
    """Remove those of the next `page` deliveries that finished more than `keep` ago, with their attempts.

    Raises Unavailable.
    """
    return await _sweep(_DELIVERIES, page, keep)


async def remove_events(keep: timedelta, page: int = PAGE) -> Swept:
    """Remove those of the next `page` events that are older than `keep` and have no deliveries. Raises Unavailable."""
    return await _sweep(_EVENTS, page, keep)


def sweeps(settings: Settings) -> dict[str, Callable[[], Awaitable[Swept]]]:
    """Every sweep by its name, each ready to take its next page."""
    return {
        "attempt_bodies": lambda: clear_attempt_bodies(settings.keep_attempt_bodies),
        "deliveries": lambda: remove_deliveries(settings.keep_deliveries),
        "events": lambda: remove_events(settings.keep_deliveries),
    }


async def _sweep(statement: str, page: int, keep: timedelta) -> Swept:
    found = await rows(statement, page, keep, REST)
    # No row: another worker has the sweep, or it is resting.
    return Swept(found[0]["removed"], not found[0]["done"]) if found else NOTHING


_SWEEP = """
WITH here AS (
    SELECT position FROM sweep WHERE name = 'NAME' AND rest_until <= now() FOR UPDATE SKIP LOCKED
), page AS (
    SELECT p.* FROM here, LATERAL (
        SELECT id, AGE AS at FROM TABLE WHERE id > here.position ORDER BY id LIMIT $1
    ) p
), removed AS (REMOVED), reached AS (
    SELECT count(*) < $1 OR bool_or(at >= now() - $2::interval) AS done,
        coalesce(min(id) FILTER (WHERE at >= now() - $2::interval) - 1, max(id)) AS id
    FROM page
), moved AS (
    UPDATE sweep SET position = coalesce(POSITION, sweep.position),
        rest_until = CASE WHEN reached.done THEN now() + $3::interval ELSE now() END
    FROM here, reached WHERE name = 'NAME'
)MORE
SELECT (SELECT count(*) FROM removed) AS removed, done FROM reached, here
"""


def _statement(name: str, table: str, age: str, *, removed: str, position: str, more: str = "") -> str:
    text = _SWEEP.replace("NAME", name).replace("TABLE", table).replace("AGE", age)
    return text.replace("REMOVED", removed).replace("POSITION", position).replace("MORE", more)


# Nothing is left behind that a second pass could remove, so this sweep never starts over.
_BODIES = _statement(
    "attempt_bodies",
    "attempt",
    "started_at",
    removed="""
    UPDATE attempt a SET response_body = NULL FROM page
    WHERE a.id = page.id AND page.at < now() - $2::interval AND a.response_body <> '' RETURNING a.id""",
    position="reached.id",
)

# Unfinished deliveries stay behind, so the next sweep begins at the first again. There are few of them.
_FROM_THE_FIRST = "CASE WHEN reached.done THEN 0 ELSE reached.id END"

_DELIVERIES = _statement(
    "deliveries",
    "delivery",
    "created_at",
    removed="""
    DELETE FROM delivery d USING page WHERE d.id = page.id AND d.finished_at < now() - $2::interval RETURNING d.id""",
    position=_FROM_THE_FIRST,
    more="""
, attempts AS (DELETE FROM attempt a USING removed WHERE a.delivery_id = removed.id)
, untold AS (DELETE FROM unsettled u USING removed WHERE u.delivery_id = removed.id)""",
)

_MAY_COPY = """r.finished_at IS NULL AND MOST > (SELECT count(*) FROM (
            SELECT FROM delivery c WHERE c.replay_id = r.id AND c.finished_at IS NULL AND c.attempt_number = 0
                AND c.created_at < now() - interval '1 hour' LIMIT MOST
        ) waiting)""".replace("MOST", str(MOST_WAITING))

# An open replay may be copying a delivery that has just been removed; its event must not be removed meanwhile. One that
# has waited for an hour until its copies are tried is copying nothing: its webhook may be switched off for years.
_EVENTS = _statement(
    "events",
    "event",
    "occurred_at",
    removed="""
    DELETE FROM event e USING page
    WHERE e.id = page.id AND page.at < now() - $2::interval
        AND NOT EXISTS (SELECT 1 FROM delivery d WHERE d.event_id = e.id)
        AND NOT EXISTS (SELECT 1 FROM replay r WHERE r.workspace_id = e.workspace_id AND MAY_COPY)
    RETURNING e.id""",
    position=_FROM_THE_FIRST,
).replace("MAY_COPY", _MAY_COPY)
