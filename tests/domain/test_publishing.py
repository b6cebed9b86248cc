"""Publishing: each account by itself, no post twice, whatever dies."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain import accounts, posts, publishing
from domain.accounts import AccountChanges
from domain.providers import CLIENTS
from domain.providers.interface import (
    BadInput,
    Caller,
    LostLease,
    NewCredentials,
    Profile,
    Publication,
    Published,
    PublishingAccount,
    PublishResult,
    Rejected,
    TextMeasure,
    TryLater,
    Unauthorized,
)
from domain.providers.sandbox import Sandbox
from domain.tables import Account, Post, PostAccount, PostChange
from domain.tries import GIVE_UP_AFTER, MOST_TRIES
from domain.unit import Actor, Domain
from domain.vocabulary import EventType, PostAccountStatus, PostStatus, Provider
from tests.domain.doing import add_account, delivered_to, documents, listen, names, publish, write
from workers.publish import Publisher

NOW = datetime.now(UTC)


@dataclass
class Network:
    """A network in this process: it keeps what was posted by its key, and a test says what it does first."""

    name: Provider = Provider.SANDBOX
    posted: list[tuple[str, str]] = field(default_factory=list)
    asked: int = 0
    before: Callable[[Publication], Coroutine[Any, Any, PublishResult | None]] | None = None

    def faults_of(self, new: NewCredentials) -> list[BadInput]:
        return Sandbox().faults_of(new)

    async def check(self, caller: Caller, new: NewCredentials) -> Profile:
        return await Sandbox().check(caller, new)

    def measure(self, text: str, account_data: dict[str, Any]) -> TextMeasure:
        return Sandbox().measure(text, account_data)

    async def publish(self, caller: Caller, publication: Publication) -> PublishResult:
        self.asked += 1
        if self.before and (result := await self.before(publication)):
            return result
        if publication.key not in [key for key, _ in self.posted]:
            self.posted.append((publication.key, publication.text))
        return Published("1", "https://network.example/1", {"session": self.asked})


@pytest.fixture
async def network() -> AsyncIterator[Network]:
    """Stands where the sandbox does."""
    usual = CLIENTS[Provider.SANDBOX]
    CLIENTS[Provider.SANDBOX] = network = Network()
    yield network
    CLIENTS[Provider.SANDBOX] = usual


async def publish_due(domain: Domain) -> None:
    """One step of the worker's loop, to its end."""
    async with Publisher(domain).running() as publisher:
        await publisher.take_due()


async def entries_of(post: Post) -> list[PostAccount]:
    return await PostAccount.filter(post_id=post.id).order_by("id")


async def status_of(post: Post) -> PostStatus:
    return (await Post.get(id=post.id)).status


async def ready(domain: Domain, admin: Actor, *servers: str) -> Post:
    """A post that is due on one account for each of these behaviours."""
    on = [await add_account(domain, admin, server) for server in servers]
    return await publish(domain, admin, (await write(domain, admin, *on)).id)


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
    assert await publishing.due(10) == []
    assert await publishing.due(10, time) == [post.id]
    assert await publishing.publish(domain, post.id, time)
    assert await status_of(post) is PostStatus.PUBLISHED
    changes = await PostChange.filter(post_id=post.id).order_by("id")
    assert [row.snapshot["status"] for row in changes] == ["scheduled", "publishing", "published"]


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


async def test_a_rate_limit_waits_while_the_others_are_out(domain: Domain, admin: Actor) -> None:
    post = await ready(domain, admin, "rate-limited", "ok")
    assert await publishing.publish(domain, post.id, now := datetime.now(UTC))
    limited, good = await entries_of(post)
    assert (limited.status, good.status) == (PostAccountStatus.PENDING, PostAccountStatus.PUBLISHED)
    found = await Post.get(id=post.id)
    assert (found.status, found.leased_until) == (PostStatus.PUBLISHING, None)
    assert found.due_at == now + timedelta(seconds=5)
    assert not await publishing.publish(domain, post.id, now + timedelta(seconds=4))
    assert await publishing.publish(domain, post.id, now + timedelta(seconds=5))
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
    now, waits = datetime.now(UTC), []
    for _ in range(4):
        assert await publishing.publish(domain, post.id, now)
        due = (await Post.get(id=post.id)).due_at
        assert due is not None
        waits.append(due - now)
        now = due
    assert waits == [timedelta(seconds=5), timedelta(seconds=10), timedelta(minutes=10), timedelta(hours=24)]


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


async def test_a_worker_that_dies_after_posting_leaves_one_post(domain: Domain, admin: Actor, network: Network) -> None:
    post = await ready(domain, admin, "ok")
    now = datetime.now(UTC)
    claimed = await publishing.claim(domain, post.id, now)
    assert claimed is not None
    # The worker posts, and dies before it records.
    await publishing._ask(domain, claimed, claimed.held[0])
    assert len(network.posted) == 1
    assert not await publishing.publish(domain, post.id, now)
    assert await publishing.due(10, now) == []
    later = now + domain.settings.lease
    assert await publishing.due(10, later) == [post.id]
    assert await publishing.publish(domain, post.id, later)
    assert await status_of(post) is PostStatus.PUBLISHED
    assert len(network.posted) == 1
    assert (await names()).count("post.published") == 1


async def test_a_worker_that_lost_its_lease_changes_nothing(domain: Domain, admin: Actor, network: Network) -> None:
    post = await ready(domain, admin, "ok")
    now = datetime.now(UTC)
    slow = await publishing.claim(domain, post.id, now)
    quick = await publishing.claim(domain, post.id, now + domain.settings.lease)
    assert slow is not None
    assert quick is not None
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
    domain: Domain, admin: Actor, network: Network
) -> None:
    quick = with_lease(domain, timedelta(seconds=0.3))
    seen: list[datetime | None] = []

    async def wait_for_renewal(publication: Publication) -> PublishResult | None:
        first = (await Post.all().first()).leased_until  # type: ignore[union-attr]
        while (leased := (await Post.all().first()).leased_until) == first:  # type: ignore[union-attr]
            await asyncio.sleep(0)
        seen.append(leased)
        return None

    network.before = wait_for_renewal
    post = await ready(domain, admin, "ok")
    async with asyncio.timeout(10):
        await publishing.publish(quick, post.id)
    assert len(seen) == 1
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
    async with asyncio.timeout(10):
        await publishing.publish(with_lease(domain, timedelta(seconds=0.3)), post.id)
    assert network.posted == []


def with_lease(domain: Domain, lease: timedelta) -> Domain:
    return replace(domain, settings=replace(domain.settings, lease=lease))


async def test_what_a_network_remembers_outlives_the_worker(domain: Domain, admin: Actor, network: Network) -> None:
    seen: list[dict[str, Any]] = []

    async def remember(publication: Publication) -> PublishResult | None:
        seen.append(publication.progress)
        await publication.remember({"key": "3k"})
        if len(seen) == 1:
            raise ZeroDivisionError
        return None

    network.before = remember
    post = await ready(domain, admin, "ok")
    now = datetime.now(UTC)
    await publishing.publish(domain, post.id, now)
    await publishing.publish(domain, post.id, now + timedelta(minutes=1))
    assert seen == [{}, {"key": "3k"}]
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


async def test_a_refusal_of_credentials_that_were_renewed_meanwhile_takes_nothing_away(
    domain: Domain, admin: Actor, network: Network
) -> None:
    account = await add_account(domain, admin)

    async def refuse(publication: Publication) -> PublishResult:
        await accounts.update(domain, admin, account.id, AccountChanges(credential="fresh"))
        return Unauthorized("no")

    network.before = refuse
    post = await write(domain, admin, account)
    await publish(domain, admin, post.id)
    await publish_due(domain)

    assert (await Account.get(id=account.id)).authorized
    assert "account.unauthorized" not in await names()


async def test_what_a_stranger_says_is_kept_as_far_as_it_can_be(domain: Domain, admin: Actor, network: Network) -> None:
    async def reject(publication: Publication) -> PublishResult:
        return Rejected("no\x00\ud800" + "!" * 5000)

    network.before = reject
    post = await ready(domain, admin, "ok")
    await publish_due(domain)
    assert (await entries_of(post))[0].errors == ["no" + "!" * 998]


async def test_a_post_that_kills_its_workers_comes_to_an_end(domain: Domain, admin: Actor, network: Network) -> None:
    post = await ready(domain, admin, "ok")
    [entry] = await entries_of(post)
    await PostAccount.filter(id=entry.id).update(progress={"count": MOST_TRIES, "since": NOW.isoformat()})
    await publish_due(domain)
    assert network.asked == 0
    assert await status_of(post) is PostStatus.FAILED


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


@pytest.mark.parametrize("server", ["ok", "slow", "failing", "unauthorized", "rate-limited", "partially-failing"])
async def test_every_behaviour_of_the_sandbox_ends_without_a_request(server: str) -> None:
    client = Sandbox(slowness=timedelta())
    profile = await client.check(NoCaller(), NewCredentials(server))
    account = PublishingAccount(profile.provider_id, profile.username, profile.data, profile.credentials)
    result = await client.publish(NoCaller(), Publication(account, "Hello", "key", NOW))
    expected = {
        "failing": "Rejected",
        "unauthorized": "Unauthorized",
        "rate-limited": "TryLater",
        "partially-failing": "Rejected",
    }
    assert type(result).__name__ == expected.get(server, "Published")


class NoCaller:
    """A door that stays shut."""

    async def call(self, *args: Any, **more: Any) -> Any:
        raise AssertionError("the sandbox made a request")
