"""Posts that are deleted, or put into the trash: all or none, and announced once."""

import pytest

from domain.errors import FaultCode, Refused
from domain.tables import Account, Post, PostChange
from domain.unit import Actor, Domain
from domain.vocabulary import EventType, PostStatus
from tests.domain.doing import change_post, delivered_to, documents, faults_of, listen, publish, write
from tests.domain.posting import SOON, delete, live, put_in_state, schedule


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
