"""Posts: what a person may ask for, in which state, and what is told of it."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain import post_checks, posts, workspaces
from domain.errors import FaultCode, Refused
from domain.posts import NewPost, Variant
from domain.tables import Account, AuditEvent, Post, PostAccount, PostChange
from domain.unit import Actor, Domain
from domain.vocabulary import EventType, PostAccountStatus, PostStatus, Role
from domain.workspaces import NewToken
from tests.domain.doing import (
    add_account,
    change_post,
    delivered_to,
    documents,
    faults_of,
    listen,
    names,
    publish,
    write,
)

SOON = datetime.now(UTC) + timedelta(hours=1)
LATER = SOON + timedelta(hours=1)


@pytest.fixture
async def account(domain: Domain, admin: Actor) -> Account:
    """A sandbox account of which only posts tell, not account.added."""
    return await add_account(domain, admin)


async def schedule(domain: Domain, actor: Actor, post_id: int, at: datetime) -> Post:
    async with domain.unit(actor) as unit:
        return await posts.schedule(unit, post_id, at)


async def delete(domain: Domain, actor: Actor, *post_ids: int, to_trash: bool = False) -> list[int]:
    async with domain.unit(actor) as unit:
        return await posts.delete(unit, list(post_ids), to_trash)


async def told() -> list[str]:
    return [name for name in await names() if name.startswith("post.")]


async def live() -> list[tuple[int, str]]:
    """Number and status of every change of a post's status."""
    return [(row.change, row.snapshot["status"]) for row in await PostChange.all().order_by("id")]


async def put_in_state(post: Post, status: PostStatus) -> None:
    await Post.filter(id=post.id).update(status=status)


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


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        pytest.param({"body": ""}, ("body", FaultCode.REQUIRED), id="no text"),
        pytest.param({"body": "a\x00"}, ("body", FaultCode.INVALID), id="NUL"),
        pytest.param({"body": "a\ud800"}, ("body", FaultCode.INVALID), id="half a surrogate pair"),
        pytest.param({"body": "b" * 20_001, "account_ids": ()}, ("body", FaultCode.TOO_LONG), id="very long text"),
        pytest.param({"account_ids": (2**70,)}, ("account_ids.0", FaultCode.NOT_FOUND), id="no such account"),
        pytest.param({"account_ids": tuple(range(51))}, ("account_ids", FaultCode.LIMIT_REACHED), id="51 accounts"),
        pytest.param(
            {"variants": (Variant(999, "x"),)}, ("variants.0.account_id", FaultCode.INVALID), id="variant elsewhere"
        ),
        pytest.param(
            {"scheduled_at": SOON - timedelta(days=1)}, ("scheduled_at", FaultCode.OUT_OF_RANGE), id="in the past"
        ),
        pytest.param(
            {"scheduled_at": SOON + timedelta(days=2000)}, ("scheduled_at", FaultCode.OUT_OF_RANGE), id="far ahead"
        ),
        pytest.param(
            {"scheduled_at": SOON, "account_ids": ()}, ("account_ids", FaultCode.REQUIRED), id="a time, no account"
        ),
        pytest.param({"idempotency_key": ""}, ("idempotency_key", FaultCode.REQUIRED), id="blank key"),
        pytest.param({"idempotency_key": "k" * 201}, ("idempotency_key", FaultCode.TOO_LONG), id="long key"),
    ],
)
async def test_what_cannot_be_is_refused(
    domain: Domain, admin: Actor, account: Account, asked: dict[str, Any], fault: tuple[str, FaultCode]
) -> None:
    with pytest.raises(Refused) as refused:
        await write(domain, admin, account, **asked)
    assert faults_of(refused) == {fault}
    assert not await Post.exists()
    assert await told() == []


async def test_all_that_is_wrong_is_told_at_once(domain: Domain, admin: Actor, account: Account) -> None:
    with pytest.raises(Refused) as refused:
        await write(
            domain, admin, account, idempotency_key=" ", account_ids=(2**70,), scheduled_at=SOON - timedelta(days=1)
        )
    assert {field for field, _ in faults_of(refused)} == {"idempotency_key", "account_ids.0", "scheduled_at"}


async def test_a_text_too_long_for_an_account_names_it_and_its_limit(
    domain: Domain, admin: Actor, account: Account
) -> None:
    with pytest.raises(Refused) as refused:
        await write(domain, admin, account, body="x" * 501)
    [fault] = refused.value.faults
    assert (fault.field, fault.code) == (("body",), FaultCode.TOO_LONG)
    assert account.name in fault.message
    assert "500 characters" in fault.message
    fits = (Variant(account.id, "short"),)
    await write(domain, admin, account, body="x" * 501, variants=fits)
    with pytest.raises(Refused) as refused:
        await write(domain, admin, account, variants=(Variant(account.id, "x" * 501),))
    assert faults_of(refused) == {("variants.0.body", FaultCode.TOO_LONG)}


async def test_line_ends_are_text(domain: Domain, admin: Actor, account: Account) -> None:
    assert (await write(domain, admin, account, body="one\n\ttwo 👨‍👩‍👧")).body == "one\n\ttwo 👨‍👩‍👧"


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


async def test_null_is_a_fault_where_there_must_be_something(domain: Domain, admin: Actor, account: Account) -> None:
    post = await write(domain, admin, account)
    with pytest.raises(Refused) as refused:
        await change_post(domain, admin, post.id, body=None, account_ids=None)
    assert faults_of(refused) == {("body", FaultCode.REQUIRED), ("account_ids", FaultCode.REQUIRED)}


async def test_a_scheduled_post_keeps_an_account(domain: Domain, admin: Actor, account: Account) -> None:
    post = await write(domain, admin, account, scheduled_at=SOON)
    with pytest.raises(Refused) as refused:
        await change_post(domain, admin, post.id, account_ids=())
    assert faults_of(refused) == {("account_ids", FaultCode.REQUIRED)}


async def test_a_deleted_account_may_stay_but_not_come(domain: Domain, admin: Actor, account: Account) -> None:
    post = await write(domain, admin, account)
    await Account.filter(id=account.id).update(deleted_at=datetime.now(UTC))
    await change_post(domain, admin, post.id, body="New")
    with pytest.raises(Refused) as refused:
        await write(domain, admin, account)
    assert faults_of(refused) == {("account_ids.0", FaultCode.NOT_FOUND)}


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


async def test_nothing_is_published_to_nowhere(domain: Domain, admin: Actor) -> None:
    post = await write(domain, admin)
    for verb in (schedule(domain, admin, post.id, SOON), publish(domain, admin, post.id)):
        with pytest.raises(Refused) as refused:
            await verb
        assert faults_of(refused) == {("id", FaultCode.REQUIRED)}


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


async def test_one_event_tells_of_all_posts_that_were_deleted(domain: Domain, admin: Actor, account: Account) -> None:
    hook = await listen(domain, admin, EventType.POST_DELETED)
    first, second = await write(domain, admin, account), await write(domain, admin, account, scheduled_at=SOON)
    assert await delete(domain, admin, second.id, first.id, second.id) == [second.id, first.id]
    assert not await Post.exists()
    assert (await documents())[-1] == (
        "post.deleted",
        {"uuids": [str(second.uuid), str(first.uuid)], "deleted": True},
    )
    assert await delivered_to(hook) == ["post.deleted"]


async def test_a_post_in_the_trash_is_not_published_and_only_deleted(
    domain: Domain, admin: Actor, account: Account
) -> None:
    post = await write(domain, admin, account, scheduled_at=SOON)
    await delete(domain, admin, post.id, to_trash=True)
    assert (await documents())[-1] == ("post.deleted", {"uuids": [str(post.uuid)], "to_trash": True})
    found = await Post.get(id=post.id)
    assert (found.trashed, found.status, found.due_at) == (True, PostStatus.DRAFT, None)
    for verb in (
        change_post(domain, admin, post.id, body="x"),
        schedule(domain, admin, post.id, SOON),
        publish(domain, admin, post.id),
    ):
        with pytest.raises(Refused) as refused:
            await verb
        assert faults_of(refused) == {("id", FaultCode.WRONG_STATE)}
    with pytest.raises(Refused) as refused:
        await delete(domain, admin, post.id, to_trash=True)
    assert faults_of(refused) == {("ids.0", FaultCode.WRONG_STATE)}
    await delete(domain, admin, post.id)
    assert not await Post.exists()


async def test_a_scheduled_post_that_is_put_into_the_trash_is_told_of_as_a_draft(
    domain: Domain, admin: Actor, account: Account
) -> None:
    scheduled = await write(domain, admin, account, scheduled_at=SOON)
    draft = await write(domain, admin, account)
    before = await live()
    await delete(domain, admin, scheduled.id, draft.id, to_trash=True)
    assert await live() == [*before, (2, "draft")]
    (change,) = await PostChange.filter(post_id=scheduled.id, change=2)
    assert change.snapshot["post"]["trashed"]


async def test_posts_are_deleted_all_or_none(domain: Domain, admin: Actor, account: Account) -> None:
    good, busy = await write(domain, admin, account), await write(domain, admin, account)
    await put_in_state(busy, PostStatus.PUBLISHING)
    with pytest.raises(Refused) as refused:
        await delete(domain, admin, good.id, busy.id, 2**70)
    assert faults_of(refused) == {("ids.1", FaultCode.WRONG_STATE), ("ids.2", FaultCode.NOT_FOUND)}
    assert await Post.all().count() == 2
    for ids, fault in ((), ("ids", FaultCode.REQUIRED)), (range(101), ("ids", FaultCode.LIMIT_REACHED)):
        with pytest.raises(Refused) as refused:
            await delete(domain, admin, *ids)
        assert faults_of(refused) == {fault}


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


async def test_a_preview_counts_as_the_network_does(admin: Actor, account: Account) -> None:
    measure = await post_checks.preview(admin.workspace, "see https://example.com", account.id)
    assert (measure.length, measure.limit, measure.links) == (23, 500, ("https://example.com",))


async def test_a_text_that_no_post_could_have_is_not_counted(admin: Actor, account: Account) -> None:
    for text, code in (("x" * 20_001, FaultCode.TOO_LONG), ("\x00", FaultCode.INVALID)):
        with pytest.raises(Refused) as refused:
            await post_checks.preview(admin.workspace, text, account.id)
        assert faults_of(refused) == {("body", code)}
    assert (await post_checks.preview(admin.workspace, "", account.id)).length == 0


async def test_a_text_far_too_long_is_one_fault_and_not_one_for_each_account(
    domain: Domain, admin: Actor, account: Account
) -> None:
    with pytest.raises(Refused) as refused:
        await write(domain, admin, account, body="x" * 20_001)
    assert len(refused.value.faults) == 1


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
