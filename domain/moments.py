"""Finds a moment among a table's ids. Ids grow with time, so a span of time is a span of ids, which an index finds.

An index on the times themselves would be one more for every delivery to write, and would not serve a list by id.
"""

from datetime import UTC, datetime, timedelta

from tortoise.models import Model

from domain.database import rows
from domain.ids import LARGEST_KEY
from domain.tables import Delivery, Event

# A row's time is when its transaction began, but its id was given when it was written. No transaction lasts this long,
# and no clock is set back this far.
DOUBT = timedelta(hours=1)
# No row is older. Subtracting a span from the first days of the calendar would overflow.
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_MADE_AT: dict[type[Model], str] = {Delivery: "created_at", Event: "occurred_at"}


async def ids_between(table: type[Model], since: datetime | None, until: datetime | None) -> tuple[int, int]:
    """Bounds of the ids of rows made in [since, until): they are above the first number, and up to the second.

    Other rows lie between the bounds too, so a query must still compare times. Raises Unavailable.
    """
    after = 0 if since is None else await _last_before(table, max(since, EPOCH) - DOUBT)
    if until is None or until >= datetime.now(UTC) - DOUBT:
        return after, LARGEST_KEY
    return after, await _last_before(table, max(until, EPOCH) + DOUBT)


async def _last_before(table: type[Model], moment: datetime) -> int:
    found = await rows(
        _LAST_BEFORE.replace("TABLE", table._meta.db_table).replace("MADE_AT", _MADE_AT[table]),  # noqa: SLF001
        moment,
    )
    last: int = found[0]["last"]
    return last


# Halves the span of ids in which the moment may lie, with one index probe each time.
_LAST_BEFORE = """
WITH RECURSIVE search AS (
    SELECT coalesce((SELECT min(id) FROM TABLE) - 1, 0) AS low, coalesce((SELECT max(id) FROM TABLE), 0) AS high
    UNION ALL
    SELECT CASE WHEN next.is_before THEN least(next.id, high) ELSE low END,
        CASE WHEN next.is_before THEN high ELSE low + (high - low) / 2 END
    FROM search CROSS JOIN LATERAL (
        SELECT id, MADE_AT < $1 AS is_before FROM TABLE WHERE id > low + (high - low) / 2 ORDER BY id LIMIT 1
    ) next
    WHERE low < high
)
SELECT max(low) AS last FROM search
"""
