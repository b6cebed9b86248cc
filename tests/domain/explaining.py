"""How much of a table statements read, as PostgreSQL itself counts it: the first sign of a bad plan."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tortoise.transactions import in_transaction

from domain.database import rows


class Count:
    """Rows that were read; known once the block has ended."""

    rows = 0


@asynccontextmanager
async def rows_read(table: str) -> AsyncIterator[Count]:
    """Count the rows of a table that the statements of the block read. They run in one transaction."""
    count = Count()
    async with in_transaction():
        before = await _read_so_far(table)
        yield count
        count.rows = await _read_so_far(table) - before


async def _read_so_far(table: str) -> int:
    # The counts of the open transaction, without what other sessions do.
    found = await rows(_READ, table)
    read: int = found[0]["read"]
    return read


_READ = """
SELECT coalesce(sum(pg_stat_get_xact_tuples_returned(oid) + pg_stat_get_xact_tuples_fetched(oid)), 0)::int AS read
FROM (
    SELECT $1::text::regclass::oid AS oid UNION SELECT indexrelid FROM pg_index WHERE indrelid = $1::text::regclass
) AS table_and_indexes
"""
