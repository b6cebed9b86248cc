"""What people do is recorded in the transaction that does it."""

from datetime import timedelta

import pytest

from domain import accounts, audit, deliveries, dispatch, posts, replays, webhooks, workspaces
from domain.accounts import AccountChanges
from domain.replays import NewReplay
from domain.tables import Account, AuditEvent
from domain.unit import Actor, Domain
from domain.vocabulary import DeliveryStatus, EventType, Role
from domain.workspaces import NewToken
from tests.domain.doing import add_account, change_post, change_webhook, listen, publish, write
from tests.domain.posting import SOON, schedule


async def test_a_row_tells_who_did_what_to_what(domain: Domain, admin: Actor) -> None:
    async with domain.unit(admin) as unit:
        token, _ = await workspaces.create_token(unit, NewToken("Robot", Role.MEMBER))
    async with domain.unit(Actor(admin.workspace, token, token.role)) as unit:
        await audit.record(unit, "post.publish", token, name="x")
    row = await AuditEvent.all().order_by("-id").first()
    assert row is not None
    assert (row.action, row.subject_type, row.subject_id, row.token_id, row.detail) == (
        "post.publish",
        "token",
        token.id,
        token.id,
        {"name": "x"},
    )


async def test_nothing_is_noted_of_what_was_rolled_back(domain: Domain, admin: Actor) -> None:
    async def fail_late() -> None:
        async with domain.unit(admin) as unit:
            await audit.record(unit, "post.publish")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_late()
    assert await AuditEvent.all().count() == 0


async def test_all_that_people_do_is_noted_under_its_own_name(domain: Domain, admin: Actor) -> None:
    """Except for what they do with tokens, which is in test_workspaces.py."""
    webhook = await listen(domain, admin)
    await change_webhook(domain, admin, webhook, name="New")
    account = await add_account(domain, admin)
    await accounts.update(domain, admin, account.id, AccountChanges(name="New"))
    post = await write(domain, admin, account)
    await change_post(domain, admin, post.id, body="New")
    await schedule(domain, admin, post.id, SOON)
    await publish(domain, admin, post.id)
    await write(domain, admin)
    async with domain.unit(admin) as unit:
        await webhooks.rotate_secret(unit, webhook.id, None, timedelta())
        test = await webhooks.test(unit, webhook.id, EventType.POST_CREATED)
        await deliveries.cancel(unit, test.id)
        await dispatch.retry(unit, test.id)
        await replays.start(unit, NewReplay(webhook.id, (DeliveryStatus.FAILED,), SOON - timedelta(days=1)))
        await accounts.lose_authorization(unit, await Account.get(id=account.id))
        await accounts.delete(unit, account.id)
        for to_trash in (True, False):
            await posts.delete(unit, [post.id + 1], to_trash)
        await webhooks.delete(unit, webhook.id)

    noted = [(row.action, row.subject_type) for row in await AuditEvent.all().order_by("id")]
    assert noted == [
        ("webhook.create", "webhook"),
        ("webhook.update", "webhook"),
        ("account.add", "account"),
        ("account.update", "account"),
        ("post.create", "post"),
        ("post.update", "post"),
        ("post.schedule", "post"),
        ("post.publish", "post"),
        ("post.create", "post"),
        ("webhook.rotate_secret", "webhook"),
        ("webhook.test", "webhook"),
        ("delivery.cancel", "delivery"),
        ("delivery.retry", "delivery"),
        ("delivery.replay", "replay"),
        ("account.lose_authorization", "account"),
        ("account.delete", "account"),
        ("post.trash", "post"),
        ("post.delete", "post"),
        ("webhook.delete", "webhook"),
    ]
