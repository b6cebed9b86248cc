"""Retention: what is past its age is removed, all of it and nothing else, a page at a time."""

import asyncio
from datetime import timedelta

import pytest

from domain import deliveries, dispatch, replays, retention, workspaces
from domain.database import rows
from domain.replays import NewReplay
from domain.retention import Swept
from domain.unit import Actor, Domain
from domain.vocabulary import DeliveryStatus, Role
from tests.domain.doing import happen, listen

WEEK, QUARTER = timedelta(days=7), timedelta(days=90)


async def delivered(domain: Domain, admin: Actor, count: int = 1, *, days_ago: float = 0) -> list[int]:
    """Deliveries that succeeded so long ago, one event and one attempt each; returns their ids."""
    made = []
    for _ in range(count):
        await happen(domain, admin)
        (row,) = await rows(_DELIVERED, timedelta(days=days_ago))
        made.append(row["id"])
    await rows(_AGE_EVENTS, made, timedelta(days=days_ago))
    return made


async def left(table: str) -> list[int]:
    return [row["id"] for row in await rows(f"SELECT id FROM {table} ORDER BY id")]


async def wake() -> None:
    await rows("UPDATE sweep SET rest_until = now()")


async def test_deliveries_past_their_age_go_with_their_attempts_and_events(domain: Domain, admin: Actor) -> None:
    await listen(domain, admin)
    await delivered(domain, admin, 2, days_ago=91)
    young = await delivered(domain, admin, 1, days_ago=89)

    assert await retention.remove_deliveries(QUARTER) == Swept(2, more=False)
    assert await retention.remove_events(QUARTER) == Swept(2, more=False)

    assert await left("delivery") == young
    assert len(await left("attempt")) == len(await left("event")) == 1
    assert await rows("SELECT * FROM unsettled WHERE delivery_id <> ALL ($1)", young) == []


async def test_what_is_not_finished_stays_however_old_it_is(domain: Domain, admin: Actor) -> None:
    await listen(domain, admin)
    await happen(domain, admin)
    await rows("UPDATE delivery SET created_at = now() - interval '1 year'")
    await rows("UPDATE event SET occurred_at = now() - interval '1 year'")

    assert await retention.remove_deliveries(QUARTER) == Swept(0, more=False)
    assert await retention.remove_events(QUARTER) == Swept(0, more=False)
    assert len(await left("event")) == 1


async def test_an_event_that_nobody_listened_to_stays_until_it_is_old(domain: Domain, admin: Actor) -> None:
    await happen(domain, admin)
    old = (await happen(domain, admin)).id
    await rows("UPDATE event SET occurred_at = now() - interval '91 days' WHERE id = $1", old)

    assert (await retention.remove_events(QUARTER)).removed == 1

    assert old not in await left("event")


async def test_its_age_counts_from_its_end_not_from_its_beginning(domain: Domain, admin: Actor) -> None:
    await listen(domain, admin)
    await delivered(domain, admin, days_ago=91)
    await rows("UPDATE delivery SET finished_at = now() - interval '1 day'")

    assert (await retention.remove_deliveries(QUARTER)).removed == 0


async def test_bodies_go_before_their_attempts(domain: Domain, admin: Actor) -> None:
    await listen(domain, admin)
    old = await delivered(domain, admin, days_ago=8)
    young = await delivered(domain, admin, days_ago=6)

    assert await retention.clear_attempt_bodies(WEEK) == Swept(1, more=False)

    bodies = await rows("SELECT delivery_id, response_body, response_status FROM attempt ORDER BY id")
    assert [tuple(row.values()) for row in bodies] == [(old[0], None, 200), (young[0], "thanks", 200)]


async def test_a_sweep_goes_on_where_it_left_off_and_rests_at_its_end(domain: Domain, admin: Actor) -> None:
    await listen(domain, admin)
    await delivered(domain, admin, 5, days_ago=91)
    kept = await delivered(domain, admin, 2)

    pages = [await retention.remove_deliveries(QUARTER, page=2) for _ in range(4)]
    assert pages == [Swept(2, more=True), Swept(2, more=True), Swept(1, more=False), Swept(0, more=False)]
    await delivered(domain, admin, 1, days_ago=91)
    assert await retention.remove_deliveries(QUARTER) == Swept(0, more=False)
    await wake()
    assert (await retention.remove_deliveries(QUARTER)).removed == 1
    assert await left("delivery") == kept


async def test_several_workers_at_once_take_no_page_twice_and_leave_none(domain: Domain, admin: Actor) -> None:
    await listen(domain, admin)
    await delivered(domain, admin, 6, days_ago=91)
    removed = 0
    while await left("delivery"):
        pages = await asyncio.gather(*(retention.remove_deliveries(QUARTER, page=2) for _ in range(4)))
        removed += sum(page.removed for page in pages)
    assert removed == 6
    assert await left("attempt") == []


async def test_bodies_are_never_looked_at_twice_and_none_is_missed(domain: Domain, admin: Actor) -> None:
    await listen(domain, admin)
    first = await delivered(domain, admin, 3, days_ago=8)
    # An attempt whose worker died is logged late: it began before one with a smaller id.
    late = await delivered(domain, admin, 1, days_ago=6)
    early = await delivered(domain, admin, 1, days_ago=9)

    swept = [await retention.clear_attempt_bodies(WEEK, page=2) for _ in range(2)]
    assert [page.removed for page in swept] == [2, 1]
    await rows("UPDATE attempt SET started_at = started_at - interval '2 days'")
    await wake()
    while (await retention.clear_attempt_bodies(WEEK, page=2)).more:
        pass
    empty = await rows("SELECT delivery_id FROM attempt WHERE response_body IS NULL ORDER BY id")
    assert [row["delivery_id"] for row in empty] == [*first, *late, *early]


async def test_an_event_stays_while_a_replay_may_be_copying_its_deliveries(domain: Domain, admin: Actor) -> None:
    webhook = await listen(domain, admin)
    await delivered(domain, admin, days_ago=91)
    async with domain.unit(admin) as unit:
        since = (await rows("SELECT now() - interval '100 days' AS since"))[0]["since"]
        await replays.start(unit, NewReplay(webhook.id, (DeliveryStatus.SUCCEEDED,), since))
    await rows("DELETE FROM delivery")
    other = Actor(await workspaces.create("Other"), None, Role.ADMIN)
    theirs = (await happen(domain, other)).id
    await rows("UPDATE event SET occurred_at = now() - interval '91 days' WHERE id = $1", theirs)

    assert (await retention.remove_events(QUARTER)).removed == 1
    assert theirs not in await left("event"), "the replay is of another workspace"
    await wake()
    assert (await retention.remove_events(QUARTER)).removed == 0
    await rows("UPDATE replay SET finished_at = now()")
    await wake()
    assert (await retention.remove_events(QUARTER)).removed == 1


async def test_a_retry_outlives_the_delivery_that_it_repeats(domain: Domain, admin: Actor) -> None:
    await listen(domain, admin)
    (old,) = await delivered(domain, admin, days_ago=91)
    async with domain.unit(admin) as unit:
        again = await dispatch.retry(unit, old)

    await retention.remove_deliveries(QUARTER)
    await retention.remove_events(QUARTER)

    assert await left("delivery") == [again.id]
    claimed = await deliveries.claim([again.id], timedelta(seconds=30))
    assert claimed[0]["document"]


@pytest.mark.parametrize("name", ["attempt_bodies", "deliveries", "events"])
async def test_every_sweep_has_its_row(domain: Domain, name: str) -> None:
    assert set(retention.sweeps(domain.settings)) == {row["name"] for row in await rows("SELECT name FROM sweep")}
    assert await retention.sweeps(domain.settings)[name]() == Swept(0, more=False)


async def test_each_sweep_goes_by_its_own_age(domain: Domain, admin: Actor) -> None:
    between = (domain.settings.keep_attempt_bodies + domain.settings.keep_deliveries) / 2
    event = await happen(domain, admin)
    await rows("UPDATE event SET occurred_at = now() - $2::interval WHERE id = $1", event.id, between)
    await listen(domain, admin)
    await delivered(domain, admin, days_ago=between / timedelta(days=1))

    swept = {name: (await sweep()).removed for name, sweep in retention.sweeps(domain.settings).items()}

    assert swept == {"attempt_bodies": 1, "deliveries": 0, "events": 0}


async def test_a_replay_that_waits_for_a_webhook_that_is_off_keeps_no_event_for_ever(
    domain: Domain, admin: Actor
) -> None:
    webhook = await listen(domain, admin)
    await delivered(domain, admin, days_ago=91)
    await rows(
        """INSERT INTO delivery (workspace_id, event_id, webhook_id, event_type, max_attempts, status, finished_at)
        SELECT workspace_id, event_id, webhook_id, event_type, 10, 'succeeded', finished_at
        FROM delivery, generate_series(1, $1)""",
        replays.MOST_WAITING,
    )
    async with domain.unit(admin) as unit:
        since = (await rows("SELECT now() - interval '100 days' AS since"))[0]["since"]
        replay = await replays.start(unit, NewReplay(webhook.id, (DeliveryStatus.SUCCEEDED,), since))
    await rows("UPDATE webhook SET active = false")
    for _ in range(3):
        await replays.copy_page(replay.id)
    alone = (await happen(domain, admin)).id
    await rows("UPDATE event SET occurred_at = now() - interval '91 days'")

    assert (await retention.remove_events(QUARTER)).removed == 0, "another worker may have been copying until just now"
    await rows("UPDATE delivery SET created_at = created_at - interval '2 hours' WHERE replay_id IS NOT NULL")
    await wake()
    assert (await retention.remove_events(QUARTER)).removed == 1
    assert alone not in await left("event")


_DELIVERED = """
WITH done AS (
    UPDATE delivery SET status = 'succeeded', created_at = now() - $1::interval, finished_at = now() - $1::interval
    WHERE id = (SELECT max(id) FROM delivery) RETURNING id, event_id
), logged AS (
    INSERT INTO attempt (delivery_id, number, started_at, duration_ms, outcome, request_url, request_method,
        request_headers, response_status, response_body)
    SELECT id, 1, now() - $1::interval, 5, 'succeeded', 'https://example.com', 'POST', '[]', 200, 'thanks' FROM done
)
SELECT * FROM done
"""
_AGE_EVENTS = """
UPDATE event SET occurred_at = now() - $2::interval WHERE id IN (SELECT event_id FROM delivery WHERE id = ANY ($1))
"""
