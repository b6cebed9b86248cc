"""Replays: pages of copies, none twice, none forgotten, and never too many at once."""

from datetime import UTC, datetime, timedelta

import pytest
from tortoise.transactions import in_transaction

from domain import replays, webhooks, workspaces
from domain.database import now, rows
from domain.errors import FaultCode, Refused
from domain.queue import QUEUE_NAME
from domain.replays import NewReplay
from domain.tables import AuditEvent, Delivery, Replay, Webhook
from domain.unit import Actor, Domain
from domain.vocabulary import DeliveryStatus, Role
from tests.domain.at_once import beside
from tests.domain.doing import faults_of, happen, listen, multiply
from tests.domain.explaining import rows_read
from tests.domain.untold import entries
from workers.replay import copy_pages

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
FAILED = (DeliveryStatus.FAILED,)


async def failed_deliveries(domain: Domain, admin: Actor, count: int) -> Webhook:
    webhook = await listen(domain, admin)
    await happen(domain, admin)
    await multiply(count - 1)
    await rows("UPDATE delivery SET status = 'failed', finished_at = now(), attempt_number = 1, attempt_count = 1")
    return webhook


async def start(domain: Domain, admin: Actor, webhook: Webhook, **more: object) -> Replay:
    wanted = {"webhook_id": webhook.id, "statuses": FAILED, "since": LONG_AGO, **more}
    async with domain.unit(admin) as unit:
        return await replays.start(unit, NewReplay(**wanted))


async def first_attempts_over() -> None:
    await rows("UPDATE delivery SET attempt_number = 1 WHERE replay_id IS NOT NULL")


async def test_replays_that_must_wait_keep_no_other_from_its_turn(domain: Domain, admin: Actor) -> None:
    webhook = await failed_deliveries(domain, admin, 1)
    waiting, other = await start(domain, admin, webhook), await start(domain, admin, webhook)
    theirs = await replay_elsewhere(webhook)
    # Each look returns one at random: one in fifteen million runs of this test misses one.
    looked_at = {replay for _ in range(60) for replay in await replays.open_replays(1)}
    assert looked_at == {waiting.id, other.id, theirs.id}


async def replay_elsewhere(webhook: Webhook) -> Replay:
    """A replay in another workspace."""
    return await Replay.create(
        workspace=await workspaces.create("Other"), webhook_id=webhook.id, statuses=[], since=LONG_AGO, until=LONG_AGO
    )


async def test_replays_of_one_workspace_keep_none_of_another_from_its_turn(domain: Domain, admin: Actor) -> None:
    webhook = await failed_deliveries(domain, admin, 1)
    many = [(await start(domain, admin, webhook)).id for _ in range(30)]
    lonely = await replay_elsewhere(webhook)
    for _ in range(10):
        looked_at = await replays.open_replays(5)
        assert lonely.id in looked_at
        assert len({*looked_at} & {*many}) == 4


async def test_every_matching_delivery_is_copied_once_page_by_page(domain: Domain, admin: Actor) -> None:
    webhook = await failed_deliveries(domain, admin, 250)
    replay = await start(domain, admin, webhook)
    assert replay.total == 250
    noted = await AuditEvent.get(action="delivery.replay")
    assert (noted.subject_id, noted.detail) == (replay.id, {"name": webhook.name, "total": 250})

    done = []
    while await replays.open_replays(10):
        await copy_pages(domain)
        await first_attempts_over()
        await replay.refresh_from_db()
        done.append(replay.done)

    assert done == [100, 200, 250]
    assert replay.finished_at
    copied = await Delivery.filter(replay_id=replay.id).values_list("retry_of_id", flat=True)
    assert len(copied) == len(set(copied)) == 250


async def test_however_often_a_replay_fails_the_next_one_sends_each_event_once(domain: Domain, admin: Actor) -> None:
    webhook = await listen(domain, admin)
    for _ in range(3):
        await happen(domain, admin)
    for _ in range(3):
        await rows("UPDATE delivery SET status = 'failed', finished_at = now(), attempt_number = 1")
        replay = await start(domain, admin, webhook)
        await copy_pages(domain)

        copies = await Delivery.filter(replay_id=replay.id)
        assert len({copy.event_id for copy in copies}) == len(copies) == replay.total == 3


async def test_a_repetition_is_sent_again_if_what_it_repeats_is_not(domain: Domain, admin: Actor) -> None:
    webhook = await failed_deliveries(domain, admin, 1)
    await start(domain, admin, webhook)
    await copy_pages(domain)
    copy = await Delivery.exclude(replay_id=None).get()
    await rows("UPDATE delivery SET status = 'succeeded', finished_at = now() WHERE id = $1", copy.id)

    replay = await start(domain, admin, webhook, statuses=(DeliveryStatus.SUCCEEDED,))
    await copy_pages(domain)

    assert (await Delivery.get(replay_id=replay.id)).retry_of_id == copy.id


async def test_copies_are_told_of_and_hinted_at_at_once(domain: Domain, admin: Actor) -> None:
    webhook = await failed_deliveries(domain, admin, 2)
    await rows("UPDATE delivery SET is_test = id = (SELECT min(id) FROM delivery)")
    await rows("UPDATE webhook SET max_attempts = 3")
    await start(domain, admin, webhook)
    await domain.outlet.flush()
    await domain.redis.flushall()

    await copy_pages(domain)
    await domain.outlet.flush()

    copies = await Delivery.exclude(replay_id=None).order_by("id")
    assert sorted(entry.data["delivery"]["id"] for entry in await entries(domain, admin)) == [
        each.id for each in copies
    ]
    # Like new deliveries, copies follow what the webhook says now; the copy of a test is a test.
    assert [(each.max_attempts, each.is_test) for each in copies] == [(3, True), (3, False)]
    watched = await rows("SELECT from_change FROM unsettled WHERE delivery_id >= $1", copies[0].id)
    assert [row["from_change"] for row in watched] == [1, 1], "or the loop tells of none where this process dies"
    assert await domain.redis.zcard(QUEUE_NAME) == 1


async def test_a_replay_waits_while_many_of_its_copies_wait(domain: Domain, admin: Actor) -> None:
    webhook = await failed_deliveries(domain, admin, 500)
    replay = await start(domain, admin, webhook)
    for _ in range(10):
        await copy_pages(domain)

    await replay.refresh_from_db()
    assert replay.done == replays.MOST_WAITING


async def test_a_page_that_another_worker_is_copying_is_left_to_it(domain: Domain, admin: Actor) -> None:
    replay = await start(domain, admin, await failed_deliveries(domain, admin, 2))
    async with in_transaction():
        assert len((await replays.copy_page(replay.id)).owed) == 2
        other = await beside(replays.copy_page(replay.id))
        assert other.done()
    assert (await other).owed == []


@pytest.mark.unused_database
async def test_whether_a_replay_waits_is_found_without_reading_the_copies_that_were_sent(
    domain: Domain, admin: Actor
) -> None:
    webhook = await failed_deliveries(domain, admin, 1)
    replay = await start(domain, admin, webhook)
    await rows(
        """INSERT INTO delivery (workspace_id, event_id, webhook_id, event_type, max_attempts, status, attempt_number,
            finished_at, replay_id)
        SELECT workspace_id, event_id, webhook_id, event_type, 10, 'succeeded', 1, now() + interval '1 day', $1
        FROM delivery, generate_series(1, 3000)""",
        replay.id,
    )

    async with rows_read("delivery") as count:
        assert len((await replays.copy_page(replay.id)).owed) == 1

    # A page reads each delivery of the webhook, in table and index; to find whether it waits must not read them again.
    assert count.rows < 3 * 3000


async def test_only_what_was_asked_for_is_copied(domain: Domain, admin: Actor) -> None:
    webhook = await failed_deliveries(domain, admin, 3)
    await rows("UPDATE delivery SET status = 'succeeded' WHERE id = (SELECT min(id) FROM delivery)")
    await rows("UPDATE delivery SET created_at = $1 WHERE id = (SELECT max(id) FROM delivery)", LONG_AGO)

    replay = await start(domain, admin, webhook, since=LONG_AGO + timedelta(days=1))

    assert replay.total == 1


async def test_what_was_made_as_the_span_begins_is_copied_and_what_was_made_as_it_ends_is_not(
    domain: Domain, admin: Actor
) -> None:
    webhook = await failed_deliveries(domain, admin, 4)
    minute = timedelta(minutes=1)
    ids = [delivery.id for delivery in await Delivery.all().order_by("id")]
    for number, id_ in enumerate(ids):
        await rows("UPDATE delivery SET created_at = $2 WHERE id = $1", id_, LONG_AGO + number * minute)

    replay = await start(domain, admin, webhook, since=LONG_AGO + minute, until=LONG_AGO + 3 * minute)
    assert replay.total == 2
    await copy_pages(domain)

    copied = await Delivery.filter(replay_id=replay.id).order_by("id").values_list("retry_of_id", flat=True)
    assert copied == ids[1:3]


async def test_what_ends_after_it_was_asked_for_is_not_copied(domain: Domain, admin: Actor) -> None:
    webhook = await failed_deliveries(domain, admin, 5)
    waiting = {"status": "retrying", "finished_at": None}
    later = [delivery.id for delivery in await Delivery.all().limit(3)]
    await Delivery.filter(id__in=later).update(**waiting)
    replay = await start(domain, admin, webhook)
    await rows("UPDATE delivery SET status = 'failed', finished_at = now() WHERE finished_at IS NULL")
    await copy_pages(domain)
    await replay.refresh_from_db()
    assert (replay.total, replay.done) == (2, 2)
    assert replay.finished_at is not None


async def test_what_ended_before_it_was_asked_for_and_was_committed_after_it_was_counted_counts(
    domain: Domain, admin: Actor
) -> None:
    webhook = await failed_deliveries(domain, admin, 3)
    late = (await Delivery.all())[0]
    await rows("UPDATE delivery SET status = 'delivering', finished_at = NULL WHERE id = $1", late.id)
    replay = await start(domain, admin, webhook)
    assert replay.total == 2
    await rows("UPDATE delivery SET status = 'failed', finished_at = $2 WHERE id = $1", late.id, replay.created_at)
    await copy_pages(domain)
    await replay.refresh_from_db()
    assert (replay.total, replay.done) == (3, 3)


async def test_a_replay_of_nothing_is_finished_at_once(domain: Domain, admin: Actor) -> None:
    webhook = await failed_deliveries(domain, admin, 1)

    replay = await start(domain, admin, webhook, statuses=(DeliveryStatus.CANCELLED,))

    assert (replay.total, replay.done) == (0, 0)
    kept = await Replay.get(id=replay.id)
    assert kept.finished_at == kept.created_at


async def test_a_replay_ends_where_its_webhook_is_deleted(domain: Domain, admin: Actor) -> None:
    webhook = await failed_deliveries(domain, admin, 3)
    replay = await start(domain, admin, webhook)
    async with domain.unit(admin) as unit:
        await webhooks.delete(unit, webhook.id)

    await copy_pages(domain)

    await replay.refresh_from_db()
    assert (replay.done, replay.finished_at is not None) == (0, True)


async def test_all_that_is_wrong_is_said_at_once(domain: Domain, admin: Actor) -> None:
    webhook = await listen(domain, admin)
    tomorrow = await now() + timedelta(days=1)

    with pytest.raises(Refused) as refused:
        await start(domain, admin, webhook, statuses=(DeliveryStatus.PENDING,), since=tomorrow, until=tomorrow)

    assert faults_of(refused) == {
        ("statuses.0", FaultCode.INVALID),
        ("since", FaultCode.OUT_OF_RANGE),
        ("until", FaultCode.OUT_OF_RANGE),
    }
    assert not await Replay.exists()


async def test_a_status_that_is_named_often_is_at_fault_once(domain: Domain, admin: Actor) -> None:
    webhook = await listen(domain, admin)
    named = (DeliveryStatus.FAILED, *[DeliveryStatus.PENDING] * 50, *[DeliveryStatus.RETRYING] * 50)
    with pytest.raises(Refused) as refused:
        await start(domain, admin, webhook, statuses=named)
    assert [fault.field for fault in refused.value.faults] == [("statuses", "1"), ("statuses", "51")]


async def test_a_webhook_that_does_not_exist_here_cannot_be_replayed(domain: Domain, admin: Actor) -> None:
    theirs = await listen(domain, Actor(await workspaces.create("Other"), None, Role.ADMIN))
    gone = await listen(domain, admin)
    async with domain.unit(admin) as unit:
        await webhooks.delete(unit, gone.id)
    for webhook in (theirs, gone, Webhook(id=2**62)):
        with pytest.raises(Refused) as refused:
            await start(domain, admin, webhook, statuses=())

        assert faults_of(refused) == {("webhook_id", FaultCode.NOT_FOUND), ("statuses", FaultCode.REQUIRED)}
