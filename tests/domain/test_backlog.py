"""The backlog as it is shown: the figures are right, and deliveries that may not be sent yet are not read."""

from datetime import timedelta

import pytest

from domain import backlog, deliveries, webhooks
from domain.database import rows
from domain.unit import Actor, Domain
from domain.vocabulary import EventType
from tests.domain.attempting import LEASE
from tests.domain.doing import add_account, happen, listen, multiply, write
from tests.domain.explaining import rows_read

BACKLOG = 3000


async def test_what_is_due_is_counted_with_the_age_of_the_oldest_and_what_is_under_way(
    domain: Domain, admin: Actor
) -> None:
    await listen(domain, admin)
    for _ in range(3):
        await happen(domain, admin)
    first, second, _ = [row["id"] for row in await rows("SELECT id FROM delivery ORDER BY id")]
    await rows("UPDATE delivery SET due_at = now() - interval '1 hour' WHERE id = $1", second)
    await deliveries.claim([first], LEASE)

    measured = await backlog.measure()

    assert (measured.due, measured.in_flight, measured.circuits_open) == (2, 1, 0)
    assert timedelta(minutes=59) < measured.oldest_due < timedelta(minutes=61)


async def test_posts_that_are_due_are_counted_until_a_worker_holds_them(domain: Domain, admin: Actor) -> None:
    account = await add_account(domain, admin)
    held, first, second, planned, _draft = [await write(domain, admin, account) for _ in range(5)]
    for post, ago in ((held, 90), (first, 60), (second, 30), (planned, -30)):
        await rows("UPDATE post SET due_at = now() - $1 * interval '1 minute' WHERE id = $2", float(ago), post.id)
    await rows("UPDATE post SET leased_until = now() + interval '1 minute' WHERE id = $1", held.id)
    await rows("UPDATE post SET leased_until = now() - interval '1 minute' WHERE id = $1", first.id)

    measured = await backlog.measure()

    assert measured.due_posts == 2
    assert timedelta(minutes=59) < measured.oldest_due_post < timedelta(minutes=61)


@pytest.mark.unused_database
async def test_of_a_webhook_that_is_spared_only_tests_are_due_and_its_backlog_is_not_read(
    domain: Domain, admin: Actor
) -> None:
    webhook = await listen(domain, admin)
    await happen(domain, admin)
    await multiply(BACKLOG)
    await rows("UPDATE webhook SET circuit_open_until = now() + interval '1 hour'")
    async with domain.unit(admin) as unit:
        await webhooks.test(unit, webhook.id, EventType.POST_PUBLISHED)

    async with rows_read("delivery") as count:
        measured = await backlog.measure()

    assert (measured.due, measured.circuits_open) == (1, 1)
    assert count.rows < 50
