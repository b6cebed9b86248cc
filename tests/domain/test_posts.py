"""Posts: what a person may do with one, in which state, and what is announced of it."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain import post_checks, posts, workspaces
from domain.errors import FaultCode, Refused
from domain.posts import NewPost, Variant
from domain.tables import Account, AuditEvent, Post, PostAccount
from domain.unit import Actor, Domain
from domain.vocabulary import PostAccountStatus, PostStatus, Role
from domain.workspaces import NewToken
from tests.domain.doing import add_account, change_post, documents, faults_of, publish, write
from tests.domain.posting import LATER, SOON, delete, live, put_in_state, schedule, told


async def test_a_draft_is_created_and_told_of(domain: Domain, admin: Actor, account: Account) -> None:
    token, _ = await make_token(domain, admin)
    post = await write(domain, Actor(admin.workspace, token, Role.MEMBER), account, body="Hi")
    assert (post.status, post.due_at) == (PostStatus.DRAFT, None)
    name, data = (await documents())[-1]
    assert name == "post.created"
    assert (data["id"], data["status"], data["user"]) == (post.id, "draft", {"id": token.id, "name": "Ann"})
    assert [entry["uuid"] for entry in data["accounts"]] == [str(account.uuid)]
    assert [version["content"][0]["body"] for version in data["versions"]] == ["Hi"]
    assert await live() == [(1, "draft")]


async def make_token(domain: Domain, admin: Actor) -> tuple[Any, str]:
    async with domain.unit(admin) as unit:
        return await workspaces.create_token(unit, NewToken("Ann", Role.MEMBER))


async def test_a_post_created_with_a_time_is_told_of_twice(domain: Domain, admin: Actor, account: Account) -> None:
    post = await write(domain, admin, account, scheduled_at=SOON)
    assert (post.status, post.scheduled_at, post.due_at) == (PostStatus.SCHEDULED, SOON, SOON)
    assert await told() == ["post.created", "post.scheduled"]
    assert await live() == [(1, "scheduled")]


async def test_variants_say_their_own_text(domain: Domain, admin: Actor, account: Account) -> None:
    other = await add_account(domain, admin)
    await write(domain, admin, account, other, variants=(Variant(other.id, "Other text"),))
    _, data = (await documents())[-1]
    assert [(version["account_id"], version["content"][0]["body"]) for version in data["versions"]] == [
        (0, "Hello"),
        (other.id, "Other text"),
    ]


async def test_the_same_key_gives_the_same_post_though_asked_at_once(
    domain: Domain, admin: Actor, account: Account
) -> None:
    made = await asyncio.gather(*(write(domain, admin, account, idempotency_key="k") for _ in range(5)))
    assert len({post.id for post in made}) == 1
    assert await told() == ["post.created"]
    again = await write(domain, admin, account, idempotency_key="k", scheduled_at=SOON - timedelta(days=9))
    assert again.id == made[0].id


async def test_the_same_key_makes_another_post_after_a_day_or_elsewhere(
    domain: Domain, admin: Actor, account: Account
) -> None:
    first = await write(domain, admin, account, idempotency_key="k")
    other = Actor(await workspaces.create("Other"), None, Role.ADMIN)
    assert (await write(domain, other, idempotency_key="k")).id != first.id
    await Post.filter(id=first.id).update(created_at=datetime.now(UTC) - timedelta(days=1, seconds=1))
    assert (await write(domain, admin, account, idempotency_key="k")).id != first.id


async def test_a_change_of_the_text_is_an_update(domain: Domain, admin: Actor, account: Account) -> None:
    post = await write(domain, admin, account)
    await change_post(domain, admin, post.id, body="New")
    assert (await Post.get(id=post.id)).body == "New"
    assert await told() == ["post.created", "post.updated"]
    assert await live() == [(1, "draft")]


async def test_what_changes_nothing_tells_nothing(domain: Domain, admin: Actor, account: Account) -> None:
    other = await add_account(domain, admin)
    variants = (Variant(account.id, "one"), Variant(other.id, "two"))
    made = await write(domain, admin, account, other, variants=variants, scheduled_at=SOON)
    before = await Post.get(id=made.id).values()
    same = {"body": "Hello", "account_ids": (other.id, account.id), "variants": variants[::-1], "scheduled_at": SOON}
    for given in ({}, same, *({name: value} for name, value in same.items())):
        assert (await change_post(domain, admin, made.id, **given)).id == made.id
    assert (await schedule(domain, admin, made.id, SOON)).scheduled_at == SOON
    assert await Post.get(id=made.id).values() == before
    assert await told() == ["post.created", "post.scheduled"]
    assert await live() == [(1, "scheduled")]
    assert not await AuditEvent.filter(action__in=["post.update", "post.schedule"]).exists()


async def test_a_variant_that_goes_or_comes_is_a_change(domain: Domain, admin: Actor, account: Account) -> None:
    post = await write(domain, admin, account)
    for variants in ((Variant(account.id, "Hello"),), None):
        await change_post(domain, admin, post.id, variants=variants)
    assert await told() == ["post.created", "post.updated", "post.updated"]


async def test_a_time_schedules_and_null_makes_a_draft_again(domain: Domain, admin: Actor, account: Account) -> None:
    post = await write(domain, admin, account)
    await change_post(domain, admin, post.id, scheduled_at=SOON)
    await change_post(domain, admin, post.id, body="New", scheduled_at=LATER)
    found = await Post.get(id=post.id)
    assert (found.status, found.scheduled_at, found.due_at) == (PostStatus.SCHEDULED, LATER, LATER)
    await change_post(domain, admin, post.id, scheduled_at=None)
    found = await Post.get(id=post.id)
    assert (found.status, found.scheduled_at, found.due_at) == (PostStatus.DRAFT, None, None)
    assert await told() == ["post.created", "post.scheduled", "post.updated", "post.scheduled", "post.updated"]
    assert await live() == [(1, "draft"), (2, "scheduled"), (3, "draft")]


async def test_other_accounts_replace_the_old_ones_and_the_rest_keep_their_variants(
    domain: Domain, admin: Actor, account: Account
) -> None:
    second, third = await add_account(domain, admin), await add_account(domain, admin)
    variants = (Variant(account.id, "one"), Variant(second.id, "two"))
    post = await write(domain, admin, account, second, variants=variants)
    await change_post(domain, admin, post.id, account_ids=(second.id, third.id))
    kept = await PostAccount.filter(post_id=post.id).order_by("id")
    assert [(entry.account_id, entry.variant) for entry in kept] == [(second.id, "two"), (third.id, None)]
    await change_post(domain, admin, post.id, variants=None)
    kept = await PostAccount.filter(post_id=post.id).order_by("id")
    assert [(entry.account_id, entry.variant) for entry in kept] == [(second.id, None), (third.id, None)]


async def test_scheduling_sets_the_time_and_tells_of_it(domain: Domain, admin: Actor, account: Account) -> None:
    post = await write(domain, admin, account)
    await schedule(domain, admin, post.id, SOON)
    await schedule(domain, admin, post.id, LATER)
    found = await Post.get(id=post.id)
    assert (found.status, found.due_at) == (PostStatus.SCHEDULED, LATER)
    assert await told() == ["post.created", "post.scheduled", "post.scheduled"]
    with pytest.raises(Refused) as refused:
        await schedule(domain, admin, post.id, SOON - timedelta(days=1))
    assert faults_of(refused) == {("scheduled_at", FaultCode.OUT_OF_RANGE)}


async def test_publishing_makes_it_due_at_once(domain: Domain, admin: Actor, account: Account) -> None:
    post = await write(domain, admin, account, scheduled_at=SOON)
    published = await publish(domain, admin, post.id)
    assert published.status is PostStatus.PUBLISHING
    assert published.due_at is not None
    assert published.due_at < SOON
    assert published.scheduled_at is None
    assert await live() == [(1, "scheduled"), (2, "publishing")]


@pytest.mark.parametrize("status", [PostStatus.PUBLISHING, PostStatus.PUBLISHED, PostStatus.FAILED])
async def test_a_post_past_its_time_cannot_be_changed(
    domain: Domain, admin: Actor, account: Account, status: PostStatus
) -> None:
    post = await write(domain, admin, account)
    await put_in_state(post, status)
    before = await Post.get(id=post.id).values()
    for verb in (change_post(domain, admin, post.id, body="x"), schedule(domain, admin, post.id, SOON)):
        with pytest.raises(Refused) as refused:
            await verb
        assert faults_of(refused) == {("id", FaultCode.WRONG_STATE)}
    assert await Post.get(id=post.id).values() == before


@pytest.mark.parametrize("status", [PostStatus.PUBLISHING, PostStatus.PUBLISHED])
async def test_what_is_published_is_not_published_again(
    domain: Domain, admin: Actor, account: Account, status: PostStatus
) -> None:
    post = await write(domain, admin, account)
    await put_in_state(post, status)
    with pytest.raises(Refused) as refused:
        await publish(domain, admin, post.id)
    assert faults_of(refused) == {("id", FaultCode.WRONG_STATE)}


async def test_publishing_a_failed_post_renews_only_the_accounts_that_failed(
    domain: Domain, admin: Actor, account: Account
) -> None:
    post = await write(domain, admin, account, await add_account(domain, admin))
    await put_in_state(post, PostStatus.FAILED)
    good, bad = await PostAccount.filter(post_id=post.id).order_by("id")
    await PostAccount.filter(id=good.id).update(status=PostAccountStatus.PUBLISHED, external_url="https://x")
    await PostAccount.filter(id=bad.id).update(
        status=PostAccountStatus.FAILED, errors=["no"], progress={"count": 9, "memory": {"key": 1}}
    )
    await publish(domain, admin, post.id)
    good, bad = await PostAccount.filter(post_id=post.id).order_by("id")
    assert (good.status, good.external_url) == (PostAccountStatus.PUBLISHED, "https://x")
    assert (bad.status, bad.errors) == (PostAccountStatus.PENDING, [])
    assert (bad.progress["count"], bad.progress["memory"]) == (0, {"key": 1})


async def test_another_workspace_s_post_and_account_do_not_exist(
    domain: Domain, admin: Actor, account: Account
) -> None:
    other = Actor(await workspaces.create("Other"), None, Role.ADMIN)
    post = await write(domain, admin, account)
    for unknown in (post.id, 2**70, 0):
        for verb in (
            change_post(domain, other, unknown, body="x"),
            schedule(domain, other, unknown, SOON),
            publish(domain, other, unknown),
        ):
            with pytest.raises(Refused) as refused:
                await verb
            assert faults_of(refused) == {("id", FaultCode.NOT_FOUND)}
        with pytest.raises(Refused) as refused:
            await delete(domain, other, unknown)
        assert faults_of(refused) == {("ids.0", FaultCode.NOT_FOUND)}
    with pytest.raises(Refused) as refused:
        await write(domain, other, account)
    assert faults_of(refused) == {("account_ids.0", FaultCode.NOT_FOUND)}
    with pytest.raises(Refused) as refused:
        await post_checks.preview(other.workspace, "x", account.id)
    assert faults_of(refused) == {("account_id", FaultCode.NOT_FOUND)}


async def test_a_failed_unit_leaves_no_trace_of_a_post(domain: Domain, admin: Actor, account: Account) -> None:
    async def fail_late() -> None:
        async with domain.unit(admin) as unit:
            await posts.create(unit, NewPost("Hello", (account.id,)))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_late()
    assert not await Post.exists()
    assert await told() == []
    assert await live() == []
