"""Settling beside others: workers that do the same, a stream that begins anew, a Redis that takes nothing."""

import pytest
from tortoise.transactions import in_transaction

from domain import settling
from domain.database import committed_until, rows
from domain.live import ForeignRedis, Live
from domain.tables import Delivery, PostChange, Unsettled
from domain.unit import Actor, Domain
from tests.domain.at_once import beside
from tests.domain.doing import add_account, publish, write
from tests.domain.untold import (
    begin_long_ago,
    check_now,
    entries,
    posts_told,
    untold_delivery,
    untold_post,
)


async def two_untold(domain: Domain, actor: Actor) -> tuple[int, int]:
    """Two deliveries that nobody told of, of which the later has waited for longer."""
    one = await untold_delivery(domain, actor)
    await rows(
        """WITH d AS (INSERT INTO delivery (workspace_id, event_id, webhook_id, event_type, max_attempts)
            SELECT workspace_id, event_id, webhook_id, event_type, max_attempts FROM delivery RETURNING id)
        INSERT INTO unsettled (delivery_id, from_change) SELECT id, 1 FROM d"""
    )
    other = await Delivery.exclude(id=one.id).get()
    await check_now()
    await rows("UPDATE unsettled SET check_at = now() - interval '1 second' WHERE delivery_id = $1", other.id)
    return one.id, other.id


async def told_of(domain: Domain, actor: Actor) -> list[int]:
    return [entry.data["delivery"]["id"] for entry in await entries(domain, actor)]


async def test_what_waits_longest_is_told_first(domain: Domain, admin: Actor) -> None:
    one, other = await two_untold(domain, admin)

    await settling.settle(domain.hub.live, 1)
    await settling.settle(domain.hub.live, 1)

    assert await told_of(domain, admin) == [other, one]


async def test_what_another_worker_holds_keeps_the_rest_from_nothing(domain: Domain, admin: Actor) -> None:
    one, other = await two_untold(domain, admin)
    async with in_transaction():
        await Unsettled.filter(delivery_id=other).select_for_update().get()
        settled = await beside(settling.settle(domain.hub.live, 10))
        assert settled.done()

    assert await told_of(domain, admin) == [one]


async def test_what_could_not_be_told_is_put_off_for_a_moment_and_not_forgotten(domain: Domain, admin: Actor) -> None:
    await untold_delivery(domain, admin)
    await check_now()

    async def identity() -> str:
        return "theirs"

    with pytest.raises(ForeignRedis):
        await settling.settle(Live(domain.redis, committed_until, identity), 10)

    assert await settling.settle(domain.hub.live, 10) == 0, "or a thousand workers would try it a thousand times"
    await check_now()
    assert await settling.settle(domain.hub.live, 10) == 1


async def long_enough_ago() -> None:
    await rows("UPDATE post_change SET occurred_at = occurred_at - interval '2 seconds'")


async def test_a_post_s_change_is_told_where_redis_has_lost_the_ones_before_it(domain: Domain, admin: Actor) -> None:
    post = await write(domain, admin, await add_account(domain, admin))
    await domain.outlet.flush()
    await long_enough_ago()
    await settling.settle_posts(domain.hub.live, 10)
    await domain.redis.flushall()
    await begin_long_ago(domain, admin)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(domain.outlet, "announce", lambda changes: None)
        await publish(domain, admin, post.id)
    await long_enough_ago()

    await settling.settle_posts(domain.hub.live, 10)

    assert await posts_told(domain, admin) == [("post", "publishing")]


async def test_a_post_that_the_readers_of_a_new_stream_find_in_the_database_is_not_told_to_them(
    domain: Domain, admin: Actor
) -> None:
    await untold_post(domain, admin)
    await domain.redis.flushall()
    await domain.hub.live.open(admin.workspace.id)
    await long_enough_ago()

    await settling.settle_posts(domain.hub.live, 10)

    assert await posts_told(domain, admin) == []
    assert not await PostChange.exists()
