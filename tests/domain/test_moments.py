"""A span of time is found among the ids, and no row of it is missed."""

from datetime import UTC, datetime, timedelta

import pytest

from domain import replays, webhook_stats
from domain.database import rows
from domain.ids import LARGEST_KEY
from domain.moments import DOUBT, ids_between
from domain.replays import NewReplay
from domain.tables import Delivery, Event, Webhook
from domain.unit import Actor, Domain
from domain.vocabulary import DeliveryStatus
from tests.domain.doing import listen
from tests.domain.explaining import rows_read

DAYS = 3000
FIRST = datetime.now(UTC).replace(microsecond=0) - timedelta(days=DAYS)


def day(number: float) -> datetime:
    """When the delivery with this id was made: one a day, except that every third is missing."""
    return FIRST + timedelta(days=number)


async def years_of_deliveries(domain: Domain, admin: Actor) -> Webhook:
    webhook = await listen(domain, admin)
    await rows(
        """INSERT INTO delivery (id, workspace_id, event_id, webhook_id, event_type, max_attempts, status, created_at,
            finished_at)
        SELECT n, $1, 1, $2, 'post.published', 1, 'succeeded', $3::timestamptz + n * interval '24 hours', now()
        FROM generate_series(1, $4::int) n WHERE n % 3 > 0""",
        admin.workspace.id, webhook.id, FIRST, DAYS,
    )  # fmt: skip
    await rows("INSERT INTO event (workspace_id, type, document) VALUES ($1, 'post.published', '')", admin.workspace.id)
    await rows("SELECT setval('delivery_id_seq', $1)", DAYS)
    return webhook


@pytest.mark.parametrize("since", [1, 2, 3, 4, 1499.5, 1500, 1501, 2999])
@pytest.mark.parametrize("length", [0.5, 1, 700])
async def test_all_of_a_span_lies_between_its_ids_and_little_else(
    domain: Domain, admin: Actor, since: float, length: float
) -> None:
    await years_of_deliveries(domain, admin)

    after, last = await ids_between(Delivery, day(since), day(since + length))

    within = {n for n in range(1, DAYS + 1) if n % 3 and since <= n < since + length}
    found = {n for n in range(after + 1, min(last, DAYS) + 1) if n % 3}
    assert within <= found
    assert len(found - within) <= 2


async def test_where_there_is_no_end_or_none_yet_there_is_no_last_id(domain: Domain, admin: Actor) -> None:
    await years_of_deliveries(domain, admin)
    calendar = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)

    assert await ids_between(Delivery, None, None) == (0, LARGEST_KEY)
    assert await ids_between(Delivery, calendar[0], calendar[1]) == (0, LARGEST_KEY)
    assert await ids_between(Delivery, calendar[1] - DOUBT, None) == (DAYS - 1, LARGEST_KEY)
    assert await ids_between(Delivery, None, calendar[0]) == (0, 0)
    # A transaction that began before this time may not have committed yet.
    assert await ids_between(Delivery, None, datetime.now(UTC) - DOUBT / 2) == (0, LARGEST_KEY)


async def test_an_empty_table_has_no_place_for_any_time(domain: Domain) -> None:
    assert await ids_between(Event, day(1), day(2)) == (0, 0)


async def test_what_took_long_to_be_committed_is_within(domain: Domain, admin: Actor) -> None:
    await years_of_deliveries(domain, admin)
    moment, minute = day(1500), timedelta(minutes=1)
    # Ids follow the order in which the rows were written, times that in which their transactions began: here the
    # opposite one. The search looks at 1501 first.
    for number, made_at in ((1499, moment + minute), (1501, moment), (1502, moment - minute)):
        await rows("UPDATE delivery SET created_at = $2 WHERE id = $1", number, made_at)

    after, _ = await ids_between(Delivery, moment + minute, None)
    _, last = await ids_between(Delivery, None, moment)

    assert after < 1499
    assert last >= 1502


@pytest.mark.unused_database
@pytest.mark.parametrize(("since", "until", "within"), [(DAYS - 10, None, 7), (1500, day(1509), 6)])
async def test_a_short_span_of_long_ago_is_counted_and_replayed_without_reading_the_rest(
    domain: Domain, admin: Actor, since: int, until: datetime | None, within: int
) -> None:
    webhook = await years_of_deliveries(domain, admin)

    async with rows_read("delivery") as count:
        stats = await webhook_stats.read([webhook.id], day(1500), day(1509))
        async with domain.unit(admin) as unit:
            wanted = NewReplay(webhook.id, (DeliveryStatus.SUCCEEDED,), day(since), until)
            replay = await replays.start(unit, wanted)
        copied = (await replays.copy_page(replay.id)).owed

    assert (stats[webhook.id].deliveries, replay.total, len(copied)) == (6, within, within)
    assert count.rows < 300
