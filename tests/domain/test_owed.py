"""What is owed: found in the database, whatever became of the hints."""

import asyncio
from datetime import timedelta

import pytest
from tortoise.transactions import in_transaction

from domain import deliveries, owed, webhooks, workspaces
from domain.database import rows
from domain.deliveries import MOST_CANCELLED, Room
from domain.tables import Delivery, Webhook
from domain.unit import Actor, Domain
from domain.vocabulary import DeliveryStatus, EventType, Role
from tests.domain.at_once import beside, held_up
from tests.domain.attempting import LEASE
from tests.domain.doing import happen, happen_while_deleting, listen, multiply, write
from tests.domain.explaining import rows_read

BACKLOG = 3000


async def webhook_with_one_due(domain: Domain, admin: Actor, **columns: str) -> Webhook:
    webhook = await listen(domain, admin)
    await happen(domain, admin)
    for column, value in columns.items():
        await rows(f"UPDATE webhook SET {column} = {value}")
    return webhook


async def due() -> list[tuple[int, bool]]:
    return [(row["webhook_id"], row["deleted"]) for row in await owed.due_webhooks(1000)]


async def test_a_post_of_each_workspace_is_found_before_a_second_one_of_any(domain: Domain, admin: Actor) -> None:
    other = Actor(await workspaces.create("Other"), None, Role.ADMIN)
    mine = [await write(domain, admin) for _ in range(3)]
    theirs = await write(domain, other)
    for post in (*mine, theirs):
        await rows("UPDATE post SET due_at = now() WHERE id = $1", post.id)
    await write(domain, other)  # a draft
    assert [*await owed.due_posts(3)] == [mine[0].id, theirs.id, mine[1].id]
    assert (await owed.due_posts(9))[theirs.id] == other.workspace.id
    await rows("UPDATE post SET leased_until = now() + interval '1 minute' WHERE id = $1", mine[0].id)
    assert [*await owed.due_posts(2)] == [mine[1].id, theirs.id]


@pytest.mark.unused_database
async def test_of_very_many_posts_that_are_due_few_are_read(domain: Domain, admin: Actor) -> None:
    other = Actor(await workspaces.create("Other"), None, Role.ADMIN)
    mine, theirs = await write(domain, admin), await write(domain, other)
    await rows(
        """INSERT INTO post (uuid, workspace_id, status, body, due_at, created_at, updated_at, trashed, claim, change)
        SELECT gen_random_uuid(), $1, 'scheduled', 'x', now(), now(), now(), false, 0, 0 FROM generate_series(1, $2)""",
        admin.workspace.id,
        BACKLOG,
    )
    for post in (mine, theirs):
        await rows("UPDATE post SET due_at = now() - interval '1 minute' WHERE id = $1", post.id)

    async with rows_read("post") as count:
        found = await owed.due_posts(40)

    assert len(found) == 40
    assert [*found][:2] == [mine.id, theirs.id]
    assert count.rows < 400


async def probes() -> list[int]:
    return [row["webhook_id"] for row in await owed.take_probes(1000, LEASE)]


async def test_every_webhook_with_something_due_is_found_once(domain: Domain, admin: Actor) -> None:
    listening = [await listen(domain, admin) for _ in range(3)]
    for _ in range(2):
        await happen(domain, admin)

    assert sorted(await due()) == [(webhook.id, False) for webhook in listening]
    assert len(await owed.due_webhooks(2)) == 2
    # The order is random, so that each gets a turn even if more are due than fit. One run in millions misses one.
    firsts = {row["webhook_id"] for _ in range(40) for row in await owed.due_webhooks(1)}
    assert firsts == {webhook.id for webhook in listening}


async def test_what_is_not_due_or_under_way_or_finished_is_not_found(domain: Domain, admin: Actor) -> None:
    await webhook_with_one_due(domain, admin)
    for state in (
        "due_at = now() + interval '1 minute'",
        "due_at = now(), status = 'delivering'",
        "status = 'succeeded', finished_at = now()",
    ):
        await rows("UPDATE delivery SET " + state)
        assert await due() == []


async def test_what_waits_for_a_webhook_that_is_spared_or_off_is_not_found(domain: Domain, admin: Actor) -> None:
    await webhook_with_one_due(domain, admin, circuit_open_until="now() + interval '1 minute'")
    assert await due() == []
    await rows("UPDATE webhook SET circuit_open_until = NULL, active = false")
    assert await due() == []


async def test_a_test_is_found_past_the_backlog_of_a_webhook_that_is_spared(domain: Domain, admin: Actor) -> None:
    webhook = await webhook_with_one_due(domain, admin, circuit_open_until="now() + interval '1 minute'")
    async with domain.unit(admin) as unit:
        test = await webhooks.test(unit, webhook.id, EventType.POST_PUBLISHED)

    assert await due() == [(webhook.id, False)]
    claimed = await deliveries.claim_for([Room(webhook.id, 10)], LEASE)
    assert [row["id"] for row in claimed] == [test.id]


@pytest.mark.unused_database
async def test_the_backlog_of_a_webhook_that_is_spared_is_not_read(domain: Domain, admin: Actor) -> None:
    webhook = await webhook_with_one_due(domain, admin, circuit_open_until="now() + interval '1 minute'")
    await multiply(BACKLOG)

    async with rows_read("delivery") as count:
        assert await due() == []
        assert await deliveries.claim_for([Room(webhook.id, 10)], LEASE) == []

    assert count.rows < 20


async def test_a_delivery_that_was_made_while_its_webhook_was_deleted_is_cancelled(
    domain: Domain, admin: Actor
) -> None:
    webhook = await listen(domain, admin)
    await happen_while_deleting(domain, admin, webhook.id)
    assert (await Delivery.get()).status is DeliveryStatus.PENDING

    assert await due() == [(webhook.id, True)]
    await deliveries.cancel_left([webhook.id])

    assert (await Delivery.get()).status is DeliveryStatus.CANCELLED
    assert await due() == []


async def test_of_very_many_the_loop_cancels_the_rest_though_none_of_them_is_due(domain: Domain, admin: Actor) -> None:
    webhook = await webhook_with_one_due(domain, admin)
    await rows("UPDATE delivery SET due_at = now() + interval '1 hour'")
    await multiply(MOST_CANCELLED)
    async with domain.unit(admin) as unit:
        await webhooks.delete(unit, webhook.id)
    assert await Delivery.filter(status=DeliveryStatus.PENDING).count() == 1

    assert await due() == [(webhook.id, True)]
    await deliveries.cancel_left([webhook.id])

    assert await Delivery.filter(status=DeliveryStatus.CANCELLED).count() == MOST_CANCELLED + 1
    assert await due() == []


async def test_the_loop_cancels_around_what_others_hold_and_waits_for_nobody(domain: Domain, admin: Actor) -> None:
    webhook = await webhook_with_one_due(domain, admin)
    await multiply(1)
    held, _ = await Delivery.all().order_by("id")
    await rows("UPDATE webhook SET deleted_at = now()")
    async with in_transaction():
        await rows("SELECT FROM delivery WHERE id = $1 FOR UPDATE", held.id)
        cancelling = await beside(deliveries.cancel_left([webhook.id]))
        assert cancelling.done()

    assert [each.id for each in await Delivery.filter(status=DeliveryStatus.PENDING)] == [held.id]
    await deliveries.cancel_left([webhook.id])
    assert await due() == []


@pytest.mark.unused_database
async def test_what_is_cancelled_is_looked_for_once_though_the_planner_knows_of_nothing_unfinished(
    domain: Domain, admin: Actor
) -> None:
    webhook = await webhook_with_one_due(domain, admin)
    await multiply(BACKLOG)
    await rows("UPDATE delivery SET status = 'succeeded', finished_at = now()")
    await rows("ANALYZE delivery")
    await multiply(1)
    await rows("UPDATE webhook SET deleted_at = now()")

    async with rows_read("delivery") as count:
        await deliveries.cancel_left([webhook.id])

    assert await due() == []
    assert count.rows < 10 * BACKLOG


async def test_what_waits_for_a_webhook_that_lives_is_never_cancelled_by_the_loop(domain: Domain, admin: Actor) -> None:
    webhook = await webhook_with_one_due(domain, admin)

    await deliveries.cancel_left([webhook.id])

    assert (await Delivery.get()).status is DeliveryStatus.PENDING


async def test_a_circuit_that_has_been_open_long_enough_is_tried_once_in_a_lease(domain: Domain, admin: Actor) -> None:
    webhook = await webhook_with_one_due(domain, admin, circuit_open_until="now()")

    taken = await asyncio.gather(*(probes() for _ in range(5)))

    assert sorted(taken, key=len) == [[], [], [], [], [webhook.id]]
    await webhook.refresh_from_db()
    assert webhook.circuit_open_until
    await rows(
        "UPDATE webhook SET circuit_open_until = circuit_open_until - $1::interval", LEASE + timedelta(seconds=1)
    )
    assert await probes() == [webhook.id], "its worker died"


async def test_a_circuit_that_is_open_for_longer_or_of_nothing_due_is_not_tried(domain: Domain, admin: Actor) -> None:
    await webhook_with_one_due(domain, admin, circuit_open_until="now() + interval '1 minute'")
    assert await probes() == []
    for state in ("active = false", "deleted_at = now(), active = true"):
        await rows("UPDATE webhook SET circuit_open_until = now(), " + state)
        assert await probes() == []
    await rows("UPDATE webhook SET deleted_at = NULL, active = true")
    for state in ("due_at = now() + interval '1 minute'", "due_at = now(), status = 'delivering'"):
        await rows("UPDATE delivery SET " + state)
        assert await probes() == []


async def test_workers_that_look_for_circuits_to_try_at_once_do_not_try_one_twice(domain: Domain, admin: Actor) -> None:
    webhook = await webhook_with_one_due(domain, admin, circuit_open_until="now()")
    async with in_transaction():
        assert await probes() == [webhook.id]
        others = await beside(probes())
        assert others.done()

    assert await others == []


async def test_the_circuit_that_could_be_tried_longest_is_tried_first(domain: Domain, admin: Actor) -> None:
    first, second = await listen(domain, admin), await listen(domain, admin)
    await happen(domain, admin)
    await rows("UPDATE webhook SET circuit_open_until = now() - id * interval '1 second'")

    assert [row["webhook_id"] for row in await owed.take_probes(1, LEASE)] == [second.id]
    assert await probes() == [first.id]


async def test_of_very_many_those_are_made_due_whose_time_would_have_come_first(
    domain: Domain, admin: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(owed, "MOST_MADE_DUE", 1)
    webhook = await listen(domain, admin)
    for _ in range(2):
        await happen(domain, admin)
    await rows("UPDATE delivery SET status = 'retrying', due_at = now() + interval '1 hour' - id * interval '1 second'")

    await owed.make_due(webhook.id, asked_for_too=False)

    late, soon = await Delivery.all().order_by("id")
    (claimed,) = await deliveries.claim([late.id, soon.id], LEASE)
    assert claimed["id"] == soon.id


async def test_who_makes_all_due_neither_deadlocks_with_a_claim_of_what_comes_due_meanwhile_nor_moves_that(
    domain: Domain, admin: Actor
) -> None:
    webhook = await listen(domain, admin)
    for _ in range(20):
        await happen(domain, admin)
    first, *others = [delivery.id for delivery in await Delivery.all().order_by("id")]
    begun, comes_due = asyncio.Event(), asyncio.Event()

    async def make_due() -> None:
        async with in_transaction():
            await rows("SELECT")
            begun.set()
            await comes_due.wait()
            await owed.make_due(webhook.id, asked_for_too=False)

    making_due = asyncio.create_task(make_due())
    await begun.wait()
    # The first comes last, both by its due time and by its place in the table.
    for each in (*others, first):
        await rows("UPDATE delivery SET due_at = clock_timestamp() WHERE id = $1", each)
    due = await rows("SELECT id, due_at FROM delivery ORDER BY id")
    async with in_transaction():
        assert len(await deliveries.claim([first], LEASE)) == 1
        comes_due.set()
        await held_up(making_due)
        assert len(await deliveries.claim(others, LEASE)) == len(others)
    await making_due
    assert await rows("SELECT id, due_at FROM delivery ORDER BY id") == due
