"""Settling beside others: workers that do the same, a stream that begins anew, a Redis that takes nothing."""

from datetime import timedelta

import pytest
from tortoise.transactions import in_transaction

from domain import settling
from domain.database import committed_until, now, rows
from domain.live import ForeignRedis, Live
from domain.outlet import SETTLE
from domain.settling import _TAKE_UNSETTLED
from domain.tables import PostChange, Unsettled
from domain.unit import Actor, Domain
from tests.domain.at_once import beside
from tests.domain.doing import add_account, happen, listen, multiply, publish, write
from tests.domain.explaining import rows_read
from tests.domain.untold import (
    begin_long_ago,
    check_now,
    entries,
    posts_told,
    untold_delivery,
    untold_post,
)

MANY = 1000


async def test_what_another_worker_holds_keeps_the_rest_from_nothing(domain: Domain, admin: Actor) -> None:
    delivery = await untold_delivery(domain, admin)
    held = (await happen(domain, admin)).id
    await check_now()
    async with in_transaction():
        await rows("SELECT FROM unsettled JOIN delivery ON id = delivery_id WHERE event_id = $1 FOR UPDATE", held)
        settled = await beside(settling.settle(domain.hub.live, 10))
        assert settled.done()

    assert delivery.id in [entry.data["delivery"]["id"] for entry in await entries(domain, admin)]


async def test_what_could_not_be_told_is_put_off_for_a_moment_and_not_forgotten(domain: Domain, admin: Actor) -> None:
    await untold_post(domain, admin)
    await untold_delivery(domain, admin)
    await check_now()
    await long_enough_ago()
    before = await now()

    async def identity() -> str:
        return "theirs"

    for settle in (settling.settle, settling.settle_posts):
        with pytest.raises(ForeignRedis):
            await settle(Live(domain.redis, committed_until, identity), 10)

    put_off = (await Unsettled.get()).check_at - before
    assert put_off >= timedelta(seconds=5), "or a thousand workers would try it a thousand times"
    await check_now()
    assert await settling.settle(domain.hub.live, 10) == 1
    assert await settling.settle_posts(domain.hub.live, 10) == 2


@pytest.mark.unused_database
@pytest.mark.parametrize(("statement", "table"), [(SETTLE, "delivery"), (_TAKE_UNSETTLED, "unsettled")])
async def test_a_plan_that_was_made_while_the_tables_were_empty_reads_no_whole_table_for_each_row(
    domain: Domain, admin: Actor, statement: str, table: str
) -> None:
    ids = [*range(1, MANY + 2)]
    values = (ids, [1] * len(ids)) if statement == SETTLE else (len(ids),)

    async with rows_read(table) as count:
        # The tables are empty, as after retention has removed everything.
        await rows("ANALYZE delivery, unsettled, event, webhook")
        # After five executions PostgreSQL keeps the plan, until it notices the new rows by itself.
        for _ in range(10):
            await rows(statement, *values)
        await listen(domain, admin)
        await happen(domain, admin)
        await multiply(MANY)
        await rows("INSERT INTO unsettled (delivery_id, from_change) SELECT id, 1 FROM delivery ON CONFLICT DO NOTHING")
        await rows("UPDATE unsettled SET check_at = now()")
        await rows(statement, *values)
        told = await rows("SELECT count(*) AS left, min(check_at) > now() AS taken FROM unsettled")

    assert told[0]["taken"] if statement == _TAKE_UNSETTLED else told[0]["left"] == 0
    assert count.rows < 50 * MANY


async def long_enough_ago() -> None:
    await rows("UPDATE post_change SET occurred_at = occurred_at - interval '2 seconds'")


async def test_a_post_s_change_is_told_where_redis_has_lost_the_ones_before_it(domain: Domain, admin: Actor) -> None:
    post = await write(domain, admin, await add_account(domain, admin))
    await domain.outlet.flush()
    assert await posts_told(domain, admin) == [("post", "draft")]
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


async def test_a_post_of_which_all_was_told_is_told_of_at_once_whatever_redis_forgot_and_others_wait_for(
    domain: Domain, admin: Actor
) -> None:
    account = await add_account(domain, admin)
    post = await write(domain, admin, account)
    await rows("DELETE FROM post_change")
    await write(domain, admin, account)
    await domain.outlet.flush()
    await domain.redis.flushall()

    await publish(domain, admin, post.id)
    await domain.outlet.flush()

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
