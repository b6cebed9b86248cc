"""Posts: written, scheduled, published, deleted. The worker's side is in publishing.py.

    DRAFT <-> SCHEDULED -> PUBLISHING -> PUBLISHED | FAILED
    DRAFT -> PUBLISHING, FAILED -> PUBLISHING      (publish)

Every verb locks its rows, so it runs before or after a worker takes the post, never in between. Which event belongs to
which verb is in docs/decisions/0041-events-of-posts.md.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain import audit, database, events, payloads
from domain.errors import FaultCode, Faults, not_found, wrong_state
from domain.ids import is_key
from domain.post_checks import Content, check_content, check_time
from domain.post_records import announce, content_of, entries_of, put_on, tell
from domain.tables import Post, PostAccount
from domain.texts import check_text
from domain.tries import Tries
from domain.unit import Unit
from domain.vocabulary import UNSET, EventType, PostAccountStatus, PostStatus, Unset

# How long the same idempotency key means the same post.
KEY_LIFE = timedelta(days=1)
LONGEST_KEY = 200
MOST_DELETED = 100


@dataclass(frozen=True, slots=True)
class Variant:
    """What one account says instead of the post's body."""

    account_id: int
    body: str


@dataclass(frozen=True, slots=True)
class NewPost:
    """What a person asks for; a draft if `scheduled_at` is None. A draft needs no accounts yet."""

    body: str
    account_ids: tuple[int, ...] = ()
    variants: tuple[Variant, ...] = ()
    scheduled_at: datetime | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class PostChanges:
    """What to change; UNSET leaves a field as it is.

    None makes a scheduled post a draft (`scheduled_at`), removes all variants (`variants`), and is a fault elsewhere.
    If `account_ids` are given without `variants`, the accounts that stay keep their variants.
    """

    body: str | Unset | None = UNSET
    account_ids: tuple[int, ...] | Unset | None = UNSET
    variants: tuple[Variant, ...] | Unset | None = UNSET
    scheduled_at: datetime | Unset | None = UNSET


async def create(unit: Unit, new: NewPost) -> Post:
    """Write a post; post.created, and post.scheduled if a time is given. Raises Refused with all that is wrong.

    The same idempotency key within a day returns the post that it made before, even if the rest differs.
    """
    faults = Faults()
    if new.idempotency_key is not None and (known := await _made_with(unit, new.idempotency_key, faults)):
        return known
    content = Content(new.body, new.account_ids, _pairs(new.variants))
    accounts = await check_content(faults, unit.workspace, content)
    if new.scheduled_at is not None:
        check_time(faults, new.scheduled_at, await database.now())
        _check_has_accounts(faults, content.account_ids, "account_ids")
    faults.raise_if_any()
    post = Post(workspace_id=unit.workspace.id, author=unit.actor.token, idempotency_key=new.idempotency_key)
    post.body = new.body
    _set_time(post, new.scheduled_at)
    await post.save()
    entries = await put_on(post, content, accounts, ())
    await announce(unit, post, entries)
    await tell(unit, EventType.POST_CREATED, post, entries)
    await _tell_of_time(unit, post, entries)
    await audit.record(unit, "post.create", post, status=post.status.value)
    return post


async def update(unit: Unit, post_id: int, changes: PostChanges) -> Post:
    """Change a draft or a scheduled post. Raises Refused.

    New content records post.updated, a new time post.scheduled, and both record both. Making the post a draft records
    post.updated. If nothing changes, nothing is recorded.
    """
    post = await _changeable(unit, post_id)
    entries = await entries_of(post)
    faults = Faults()
    was = content_of(post, entries)
    content = _changed(faults, was, changes)
    accounts = await check_content(faults, unit.workspace, content, was.account_ids)
    scheduled_at = post.scheduled_at if isinstance(changes.scheduled_at, Unset) else changes.scheduled_at
    moves = scheduled_at != post.scheduled_at
    if scheduled_at is not None:
        _check_has_accounts(faults, content.account_ids, "account_ids")
        if moves:
            check_time(faults, scheduled_at, await database.now())
    faults.raise_if_any()
    is_new = content.differs_from(was)
    if not moves and not is_new:
        return post
    post.body = content.body
    entries = await put_on(post, content, accounts, entries)
    await _move(unit, post, entries, scheduled_at)
    if scheduled_at is None or is_new:
        await tell(unit, EventType.POST_UPDATED, post, entries)
    if moves:
        await _tell_of_time(unit, post, entries)
    await audit.record(unit, "post.update", post, status=post.status.value)
    return post


async def schedule(unit: Unit, post_id: int, scheduled_at: datetime) -> Post:
    """Have a draft or a scheduled post published at that time; post.scheduled if the time is new. Raises Refused."""
    post = await _changeable(unit, post_id)
    entries = await entries_of(post)
    faults = Faults()
    check_time(faults, scheduled_at, await database.now())
    _check_has_accounts(faults, entries, "id")
    faults.raise_if_any()
    if post.scheduled_at == scheduled_at:
        return post
    await _move(unit, post, entries, scheduled_at)
    await _tell_of_time(unit, post, entries)
    await audit.record(unit, "post.schedule", post, scheduled_at=payloads.instant(scheduled_at))
    return post


async def publish(unit: Unit, post_id: int) -> Post:
    """Publish as soon as a worker is free: a draft, a scheduled post, or a failed one on the accounts that failed.

    A planned time that is still ahead is removed. Raises Refused.
    """
    post = await _locked(unit, post_id)
    _check_not_trashed(post)
    if post.status in {PostStatus.PUBLISHING, PostStatus.PUBLISHED}:
        wrong_state(f"This post is {post.status.value} already.")
    entries = await entries_of(post)
    faults = Faults()
    _check_has_accounts(faults, entries, "id")
    faults.raise_if_any()
    await _renew(entries)
    post.status = PostStatus.PUBLISHING
    post.due_at = await database.now()
    if post.scheduled_at is not None and post.scheduled_at > post.due_at:
        post.scheduled_at = None
    await post.save()
    unit.publish(post.id)
    await announce(unit, post, entries)
    await audit.record(unit, "post.publish", post)
    return post


async def delete(unit: Unit, post_ids: list[int], to_trash: bool) -> list[int]:
    """Delete posts, or put them into the trash, all or none; one post.deleted carries them all.

    Returns their ids in the order given, each once. A scheduled post becomes a draft in the trash. Raises Refused.
    """
    wanted = list(dict.fromkeys(post_ids))
    faults = Faults()
    if not wanted:
        faults.add(FaultCode.REQUIRED, "Name at least one post.", "ids")
    if len(wanted) > MOST_DELETED:
        faults.add(FaultCode.LIMIT_REACHED, f"At most {MOST_DELETED} posts can be deleted at once.", "ids")
    faults.raise_if_any()
    mine = Post.filter(workspace_id=unit.workspace.id, id__in=[each for each in wanted if is_key(each)])
    found = {post.id: post for post in await mine.select_for_update(no_key=to_trash).order_by("id")}
    for index, post_id in enumerate(post_ids):
        _check_deletable(faults, found.get(post_id), to_trash, index)
    faults.raise_if_any()
    posts = [found[post_id] for post_id in wanted]
    await (_trash(unit, posts) if to_trash else Post.filter(id__in=wanted).delete())
    data = payloads.posts_deleted_data([post.uuid for post in posts], to_trash)
    await events.record(unit, EventType.POST_DELETED, data)
    for post in posts:
        await audit.record(unit, "post.trash" if to_trash else "post.delete", post)
    return wanted


async def _made_with(unit: Unit, key: str, faults: Faults) -> Post | None:
    check_text(faults, key, "idempotency_key", longest=LONGEST_KEY, what="The key")
    if faults:
        return None
    # A concurrent request with the same key waits here, and then finds the post.
    await database.rows("SELECT pg_advisory_xact_lock(hashtextextended($1, $2))", key, unit.workspace.id)
    known = await Post.get_or_none(workspace_id=unit.workspace.id, idempotency_key=key)
    if known is not None and known.created_at <= await database.now() - KEY_LIFE:
        await Post.filter(id=known.id).update(idempotency_key=None)
        return None
    return known


async def _locked(unit: Unit, post_id: int) -> Post:
    mine = Post.filter(workspace_id=unit.workspace.id, id=post_id)
    found = await mine.select_for_update(no_key=True).first() if is_key(post_id) else None
    return found or not_found("post")


async def _changeable(unit: Unit, post_id: int) -> Post:
    post = await _locked(unit, post_id)
    _check_not_trashed(post)
    match post.status:
        case PostStatus.PUBLISHING:
            wrong_state("A post that is being published can no longer be changed.")
        case PostStatus.PUBLISHED | PostStatus.FAILED:
            wrong_state("A post that was published, or failed to be, can no longer be changed.")
    return post


def _check_not_trashed(post: Post) -> None:
    if post.trashed:
        wrong_state("A post in the trash can only be deleted.")


def _check_deletable(faults: Faults, post: Post | None, to_trash: bool, index: int) -> None:
    if post is None:
        faults.add(FaultCode.NOT_FOUND, "There is no such post.", "ids", str(index))
    elif post.status is PostStatus.PUBLISHING:
        message = "A post that is being published cannot be deleted."
        faults.add(FaultCode.WRONG_STATE, message, "ids", str(index))
    elif to_trash and post.trashed:
        faults.add(FaultCode.WRONG_STATE, "This post is in the trash already.", "ids", str(index))


def _check_has_accounts(faults: Faults, chosen: Sequence[object], field: str) -> None:
    if not chosen:
        faults.add(FaultCode.REQUIRED, "Choose at least one account to publish to.", field)


def _changed(faults: Faults, was: Content, changes: PostChanges) -> Content:
    """The post's content after the changes; what is not given stays."""
    for name in ("body", "account_ids"):
        if getattr(changes, name) is None:
            faults.add(FaultCode.REQUIRED, "Leave it out, or give it a value.", name)
    ids = changes.account_ids if isinstance(changes.account_ids, tuple) else was.account_ids
    kept = tuple(variant for variant in was.variants if variant[0] in ids)
    return Content(
        body=changes.body if isinstance(changes.body, str) else was.body,
        account_ids=ids,
        variants=kept if isinstance(changes.variants, Unset) else _pairs(changes.variants or ()),
    )


def _pairs(variants: Iterable[Variant]) -> tuple[tuple[int, str], ...]:
    return tuple((variant.account_id, variant.body) for variant in variants)


async def _move(unit: Unit, post: Post, entries: Sequence[PostAccount], scheduled_at: datetime | None) -> None:
    """Save the post with its time, or as a draft without one."""
    was = post.status
    _set_time(post, scheduled_at)
    await post.save()
    if post.status is not was:
        await announce(unit, post, entries)


def _set_time(post: Post, scheduled_at: datetime | None) -> None:
    post.status = PostStatus.DRAFT if scheduled_at is None else PostStatus.SCHEDULED
    post.scheduled_at = post.due_at = scheduled_at


async def _tell_of_time(unit: Unit, post: Post, entries: Sequence[PostAccount]) -> None:
    if post.scheduled_at is not None:
        unit.publish(post.id, post.scheduled_at)
        await tell(unit, EventType.POST_SCHEDULED, post, entries)


async def _renew(entries: Iterable[PostAccount]) -> None:
    """Have the accounts that failed tried again; what their providers remember stays, to prevent second posts."""
    for entry in entries:
        if entry.status is PostAccountStatus.FAILED:
            entry.status = PostAccountStatus.PENDING
            entry.errors = []
            entry.progress = Tries.read(entry.progress).renewed().stored()
            await entry.save(update_fields=["status", "errors", "progress"])


async def _trash(unit: Unit, posts: Iterable[Post]) -> None:
    for post in posts:
        post.trashed = True
        if post.status is PostStatus.SCHEDULED:
            await _move(unit, post, await entries_of(post), None)
        else:
            await post.save()
