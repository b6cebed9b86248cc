"""Trying again: how long a network is waited for, and when a post on it is given up."""

import asyncio
from datetime import UTC, datetime, timedelta
from time import monotonic

import pytest

from domain import database, owed, publishing
from domain.providers.answers import AMBIGUOUS_WAIT
from domain.providers.interface import Publication, PublishResult, TryLater
from domain.tables import Post, PostAccount
from domain.tries import GIVE_UP_AFTER, MOST_TRIES
from domain.unit import Actor, Domain
from domain.vocabulary import PostAccountStatus, PostStatus
from tests.domain.network import Network, entries_of, publish_due, ready, status_of

NOW = datetime.now(UTC)


async def test_a_rate_limit_waits_while_the_others_are_out(domain: Domain, admin: Actor) -> None:
    post = await ready(domain, admin, "rate-limited", "ok")
    assert await publishing.publish(domain, post.id, now := datetime.now(UTC))
    limited, good = await entries_of(post)
    assert (limited.status, good.status) == (PostAccountStatus.PENDING, PostAccountStatus.PUBLISHED)
    found = await Post.get(id=post.id)
    assert (found.status, found.leased_until) == (PostStatus.PUBLISHING, None)
    assert found.due_at is not None
    assert found.due_at >= now + timedelta(seconds=5)
    assert not await publishing.publish(domain, post.id, now + timedelta(seconds=5))
    assert await publishing.publish(domain, post.id, found.due_at)
    assert await status_of(post) is PostStatus.PUBLISHED
    assert [entry.errors for entry in await entries_of(post)] == [[], []]


async def test_waits_double_and_a_network_s_longer_wish_is_followed(
    domain: Domain, admin: Actor, network: Network
) -> None:
    wishes = iter([timedelta(0), timedelta(0), timedelta(minutes=10), timedelta(days=3)])

    async def later(publication: Publication) -> PublishResult:
        return TryLater(next(wishes), "busy")

    network.before = later
    post = await ready(domain, admin, "ok")
    now = datetime.now(UTC)
    for seconds in (5, 10, 10 * 60, 24 * 3600):
        began = monotonic()
        assert await publishing.publish(domain, post.id, now)
        took = timedelta(seconds=monotonic() - began)
        due = (await Post.get(id=post.id)).due_at
        assert due is not None
        # Counted from the answer, which took a moment.
        assert now + timedelta(seconds=seconds) <= due <= now + timedelta(seconds=seconds) + took
        now = due


async def test_a_wait_begins_with_the_answer_and_not_with_the_question(
    domain: Domain, admin: Actor, network: Network
) -> None:
    answered: list[datetime] = []

    async def slowly(publication: Publication) -> PublishResult:
        await asyncio.sleep(0.5)
        answered.append(await database.now())
        return TryLater(AMBIGUOUS_WAIT, "gone")

    network.before = slowly
    post = await ready(domain, admin, "ok")
    assert await publishing.publish(domain, post.id)
    due = (await Post.get(id=post.id)).due_at
    assert due is not None
    assert due > answered[0] + AMBIGUOUS_WAIT - timedelta(seconds=0.1)


async def test_who_was_given_up_may_still_be_at_it_and_is_left_alone_for_a_while(
    domain: Domain, admin: Actor, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "ACCOUNT_DEADLINE", timedelta(seconds=1))

    async def never(publication: Publication) -> PublishResult:
        await asyncio.sleep(60)
        raise AssertionError

    network.before = never
    post = await ready(domain, admin, "ok")
    assert await publishing.publish(domain, post.id)
    assert [*await owed.due_posts(10, await database.now() + AMBIGUOUS_WAIT - timedelta(seconds=10))] == []
    assert [*await owed.due_posts(10, await database.now() + AMBIGUOUS_WAIT)] == [post.id]


async def test_a_network_that_never_takes_it_is_given_up(domain: Domain, admin: Actor, network: Network) -> None:
    async def later(publication: Publication) -> PublishResult:
        return TryLater(timedelta(0), "busy")

    network.before = later
    post = await ready(domain, admin, "ok")
    start = now = datetime.now(UTC)
    while await status_of(post) is PostStatus.PUBLISHING:
        assert await publishing.publish(domain, post.id, now)
        now = (await Post.get(id=post.id)).due_at or now
    assert GIVE_UP_AFTER <= now - start <= GIVE_UP_AFTER + timedelta(hours=1)
    assert network.asked < MOST_TRIES
    assert (await entries_of(post))[0].errors == ["busy"]


async def test_a_post_that_kills_its_workers_comes_to_an_end(domain: Domain, admin: Actor, network: Network) -> None:
    post = await ready(domain, admin, "ok")
    [entry] = await entries_of(post)
    await PostAccount.filter(id=entry.id).update(progress={"count": MOST_TRIES, "since": NOW.isoformat()})
    await publish_due(domain)
    assert network.asked == 0
    assert await status_of(post) is PostStatus.FAILED
