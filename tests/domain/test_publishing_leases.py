"""No post twice, whatever dies: one worker at a time publishes it, for as long as its lease lasts."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tortoise.transactions import in_transaction

from domain import owed, posts, publishing, workspaces
from domain.errors import Unavailable
from domain.providers.interface import LostLease, Publication, Published, PublishResult, Rejected, TryLater
from domain.settings import Settings
from domain.tables import Post
from domain.unit import Actor, Domain, opened
from domain.vocabulary import PostAccountStatus, PostStatus, Role
from tests.away import close, gated
from tests.domain.at_once import beside
from tests.domain.doing import add_account, names, write
from tests.domain.network import Network, entries_of, ready, status_of


async def test_a_repeated_job_publishes_nothing(domain: Domain, admin: Actor, network: Network) -> None:
    post = await ready(domain, admin, "ok")
    assert await publishing.publish(domain, post.id)
    assert not await publishing.publish(domain, post.id)
    assert not await publishing.publish(domain, post.id + 1000)
    assert network.asked == 1


async def test_of_many_workers_at_once_one_publishes(domain: Domain, admin: Actor, network: Network) -> None:
    post = await ready(domain, admin, "ok")
    taken = await asyncio.gather(*(publishing.publish(domain, post.id) for _ in range(8)))
    assert sum(taken) == 1
    assert network.asked == 1
    assert (await names()).count("post.published") == 1


async def test_a_worker_that_dies_after_posting_leaves_one_post(domain: Domain, admin: Actor, network: Network) -> None:
    post = await ready(domain, admin, "ok")
    now = datetime.now(UTC)
    claimed = await publishing.claim(domain, post.id, now)
    assert claimed is not None
    # The worker posts, and dies before it records.
    await publishing._ask(domain, claimed, claimed.held[0])
    assert len(network.posted) == 1
    assert not await publishing.publish(domain, post.id, now)
    assert [*await owed.due_posts(10, now)] == []
    later = now + domain.settings.lease
    assert [*await owed.due_posts(10, later)] == [post.id]
    assert await publishing.publish(domain, post.id, later)
    assert await status_of(post) is PostStatus.PUBLISHED
    assert len(network.posted) == 1
    assert (await names()).count("post.published") == 1


async def test_a_worker_that_lost_its_lease_changes_nothing(domain: Domain, admin: Actor, network: Network) -> None:
    post = await ready(domain, admin, "ok")
    now = datetime.now(UTC)
    slow = await publishing.claim(domain, post.id, now)
    begun = await Post.get(id=post.id)
    quick = await publishing.claim(domain, post.id, now + domain.settings.lease)
    assert slow is not None
    assert quick is not None
    # For readers nothing has changed: the post is still being published.
    assert (await Post.get(id=post.id)).updated_at == begun.updated_at
    with pytest.raises(LostLease):
        await publishing._remember(domain, slow, slow.held[0], {"late": True})
    with pytest.raises(LostLease):
        await publishing.record(domain, slow, slow.held[0], Rejected("late"))
    with pytest.raises(LostLease):
        await publishing.finish(domain, slow)
    await publishing.record(domain, quick, quick.held[0], Published("7", None))
    await publishing.finish(domain, quick)
    [entry] = await entries_of(post)
    assert (entry.status, entry.provider_post_id, entry.errors) == (PostAccountStatus.PUBLISHED, "7", [])


async def test_a_worker_that_loses_its_lease_as_it_records_changes_nothing(
    domain: Domain, admin: Actor, network: Network
) -> None:
    post = await ready(domain, admin, "ok")
    slow = await publishing.claim(domain, post.id, datetime.now(UTC))
    assert slow is not None
    async with in_transaction():
        await Post.all().update(claim=99)
        late = await beside(publishing.record(domain, slow, slow.held[0], Rejected("late")))

    with pytest.raises(LostLease):
        await late

    [entry] = await entries_of(post)
    assert (entry.status, entry.errors) == (PostAccountStatus.PENDING, [])


async def test_a_round_whose_lease_is_lost_ends_quietly(domain: Domain, admin: Actor, network: Network) -> None:
    async def overtaken(publication: Publication) -> PublishResult | None:
        await Post.all().update(claim=99)
        await publication.remember({"late": True})
        raise AssertionError("the call went out though the lease was lost")

    network.before = overtaken
    post = await ready(domain, admin, "ok")
    assert await publishing.publish(domain, post.id)
    assert network.posted == []
    assert await status_of(post) is PostStatus.PUBLISHING


async def test_a_lease_is_renewed_while_a_network_takes_its_time(
    domain: Domain, admin: Actor, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert publishing.RENEWALS_PER_LEASE > 1
    monkeypatch.setattr(publishing, "RENEWALS_PER_LEASE", 600)
    lease = timedelta(minutes=1)
    seen: list[bool] = []

    async def wait_for_renewal(publication: Publication) -> PublishResult | None:
        first = (await Post.all().first()).leased_until  # type: ignore[union-attr]
        while (leased := (await Post.all().first()).leased_until) == first:  # type: ignore[union-attr]
            await asyncio.sleep(0.01)
        assert first
        assert leased
        seen.append(leased - lease < first)
        return None

    network.before = wait_for_renewal
    post = await ready(domain, admin, "ok")
    async with asyncio.timeout(60):
        await publishing.publish(with_lease(domain, lease), post.id)
    assert seen == [True], "or another worker could have had it meanwhile"
    assert await status_of(post) is PostStatus.PUBLISHED


async def test_a_round_ends_when_its_lease_is_lost_though_the_network_is_silent(
    domain: Domain, admin: Actor, network: Network
) -> None:
    async def overtaken(publication: Publication) -> PublishResult | None:
        await Post.all().update(claim=99)
        await asyncio.Event().wait()
        return None

    network.before = overtaken
    post = await ready(domain, admin, "ok")
    async with asyncio.timeout(60):
        await publishing.publish(with_lease(domain, timedelta(seconds=0.3)), post.id)
    assert network.posted == []


async def test_a_network_that_never_answers_holds_its_place_no_longer_than_the_deadline(
    domain: Domain, admin: Actor, network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hang(_: Publication) -> PublishResult | None:
        await asyncio.Event().wait()
        return None

    network.before = hang
    monkeypatch.setattr(publishing, "ACCOUNT_DEADLINE", timedelta(seconds=0.05))
    post = await ready(domain, admin, "ok")
    async with asyncio.timeout(60):
        await publishing.publish(domain, post.id)

    [entry] = await entries_of(post)
    assert (entry.status, entry.errors) == (PostAccountStatus.PENDING, ["The network took too long to answer."])


def with_lease(domain: Domain, lease: timedelta) -> Domain:
    return replace(domain, settings=replace(domain.settings, lease=lease))


async def test_what_a_network_remembers_outlives_the_worker(domain: Domain, admin: Actor, network: Network) -> None:
    seen: list[dict[str, Any]] = []

    async def remember(publication: Publication) -> PublishResult | None:
        seen.append(publication.progress)
        await publication.remember({"key": f"{len(seen)}k"})
        if len(seen) == 1:
            raise ZeroDivisionError
        return TryLater(timedelta(0), "not now") if len(seen) == 2 else None

    network.before = remember
    post = await ready(domain, admin, "ok")
    now = datetime.now(UTC)
    await publishing.publish(domain, post.id, now)
    await publishing.publish(domain, post.id, now + timedelta(minutes=1))
    await publishing.publish(domain, post.id, now + timedelta(minutes=5))
    assert seen == [{}, {"key": "1k"}, {"key": "2k"}]
    assert await status_of(post) is PostStatus.PUBLISHED


async def test_an_edit_and_a_claim_at_once_never_mix(domain: Domain, admin: Actor, network: Network) -> None:
    account = await add_account(domain, admin)
    for _ in range(5):
        post = await write(domain, admin, account, scheduled_at=datetime.now(UTC) + timedelta(hours=1))
        later = datetime.now(UTC) + timedelta(hours=2)
        trash = _trash(domain, admin, post.id)
        await asyncio.gather(publishing.publish(domain, post.id, later), trash, return_exceptions=True)
        found = await Post.get(id=post.id)
        assert (found.status, found.trashed) in {
            (PostStatus.PUBLISHED, False),
            (PostStatus.PUBLISHED, True),
            (PostStatus.DRAFT, True),
        }
        was_sent = any(key.startswith(str(post.uuid)) for key, _ in network.posted)
        assert was_sent == (found.status is PostStatus.PUBLISHED)


async def _trash(domain: Domain, admin: Actor, post_id: int) -> None:
    async with domain.unit(admin) as unit:
        await posts.delete(unit, [post_id], to_trash=True)


async def test_a_post_cannot_be_claimed_while_the_database_is_away(settings: Settings) -> None:
    async with gated(settings) as gates, opened(gates.settings) as domain:
        admin = Actor(await workspaces.create("Test"), None, Role.ADMIN)
        post = await ready(domain, admin, "ok")
        close(gates.postgres)

        with pytest.raises(Unavailable):
            await publishing.claim(domain, post.id, datetime.now(UTC))
