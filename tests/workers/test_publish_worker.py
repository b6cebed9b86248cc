"""Publishing in a worker: one round of a post at a time, no more than there are places, and a clean end."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from domain import workspaces
from domain.database import now
from domain.settings import Settings
from domain.tables import Event, Post, Webhook
from domain.unit import POSTS_AT_ONCE, Actor, Domain, opened
from domain.vocabulary import EventType, PostStatus, Role
from tests.away import close, gated, reopen
from tests.databases import connected
from tests.domain import doing
from tests.waiting import until, waiting_for_locks
from workers.publish import PLACES, Publisher, publish


@pytest.fixture
async def publisher(domain: Domain) -> AsyncIterator[Publisher]:
    async with Publisher(domain).running() as publisher:
        yield publisher


async def due_post(domain: Domain, admin: Actor, server: str = "ok") -> Post:
    post = await doing.write(domain, admin, await doing.add_account(domain, admin, server, f"on-{server}"))
    return await doing.publish(domain, admin, post.id)


async def is_published(post: Post) -> bool:
    await post.refresh_from_db()
    return post.status is PostStatus.PUBLISHED


async def nothing_is_under_way() -> bool:
    return not await Post.exists(status=PostStatus.PUBLISHING)


async def told(event_type: EventType) -> int:
    return await Event.filter(type=event_type).count()


async def test_a_hint_publishes_a_post_that_is_due_and_a_second_one_does_nothing(
    domain: Domain, admin: Actor, publisher: Publisher
) -> None:
    post = await due_post(domain, admin)

    for _ in range(3):
        await publish({"publisher": publisher}, post.id)
    await until(lambda: is_published(post))
    await publish({"publisher": publisher}, post.id)
    await publisher.stop()

    assert await told(EventType.POST_PUBLISHED) == 1


async def test_without_a_hint_the_loop_finds_it(domain: Domain, admin: Actor, publisher: Publisher) -> None:
    post = await due_post(domain, admin)

    await publisher.take_due()

    await until(lambda: is_published(post))


async def test_a_hint_that_comes_too_early_or_names_nothing_does_nothing(
    domain: Domain, admin: Actor, publisher: Publisher
) -> None:
    post = await doing.write(domain, admin, await doing.add_account(domain, admin))

    with capture_logs() as lines:
        for post_id in (post.id, post.id + 1):
            await publish({"publisher": publisher}, post_id)
        await publisher.stop()

    await post.refresh_from_db()
    assert post.status is PostStatus.DRAFT
    assert lines == []


async def test_two_workers_publish_a_post_once(domain: Domain, admin: Actor, publisher: Publisher) -> None:
    post = await due_post(domain, admin)

    async with Publisher(domain).running() as other:
        for _ in range(2):
            publisher.take(post.id, post.workspace_id)
        assert publisher._held[post.workspace_id] == 1
        other.take(post.id, post.workspace_id)
        await until(lambda: is_published(post))

    assert await told(EventType.POST_PUBLISHED) == 1


async def test_posts_for_which_there_was_no_place_follow_without_the_loop(
    domain: Domain, admin: Actor, publisher: Publisher
) -> None:
    account = await doing.add_account(domain, admin)
    for _ in range(PLACES + 1):
        await doing.write(domain, admin, account)
    await Post.all().update(status=PostStatus.PUBLISHING, due_at=await now())

    await publisher.take_due()

    assert len(publisher._rounds) == PLACES // 2
    await until(nothing_is_under_way)


async def test_no_more_rounds_than_places_are_begun(domain: Domain, publisher: Publisher) -> None:
    before = len(asyncio.all_tasks())

    for post_id in range(1, PLACES * 2):
        publisher.take(post_id, workspace_id=post_id)

    assert len(asyncio.all_tasks()) - before == PLACES


async def test_posts_of_one_workspace_leave_places_for_those_of_others(domain: Domain, publisher: Publisher) -> None:
    before = len(asyncio.all_tasks())

    for workspace_id, rounds in ((1, PLACES // 2), (2, PLACES * 3 // 4), (3, PLACES * 3 // 4 + PLACES // 8)):
        for post_id in range(PLACES):
            publisher.take(workspace_id * 1_000 + post_id, workspace_id)
        assert len(asyncio.all_tasks()) - before == rounds

    await publisher.stop()
    assert not publisher._held


async def test_posts_leave_connections_to_others(
    domain: Domain, admin: Actor, publisher: Publisher, settings: Settings
) -> None:
    post = await due_post(domain, admin)
    async with connected(settings.database_url) as apart:
        async with apart.transaction(), asyncio.timeout(30):
            await apart.execute("LOCK TABLE post IN ACCESS EXCLUSIVE MODE")
            for number in range(PLACES // 2):
                publisher.take(post.id + number, post.workspace_id)
            while await waiting_for_locks(apart) < POSTS_AT_ONCE:
                pass
            assert await Webhook.all().count() == 0
            assert await waiting_for_locks(apart) == POSTS_AT_ONCE
        await until(lambda: is_published(post))


async def test_leaving_waits_for_the_round_that_is_under_way(domain: Domain, admin: Actor) -> None:
    post = await due_post(domain, admin)

    async with Publisher(domain).running() as publisher:
        publisher.take(post.id, post.workspace_id)

    assert await is_published(post)


async def test_leaving_waits_no_longer_than_the_deadline_and_begins_nothing_more(
    settings: Settings,
) -> None:
    settings = replace(settings, shutdown_deadline=timedelta(milliseconds=50))
    async with gated(settings) as gates, opened(gates.settings) as domain:
        admin = Actor(await workspaces.create("Test"), None, Role.ADMIN)
        post = await due_post(domain, admin)
        async with Publisher(domain).running() as publisher, asyncio.timeout(60):
            gates.postgres.tell("silent", "")
            publisher.take(post.id, post.workspace_id)
            await publisher.stop()
            publisher.take(post.id, post.workspace_id)
            assert not publisher._rounds
        reopen(gates.postgres)

        assert not await is_published(post)


async def test_a_database_that_is_away_leaves_the_post_to_the_loop(settings: Settings) -> None:
    async with gated(settings) as gates, opened(gates.settings) as domain:
        admin = Actor(await workspaces.create("Test"), None, Role.ADMIN)
        post = await due_post(domain, admin)
        async with Publisher(domain).running() as publisher:
            close(gates.postgres)
            with capture_logs() as lines:
                await publisher.hear_of(post.id)
                publisher.take(post.id, post.workspace_id)
                await until(lambda: "publish.database_away" in {line["event"] for line in lines})
            reopen(gates.postgres)
            await publisher.take_due()

            await until(lambda: is_published(post))
