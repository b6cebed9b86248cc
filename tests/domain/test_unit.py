"""The unit of work: all or nothing, and nothing leaves before it is certain."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from asyncpg import UniqueViolationError
from structlog.testing import capture_logs
from tortoise.exceptions import DoesNotExist

from domain import audit, dispatch, erasure, webhooks, workspaces
from domain.database import POOL_SIZE, rows
from domain.errors import Unauthenticated, Unavailable
from domain.queue import QUEUE_NAME
from domain.settings import Settings
from domain.tables import Delivery, Event, PostAccount
from domain.unit import Actor, Domain, Unit, opened
from domain.vocabulary import EventType, Role
from domain.webhooks import NewWebhook
from domain.workspaces import NewToken
from tests.away import close, fall_silent, gated, reopen
from tests.domain.doing import happen, listen

HOOK = NewWebhook("Hook", "https://example.com/in", (EventType.ACCOUNT_DELETED,))


class BrokeError(Exception):
    pass


async def streams_and_jobs(domain: Domain) -> tuple[int, int]:
    await domain.outlet.flush()
    return len(await domain.redis.keys("hookline:live:*")), await domain.redis.zcard(QUEUE_NAME)


async def test_what_a_unit_leaves_behind_goes_out_once_it_is_committed(domain: Domain, admin: Actor) -> None:
    await listen(domain, admin)

    async with domain.unit(admin) as unit:
        webhook = await webhooks.create(unit, HOOK)
        await webhooks.test(unit, webhook[0].id, EventType.ACCOUNT_DELETED)
        assert await streams_and_jobs(domain) == (0, 0)
        unit.publish(7)

    _, jobs = await streams_and_jobs(domain)
    assert jobs == 2


async def test_a_workspace_that_has_been_erased_opens_to_nobody_whose_token_is_still_believed(
    domain: Domain, admin: Actor
) -> None:
    await erasure.erase(domain, admin.workspace)
    with pytest.raises(Unauthenticated):
        async with domain.unit(admin) as unit:
            await webhooks.create(unit, HOOK)
    with pytest.raises(Unauthenticated):
        async with domain.unit(admin) as unit:
            await audit.record(unit, "webhook.create")


async def test_what_a_believed_token_does_in_a_workspace_that_is_being_erased_is_refused_as_the_token_is(
    domain: Domain, admin: Actor
) -> None:
    async with domain.unit(admin) as unit:
        token, _ = await workspaces.create_token(unit, NewToken("Believed", Role.ADMIN))
    await listen(domain, admin)
    delivery = await Delivery.get(event_id=(await happen(domain, admin)).id)
    await rows("UPDATE delivery SET status = 'failed', finished_at = now()")
    await rows("DELETE FROM webhook")

    async def fail(error: type[Exception], refer: Callable[[Unit], Awaitable[object]]) -> None:
        with pytest.raises(error):
            async with domain.unit(replace(admin, token=token)) as unit:
                await refer(unit)

    def retry(unit: Unit) -> Awaitable[object]:
        return dispatch.retry(unit, delivery.id)

    def add(_unit: Unit) -> Awaitable[object]:
        return PostAccount.create(post_id=1, account_id=1)

    # While the token is good, the missing webhook is a fault of ours.
    await fail(DoesNotExist, retry)
    await rows("UPDATE token SET revoked_at = now()")
    await fail(Unauthenticated, retry)
    await fail(Unauthenticated, add)


async def test_nothing_leaves_a_transaction_that_was_rolled_back(domain: Domain, admin: Actor) -> None:
    webhook = await listen(domain, admin)

    async def break_() -> None:
        async with domain.unit(admin) as unit:
            await webhooks.test(unit, webhook.id, EventType.ACCOUNT_DELETED)
            unit.publish(7)
            raise BrokeError

    with pytest.raises(BrokeError):
        await break_()

    assert await streams_and_jobs(domain) == (0, 0)
    assert (await Delivery.all().count(), await Event.all().count()) == (0, 0)


async def test_nothing_leaves_a_transaction_whose_commit_the_database_refused(domain: Domain, admin: Actor) -> None:
    webhook = await listen(domain, admin)
    await rows("ALTER TABLE webhook ADD CONSTRAINT late UNIQUE (name) DEFERRABLE INITIALLY DEFERRED")

    async def take_the_name_twice() -> None:
        async with domain.unit(admin) as unit:
            await webhooks.test(unit, webhook.id, EventType.ACCOUNT_DELETED)
            await webhooks.create(unit, HOOK)

    with pytest.raises(UniqueViolationError, match="late"):
        await take_the_name_twice()

    assert await streams_and_jobs(domain) == (0, 0)
    assert await Delivery.all().count() == 0


async def test_a_database_that_is_away_is_said_to_be_and_found_again(settings: Settings) -> None:
    async with gated(settings) as gates, opened(gates.settings) as domain:
        admin = Actor(await workspaces.create("Test"), None, Role.ADMIN)
        await listen(domain, admin)
        close(gates.postgres)
        with pytest.raises(Unavailable):
            await happen(domain, admin)
        reopen(gates.postgres)

        await happen(domain, admin)

        assert await Delivery.all().count() == 1


async def test_a_database_that_goes_away_within_a_unit_acknowledges_nothing(settings: Settings) -> None:
    async with gated(settings) as gates, opened(gates.settings) as domain:
        admin = Actor(await workspaces.create("Test"), None, Role.ADMIN)
        webhook = await listen(domain, admin)

        async def lose_it() -> None:
            async with domain.unit(admin) as unit:
                await webhooks.test(unit, webhook.id, EventType.ACCOUNT_DELETED)
                close(gates.postgres)

        with pytest.raises(Unavailable):
            await lose_it()
        reopen(gates.postgres)

        assert await streams_and_jobs(domain) == (0, 0)
        assert await Delivery.all().count() == 0


async def test_requests_that_gave_up_on_a_silent_database_cost_no_connections(settings: Settings) -> None:
    async with gated(settings) as gates, opened(gates.settings) as domain:
        admin = Actor(await workspaces.create("Test"), None, Role.ADMIN)
        await listen(domain, admin)
        everyone = asyncio.Barrier(POOL_SIZE)

        async def hold_one() -> None:
            async with domain.unit(admin):
                await everyone.wait()

        async def give_up() -> None:
            async with asyncio.timeout(0.2), domain.unit(admin):
                pass

        # First all connections of the pool work; then each falls silent at its next BEGIN.
        await asyncio.gather(*(hold_one() for _ in range(POOL_SIZE)))
        fall_silent(gates.postgres)
        found = await asyncio.gather(*(give_up() for _ in range(POOL_SIZE)), return_exceptions=True)
        assert {type(error) for error in found} == {TimeoutError}
        reopen(gates.postgres)

        async with asyncio.timeout(60):
            await happen(domain, admin)


async def test_a_redis_that_is_away_keeps_nobody_waiting(settings: Settings) -> None:
    async with gated(settings) as gates, opened(gates.settings) as domain:
        close(gates.redis)
        admin = Actor(await workspaces.create("Test"), None, Role.ADMIN)
        await listen(domain, admin)

        with capture_logs():
            await happen(domain, admin)
            await domain.outlet.flush()

        assert await Delivery.all().count() == 1
