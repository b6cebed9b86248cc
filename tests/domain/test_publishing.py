"""Publishing: each account by itself, with its own text, its own credentials and its own end."""

import json
from datetime import UTC, datetime, timedelta

from domain import accounts, owed, posts, publishing
from domain.accounts import AccountChanges
from domain.providers.interface import Publication, PublishResult, Rejected, TryLater, Unauthorized
from domain.queue import QUEUE_NAME
from domain.tables import Account, Post, PostAccount, PostChange
from domain.tries import GIVE_UP_AFTER, MOST_TRIES, Tries
from domain.unit import Actor, Domain
from domain.vocabulary import EventType, PostAccountStatus, PostStatus
from tests.domain.doing import add_account, delivered_to, documents, listen, names, publish, write
from tests.domain.network import Network, entries_of, publish_due, ready, status_of


async def test_a_post_is_published_and_told_of_with_its_url(domain: Domain, admin: Actor) -> None:
    hook = await listen(domain, admin, EventType.POST_PUBLISHED)
    post = await ready(domain, admin, "ok")
    await publish_due(domain)
    found = await Post.get(id=post.id)
    assert (found.status, found.due_at, found.leased_until) == (PostStatus.PUBLISHED, None, None)
    assert found.published_at is not None
    [entry] = await entries_of(post)
    assert entry.external_url is not None
    assert entry.external_url.startswith("https://sandbox.invalid/")
    name, data = (await documents())[-1]
    assert (name, data["status"], data["accounts"][0]["external_url"]) == (
        "post.published",
        "published",
        entry.external_url,
    )
    assert await delivered_to(hook) == ["post.published"]
    changes = await PostChange.filter(post_id=post.id).order_by("id")
    assert [row.snapshot["status"] for row in changes] == ["draft", "publishing", "published"]
    assert [row.change for row in changes] == [1, 2, 3]


async def test_a_scheduled_post_waits_for_its_time(domain: Domain, admin: Actor) -> None:
    time = datetime.now(UTC) + timedelta(hours=1)
    post = await write(domain, admin, await add_account(domain, admin), scheduled_at=time)
    assert not await publishing.publish(domain, post.id)
    assert [*await owed.due_posts(10)] == []
    assert [*await owed.due_posts(10, time)] == [post.id]
    assert await publishing.publish(domain, post.id, time)
    assert await status_of(post) is PostStatus.PUBLISHED
    changes = await PostChange.filter(post_id=post.id).order_by("id")
    assert [row.snapshot["status"] for row in changes] == ["scheduled", "publishing", "published"]
    assert len({row.snapshot["post"]["updated_at"] for row in changes}) == 3


async def test_accounts_that_must_wait_are_tried_again_each_in_its_own_time(
    domain: Domain, admin: Actor, network: Network
) -> None:
    wishes = iter([TryLater(timedelta(minutes=1), "Later."), TryLater(timedelta(minutes=3), "Later.")])

    async def busy(publication: Publication) -> PublishResult | None:
        return next(wishes, None)

    network.before = busy
    on = [await add_account(domain, admin, "ok", name) for name in ("one", "two")]
    post = await publish(domain, admin, (await write(domain, admin, *on)).id)
    await domain.outlet.flush()
    await domain.redis.delete(QUEUE_NAME)
    now = datetime.now(UTC)

    for minutes, asked in ((0, 2), (2, 3), (4, 4)):
        await publishing.publish(domain, post.id, now + timedelta(minutes=minutes))
        assert network.asked == asked
        if not minutes:
            await post.refresh_from_db()
            assert post.due_at is not None
            assert timedelta(minutes=1) <= post.due_at - now < timedelta(minutes=2)
            await domain.outlet.flush()
            assert await domain.redis.zcard(QUEUE_NAME) == 1

    assert await status_of(post) is PostStatus.PUBLISHED
    assert [(Tries.read(entry.progress).count, entry.errors) for entry in await entries_of(post)] == [(2, []), (2, [])]


async def test_a_post_that_was_begun_too_often_or_deferred_for_too_long_ends(
    domain: Domain, admin: Actor, network: Network
) -> None:
    async def busy(_: Publication) -> PublishResult | None:
        return TryLater(timedelta(minutes=1), "Later.")

    network.before = busy
    now = datetime.now(UTC)
    for tries, asked in ((Tries(count=MOST_TRIES), 0), (Tries(count=1, since=now - GIVE_UP_AFTER), 1)):
        post = await ready(domain, admin, "ok")
        await PostAccount.filter(post_id=post.id).update(progress=tries.stored())

        await publishing.publish(domain, post.id)

        assert (await status_of(post), network.asked) == (PostStatus.FAILED, asked)


async def test_an_account_that_fails_does_not_hold_back_the_others(domain: Domain, admin: Actor) -> None:
    post = await ready(domain, admin, "ok", "failing", "unauthorized")
    await publish_due(domain)
    assert await status_of(post) is PostStatus.FAILED
    good, failed, lost = await entries_of(post)
    assert [entry.status.value for entry in (good, failed, lost)] == ["published", "failed", "failed"]
    told = await documents()
    assert [name for name, _ in told][-2:] == ["account.unauthorized", "post.publishing_failed"]
    data = told[-1][1]
    assert [(bool(entry["external_url"]), len(entry["errors"])) for entry in data["accounts"]] == [
        (True, 0),
        (False, 1),
        (False, 1),
    ]
    assert data["accounts"][2]["authorized"] is False
    assert (await Post.get(id=post.id)).published_at is None


async def test_publishing_again_tries_only_the_accounts_that_failed(
    domain: Domain, admin: Actor, network: Network
) -> None:
    async def reject_second(publication: Publication) -> PublishResult | None:
        return Rejected("no") if publication.account.data["server"] == "failing" and network.asked < 3 else None

    network.before = reject_second
    post = await ready(domain, admin, "ok", "failing")
    await publish_due(domain)
    assert await status_of(post) is PostStatus.FAILED
    await publish(domain, admin, post.id)
    await publish_due(domain)
    assert await status_of(post) is PostStatus.PUBLISHED
    assert network.asked == 3
    assert (await names())[-2:] == ["post.publishing_failed", "post.published"]


async def test_the_sandbox_s_partial_failure_ends_when_it_is_published_again(domain: Domain, admin: Actor) -> None:
    post = await ready(domain, admin, "partially-failing")
    await publish_due(domain)
    assert await status_of(post) is PostStatus.FAILED
    await publish(domain, admin, post.id)
    await publish_due(domain)
    assert await status_of(post) is PostStatus.PUBLISHED


async def test_a_fault_of_ours_on_one_account_does_not_hold_back_the_others(
    domain: Domain, admin: Actor, network: Network
) -> None:
    async def break_on_failing(publication: Publication) -> PublishResult | None:
        if publication.account.data["server"] == "failing":
            raise RuntimeError("pl4nted")
        return None

    network.before = break_on_failing
    post = await ready(domain, admin, "failing", "ok")
    await publish_due(domain)
    broken, good = await entries_of(post)
    assert (broken.status, good.status) == (PostAccountStatus.PENDING, PostAccountStatus.PUBLISHED)
    assert "pl4nted" not in json.dumps(broken.errors)


async def test_credentials_that_no_key_opens_hold_back_their_account_alone(domain: Domain, admin: Actor) -> None:
    post = await ready(domain, admin, "slow", "ok")
    locked, _ = await entries_of(post)
    await Account.filter(id=locked.account_id).update(sealed_credentials=b"\x01" + bytes(40))
    await publish_due(domain)
    locked, good = await entries_of(post)
    assert (locked.status, good.status) == (PostAccountStatus.PENDING, PostAccountStatus.PUBLISHED)
    assert locked.errors == ["Hookline could not publish to this account just now."]


async def test_each_account_says_its_own_text(domain: Domain, admin: Actor, network: Network) -> None:
    one, two = await add_account(domain, admin), await add_account(domain, admin)
    variants = (posts.Variant(two.id, "own words"),)
    post = await write(domain, admin, one, two, variants=variants)
    await publish(domain, admin, post.id)
    await publish_due(domain)
    assert sorted(text for _, text in network.posted) == ["Hello", "own words"]


async def test_a_renewed_session_is_kept_unless_a_person_was_quicker(
    domain: Domain, admin: Actor, network: Network
) -> None:
    account = await add_account(domain, admin)
    first = await write(domain, admin, account)
    await publish(domain, admin, first.id)
    await publish_due(domain)
    found = await Account.get(id=account.id)
    assert accounts.opened_credentials(domain.vault, found) == {"session": 1}

    async def meanwhile(publication: Publication) -> PublishResult | None:
        await accounts.update(domain, admin, account.id, AccountChanges(credential="new"))
        return None

    network.before = meanwhile
    second = await write(domain, admin, account)
    await publish(domain, admin, second.id)
    await publish_due(domain)
    found = await Account.get(id=account.id)
    assert accounts.opened_credentials(domain.vault, found) == {"credential": "new"}


async def test_a_deleted_or_unauthorized_account_fails_without_a_call(
    domain: Domain, admin: Actor, network: Network
) -> None:
    gone, lost = await add_account(domain, admin), await add_account(domain, admin)
    post = await write(domain, admin, gone, lost)
    await publish(domain, admin, post.id)
    async with domain.unit(admin) as unit:
        await accounts.delete(unit, gone.id)
        await accounts.lose_authorization(unit, lost)
    await publish_due(domain)
    assert network.asked == 0
    assert [entry.status.value for entry in await entries_of(post)] == ["failed", "failed"]
    assert (await names()).count("account.unauthorized") == 1


async def test_where_credentials_were_renewed_before_they_were_refused_the_newer_ones_are_tried(
    domain: Domain, admin: Actor, network: Network
) -> None:
    account = await add_account(domain, admin)

    async def refuse_once(publication: Publication) -> PublishResult | None:
        if network.asked > 1:
            return None
        await accounts.update(domain, admin, account.id, AccountChanges(credential="fresh"))
        return Unauthorized("no")

    network.before = refuse_once
    post = await publish(domain, admin, (await write(domain, admin, account)).id)
    now = datetime.now(UTC)
    await publishing.publish(domain, post.id, now)
    assert (await Account.get(id=account.id)).authorized
    await publishing.publish(domain, post.id, now + timedelta(minutes=1))

    assert await status_of(post) is PostStatus.PUBLISHED
    assert "account.unauthorized" not in await names()


async def test_a_refusal_is_not_lost_where_another_post_has_renewed_the_session(
    domain: Domain, admin: Actor, network: Network
) -> None:
    account = await add_account(domain, admin)
    refused, other = [await publish(domain, admin, (await write(domain, admin, account)).id) for _ in "ab"]

    async def revoked(publication: Publication) -> PublishResult | None:
        if publication.key.startswith(str(other.uuid)):
            return None
        if network.asked == 1:
            await publishing.publish(domain, other.id)
        return Unauthorized("no")

    network.before = revoked
    now = datetime.now(UTC)
    await publishing.publish(domain, refused.id, now)
    assert [await status_of(post) for post in (other, refused)] == [PostStatus.PUBLISHED, PostStatus.PUBLISHING]

    await publishing.publish(domain, refused.id, now + timedelta(minutes=1))

    assert await status_of(refused) is PostStatus.FAILED
    assert not (await Account.get(id=account.id)).authorized
    assert (await names())[-2:] == ["account.unauthorized", "post.publishing_failed"]


async def test_what_a_stranger_says_is_kept_as_far_as_it_can_be(domain: Domain, admin: Actor, network: Network) -> None:
    async def reject(publication: Publication) -> PublishResult:
        return Rejected("no\x00\ud800" + "!" * 5000)

    network.before = reject
    post = await ready(domain, admin, "ok")
    await publish_due(domain)
    assert (await entries_of(post))[0].errors == ["no" + "!" * 998]
