"""The recorder, if PostgreSQL answers but refuses to store results, because a table is being changed."""

import asyncpg

from domain.database import rows
from domain.deliveries import _RECORD
from domain.settings import Settings
from domain.tables import Delivery
from domain.unit import Actor, Domain
from domain.vocabulary import DeliveryStatus
from tests.databases import connected
from tests.domain.attempting import SENT, WELL
from tests.waiting import until
from tests.workers.test_recorder import claimed, recorded
from workers.recorder import Recorder


async def test_a_result_is_kept_while_a_table_is_missing_or_closed(
    domain: Domain, admin: Actor, settings: Settings
) -> None:
    async with Recorder(domain).running() as recorder, connected(settings.database_url) as apart:
        (row,) = await claimed(domain, admin)
        await rows("ALTER TABLE attempt RENAME TO attempt_apart")
        recorder.add(row, SENT, WELL)
        await until(lambda: _was_refused(apart))
        await rows("ALTER TABLE attempt_apart RENAME TO attempt")

        await recorded(1)

        assert (await Delivery.get()).status is DeliveryStatus.SUCCEEDED


async def _was_refused(apart: asyncpg.Connection) -> bool:
    return bool(await apart.fetch(_REFUSED, _RECORD))


# PostgreSQL shows only the beginning of each statement.
_REFUSED = """
SELECT 1 FROM pg_stat_activity
WHERE datname = current_database() AND state = 'idle' AND left(query, 200) = left($1, 200)
"""
