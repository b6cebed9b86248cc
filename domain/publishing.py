"""The worker's side of a post: claim it, publish it on each of its accounts, record how each of them went.

A claim increments `post.claim` and holds a lease. All later writes are made under that number, so a worker that lost
its lease changes nothing. The lease is renewed while networks are called. If the worker dies, the lease runs out and
the post is claimed again; what a provider remembered before its call prevents a second post.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import structlog

from domain import accounts, database, providers
from domain.errors import Unavailable
from domain.post_records import announce, entries_of, tell
from domain.providers.answers import AMBIGUOUS_WAIT
from domain.providers.interface import (
    LostLease,
    Publication,
    Published,
    PublishingAccount,
    PublishResult,
    Rejected,
    TryLater,
    Unauthorized,
)
from domain.reading import read
from domain.tables import Account, Post, PostAccount, Workspace
from domain.texts import cleaned
from domain.tries import MOST_TRIES, SHORTEST_WAIT, Tries
from domain.unit import Actor, Domain, Unit
from domain.vocabulary import EventType, PostAccountStatus, PostStatus, Role

# For all calls of one account together: its network is asked more than once (session, look-up, post).
ACCOUNT_DEADLINE = timedelta(minutes=2)
RENEWALS_PER_LEASE = 3
# How many characters are kept of what a network says.
LONGEST_ID = 500
LONGEST_URL = 2048
LONGEST_MESSAGE = 1000

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Held:
    """One account that is to be tried now."""

    entry_id: int
    account: Account
    text: str
    key: str
    tries: Tries


@dataclass(frozen=True, slots=True)
class Claimed:
    """A post that this worker holds, with the number of its claim."""

    actor: Actor
    post_id: int
    claim: int
    now: datetime
    held: tuple[Held, ...]
    # When `now` was, by the monotonic clock.
    begun: float

    def moment(self) -> datetime:
        """The current time: that of the claim plus what has passed since. Networks may take minutes."""
        return self.now + timedelta(seconds=time.monotonic() - self.begun)


async def publish(domain: Domain, post_id: int, now: datetime | None = None) -> bool:
    """One round of a post that is due: claim, act, record. False if it is not due, or another worker holds it.

    Raises Unavailable if it could not even be claimed.
    """
    claimed = await claim(domain, post_id, now or await database.now())
    if claimed is None:
        return False
    try:
        async with _kept(domain, claimed), asyncio.TaskGroup() as group:
            for held in claimed.held:
                group.create_task(_publish_on(domain, claimed, held))
        await finish(domain, claimed)
    except* LostLease:
        log.warning("post.lease_lost", post_id=post_id, claim=claimed.claim)
    except* Unavailable:
        # The lease runs out, and the post is claimed again.
        log.warning("post.database_away", post_id=post_id)
    return True


async def claim(domain: Domain, post_id: int, now: datetime) -> Claimed | None:
    """Take a post that is due and free at `now`, with its due accounts; None if it is not. Raises Unavailable."""
    begun = time.monotonic()
    async with domain.posts_at_once:
        if not (found := await read(Workspace, _WHOSE, post_id)):
            return None
        return await _claim(domain, Actor(found[0], None, Role.ADMIN), post_id, now, begun)


async def _claim(domain: Domain, actor: Actor, post_id: int, now: datetime, begun: float) -> Claimed | None:
    async with domain.unit(actor) as unit:
        taken = await database.rows(_CLAIM, post_id, now, now + domain.settings.lease, datetime.now(UTC))
        if not taken:
            return None
        post = await Post.get(id=post_id)
        entries = await entries_of(post)
        held = [await _begin(post, entry, now) for entry in entries if _is_ready(entry, now)]
        if taken[0]["was"] != PostStatus.PUBLISHING:
            await announce(unit, post, entries)
    return Claimed(actor, post_id, post.claim, now, tuple(held), begun)


_WHOSE = "SELECT w.* FROM post p JOIN workspace w ON w.id = p.workspace_id WHERE p.id = $1"
# `updated_at` is by this machine's clock, as when a post is saved: a round must not seem to end before its claim.
_CLAIM = """
WITH free AS (
    SELECT id, status FROM post
    WHERE id = $1 AND due_at <= $2 AND (leased_until IS NULL OR leased_until <= $2)
    FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE post SET status = 'publishing', claim = claim + 1, leased_until = $3,
    updated_at = CASE WHEN free.status = 'publishing' THEN updated_at ELSE $4 END
FROM free WHERE post.id = free.id
RETURNING free.status AS was
"""


def _is_ready(entry: PostAccount, now: datetime) -> bool:
    return entry.status is PostAccountStatus.PENDING and Tries.read(entry.progress).is_due(now)


async def _begin(post: Post, entry: PostAccount, now: datetime) -> Held:
    tries = Tries.read(entry.progress).begun(now)
    entry.progress = tries.stored()
    await entry.save(update_fields=["progress"])
    text = post.body if entry.variant is None else entry.variant
    return Held(entry.id, entry.account, text, key=f"{post.uuid}:{entry.account.uuid}", tries=tries)


@asynccontextmanager
async def _kept(domain: Domain, claimed: Claimed) -> AsyncIterator[None]:
    """Renews the lease while the block runs; ends the block with LostLease if another worker has the post."""
    async with asyncio.TaskGroup() as group:
        keeper = group.create_task(_renew_forever(domain, claimed))
        yield
        keeper.cancel()


async def _renew_forever(domain: Domain, claimed: Claimed) -> None:
    while True:
        await asyncio.sleep(domain.settings.lease.total_seconds() / RENEWALS_PER_LEASE)
        if not await database.rows(_RENEW, claimed.post_id, claimed.claim, domain.settings.lease):
            raise LostLease


_RENEW = """
UPDATE post SET leased_until = clock_timestamp() + $3::interval WHERE id = $1 AND claim = $2 AND status = 'publishing'
RETURNING id
"""


async def _publish_on(domain: Domain, claimed: Claimed, held: Held) -> None:
    if held.account.deleted_at is not None:
        result: PublishResult = Rejected("This account has been deleted.")
    elif not held.account.authorized:
        result = Unauthorized("This account must be authorised again.")
    elif held.tries.count > MOST_TRIES:
        result = Rejected("Publishing to this account was interrupted too many times.")
    else:
        result = await _ask(domain, claimed, held)
    await record(domain, claimed, held, result)


async def _ask(domain: Domain, claimed: Claimed, held: Held) -> PublishResult:
    try:
        async with asyncio.timeout(ACCOUNT_DEADLINE.total_seconds()):
            publication = _publication(domain, claimed, held)
            return await providers.client_for(held.account.provider).publish(domain.sender, publication)
    except LostLease:
        raise
    except TimeoutError:
        return TryLater(AMBIGUOUS_WAIT, "The network took too long to answer.")
    except Exception:
        log.exception("post.provider_broke", post_id=claimed.post_id, account_id=held.account.id)
        return TryLater(AMBIGUOUS_WAIT, "Hookline could not publish to this account just now.")


def _publication(domain: Domain, claimed: Claimed, held: Held) -> Publication:
    account = held.account
    # Raises CannotOpen if a key is missing: that holds up only this account.
    credentials = accounts.opened_credentials(domain.vault, account)
    return Publication(
        account=PublishingAccount(account.provider_id, account.username, account.data, credentials),
        text=held.text,
        key=held.key,
        now=claimed.now,
        progress=held.tries.memory,
        remember=partial(_remember, domain, claimed, held),
    )


async def _remember(domain: Domain, claimed: Claimed, held: Held, memory: dict[str, Any]) -> None:
    values = (claimed.post_id, claimed.claim, domain.settings.lease, held.entry_id, json.dumps(memory))
    if not await database.rows(_REMEMBER, *values):
        raise LostLease


_REMEMBER = """
WITH mine AS (
    UPDATE post SET leased_until = clock_timestamp() + $3::interval
    WHERE id = $1 AND claim = $2 AND status = 'publishing'
    RETURNING id
)
UPDATE post_account SET progress = jsonb_set(progress, '{memory}', $5::jsonb) FROM mine WHERE post_account.id = $4
RETURNING post_account.id
"""


async def record(domain: Domain, claimed: Claimed, held: Held, result: PublishResult) -> None:
    """Record how one account went, as soon as that is known. Raises LostLease and Unavailable."""
    async with domain.posts_at_once, domain.unit(claimed.actor) as unit:
        await _held_post(claimed)
        if isinstance(result, Unauthorized) and not await accounts.lose_authorization(unit, held.account):
            # A person has authorised it again, or another post has renewed the session: try the newer credentials too.
            result = TryLater(SHORTEST_WAIT, "The network refused credentials that the account no longer has.")
        # Read again, to keep what the provider has remembered meanwhile.
        entry = await PostAccount.get(id=held.entry_id)
        _note(entry, result, claimed.moment())
        await entry.save()
        if result.credentials is not None:
            await _keep_credentials(unit, held.account, result.credentials)
    log.info("post.tried", post_id=claimed.post_id, account_id=held.account.id, status=entry.status.value)


def _note(entry: PostAccount, result: PublishResult, now: datetime) -> None:
    match result:
        case Published():
            entry.status = PostAccountStatus.PUBLISHED
            entry.provider_post_id = cleaned(result.provider_post_id, LONGEST_ID)
            entry.external_url = cleaned(result.external_url or "", LONGEST_URL) or None
            entry.errors = []
        case TryLater() if not (tries := Tries.read(entry.progress)).is_over(now):
            entry.progress = tries.deferred(now, result.wait).stored()
            entry.errors = [cleaned(result.message, LONGEST_MESSAGE)]
        case Rejected() | Unauthorized() | TryLater():
            entry.status = PostAccountStatus.FAILED
            entry.errors = [cleaned(result.message, LONGEST_MESSAGE)]


async def _keep_credentials(unit: Unit, account: Account, credentials: dict[str, Any]) -> None:
    sealed = accounts.seal_credentials(unit.domain.vault, account, credentials)
    # Only if no person and no other post has stored newer credentials meanwhile.
    unchanged = Account.filter(id=account.id, sealed_credentials=account.sealed_credentials)
    await unchanged.update(sealed_credentials=sealed)


async def finish(domain: Domain, claimed: Claimed) -> None:
    """Release the post until its next account is due, or end it with its event. Raises LostLease and Unavailable."""
    async with domain.posts_at_once, domain.unit(claimed.actor) as unit:
        post = await _held_post(claimed)
        entries = await entries_of(post)
        post.leased_until = None
        if waits := [entry for entry in entries if entry.status is PostAccountStatus.PENDING]:
            post.due_at = min(Tries.read(entry.progress).not_before or claimed.moment() for entry in waits)
            await post.save()
            unit.publish(post.id, post.due_at)
        else:
            await _end(unit, post, entries, claimed.moment())


async def _end(unit: Unit, post: Post, entries: list[PostAccount], now: datetime) -> None:
    failed = any(entry.status is PostAccountStatus.FAILED for entry in entries)
    post.status = PostStatus.FAILED if failed else PostStatus.PUBLISHED
    post.published_at = None if failed else now
    post.due_at = None
    await post.save()
    await announce(unit, post, entries)
    event_type = EventType.POST_PUBLISHING_FAILED if failed else EventType.POST_PUBLISHED
    await tell(unit, event_type, post, entries)


async def _held_post(claimed: Claimed) -> Post:
    mine = Post.filter(id=claimed.post_id, claim=claimed.claim, status=PostStatus.PUBLISHING)
    post = await mine.select_for_update(no_key=True).first()
    if post is None:
        raise LostLease
    return post
