"""The recorder, where PostgreSQL is there and does not take what it is given: somebody is changing that."""

from domain.database import rows
from domain.tables import Delivery
from domain.unit import Actor, Domain
from domain.vocabulary import DeliveryStatus
from tests.domain.attempting import SENT, WELL
from tests.waiting import until
from tests.workers.test_recorder import claimed, recorded
from workers.recorder import Recorder


async def test_a_result_is_kept_while_a_table_is_missing_or_closed(domain: Domain, admin: Actor) -> None:
    async with Recorder(domain).running() as recorder:
        (row,) = await claimed(domain, admin)
        await rows("ALTER TABLE attempt RENAME TO attempt_apart")
        recorder.add(row, SENT, WELL)
        await until(_was_refused)
        await rows("ALTER TABLE attempt_apart RENAME TO attempt")

        await recorded(1)

        assert (await Delivery.get()).status is DeliveryStatus.SUCCEEDED


async def _was_refused() -> bool:
    return bool(await rows(_REFUSED))


_REFUSED = """
SELECT 1 FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND state = 'idle'
    AND query ILIKE '%insert into attempt%'
"""
