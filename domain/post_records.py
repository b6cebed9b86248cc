"""A post's accounts, and the post as others see it: in events, and in the live stream."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from domain import accounts, database, events, payloads
from domain.live import Change, Order
from domain.payloads import PostAccountRecord, PostRecord, instant
from domain.post_checks import Content
from domain.tables import Account, Post, PostAccount, PostChange, Token
from domain.unit import Unit
from domain.vocabulary import EventType


async def entries_of(post: Post) -> list[PostAccount]:
    """The post on each of its accounts, in the order in which they were chosen, with the account loaded."""
    return await PostAccount.filter(post_id=post.id).order_by("id").select_related("account")


def content_of(post: Post, entries: Sequence[PostAccount]) -> Content:
    """What the post says, and on which accounts."""
    variants = tuple((entry.account_id, entry.variant) for entry in entries if entry.variant is not None)
    return Content(post.body, tuple(entry.account_id for entry in entries), variants)


async def put_on(
    post: Post, content: Content, chosen: Sequence[Account], entries: Sequence[PostAccount]
) -> list[PostAccount]:
    """Bring the post's accounts and variants in line with its content; returns what `entries_of` would."""
    variants = dict(content.variants)
    wanted = {account.id for account in chosen}
    kept = [entry for entry in entries if entry.account_id in wanted]
    if len(kept) < len(entries):
        gone = [entry.id for entry in entries if entry.account_id not in wanted]
        await PostAccount.filter(id__in=gone).delete()
    for entry in kept:
        if entry.variant != variants.get(entry.account_id):
            entry.variant = variants.get(entry.account_id)
            await entry.save(update_fields=["variant"])
    present = {entry.account_id for entry in kept}
    added = [
        PostAccount(post=post, account=account, variant=variants.get(account.id))
        for account in chosen
        if account.id not in present
    ]
    if added:
        await PostAccount.bulk_create(added)
    return [*kept, *added]


async def tell(unit: Unit, event_type: EventType, post: Post, entries: Sequence[PostAccount]) -> None:
    """Record an event of the post as it now is."""
    author = await Token.get_or_none(id=post.author_id) if post.author_id else None
    record = PostRecord(
        id=post.id,
        uuid=post.uuid,
        status=post.status,
        body=post.body,
        created_at=post.created_at,
        variants=content_of(post, entries).variants,
        accounts=tuple(_account_record(entry) for entry in entries),
        author=(author.id, author.name) if author else None,
        scheduled_at=post.scheduled_at,
        published_at=post.published_at,
        trashed=post.trashed,
    )
    await events.record(unit, event_type, payloads.post_data(record))


async def announce(unit: Unit, post: Post, entries: Sequence[PostAccount]) -> None:
    """Tell the live stream that the post's status has changed.

    The change is kept in `post_change` until the stream has it: the database loop sends what gets lost.
    """
    counted = (await database.rows(_COUNT_CHANGE, post.id))[0]
    post.change = counted["change"]
    change = Change(
        kind="post",
        workspace_id=unit.workspace.id,
        subject_id=post.id,
        subject_uuid=str(post.uuid),
        number=post.change,
        order=Order.NEXT if counted["behind"] else Order.CLEAR,
        occurred_at=counted["now"],
        data=_snapshot(post, entries, counted["now"]),
    )
    await PostChange.create(
        workspace_id=unit.workspace.id,
        post_id=post.id,
        change=change.number,
        occurred_at=change.occurred_at,
        snapshot=change.data,
    )
    unit.announce([change])


_COUNT_CHANGE = """
UPDATE post SET change = change + 1 WHERE id = $1
RETURNING change, clock_timestamp() AS now, EXISTS (SELECT FROM post_change WHERE post_id = $1) AS behind
"""


def _account_record(entry: PostAccount) -> PostAccountRecord:
    return PostAccountRecord(accounts.record_of(entry.account), entry.external_url, tuple(entry.errors))


def _snapshot(post: Post, entries: Sequence[PostAccount], now: datetime) -> dict[str, Any]:
    return {
        "status": post.status.value,
        "occurred_at": instant(now),
        "post": {
            "id": post.id,
            "uuid": str(post.uuid),
            "status": post.status.value,
            "body": post.body,
            "scheduled_at": instant(post.scheduled_at) if post.scheduled_at else None,
            "published_at": instant(post.published_at) if post.published_at else None,
            "trashed": post.trashed,
            "created_at": instant(post.created_at),
            "updated_at": instant(post.updated_at),
            "accounts": [_snapshot_of_account(entry) for entry in entries],
        },
    }


def _snapshot_of_account(entry: PostAccount) -> dict[str, Any]:
    return {
        "account_id": entry.account_id,
        "variant": entry.variant,
        "status": entry.status.value,
        "provider_post_id": entry.provider_post_id,
        "external_url": entry.external_url,
        "errors": entry.errors,
    }
