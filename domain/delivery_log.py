"""The delivery log: deliveries as people see them, each with the state of its webhook, which says what it waits for.

A page of the log is the list that is read most. So it is one statement with only the columns that are shown, and
asyncpg's records are used as they are.
"""

from collections.abc import Sequence
from typing import Any, Self

from asyncpg import Record

from domain.database import rows


class LoggedDelivery(Record):
    """A delivery with its webhook's `active` and `circuit_open_until`; `domain.changes` tells what it waits for.

    `now` is by the database's clock, as its due time is.
    """

    @property
    def pk(self) -> int:
        """The delivery's key."""
        key: int = self["id"]
        return key

    @classmethod
    async def read(cls, sql: str, *values: Any) -> Sequence[Self]:
        """The deliveries whose whole rows a statement returns, in any order. Raises Unavailable."""
        return await rows(_SEEN.replace("DELIVERIES", sql), *values, record_class=cls)


async def one(key: int) -> LoggedDelivery:
    """A delivery that exists, as the open transaction sees it. Raises Unavailable."""
    return (await LoggedDelivery.read("SELECT * FROM delivery WHERE id = $1", key))[0]


_SEEN = """
SELECT d.id, d.uuid::text, d.event_id, d.webhook_id, d.retry_of_id, d.status, d.is_test, d.attempt_count,
    d.max_attempts, d.created_at, d.finished_at, d.due_at, d.retry_after, w.active, w.circuit_open_until,
    now() AS now
FROM (DELIVERIES) AS d LEFT JOIN webhook AS w ON w.id = d.webhook_id
"""
