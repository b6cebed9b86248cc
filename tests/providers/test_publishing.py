"""A post's whole way: from the call, through the publishing job to real networks, and into the events."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from cli.programs import CHECKOUT
from domain import accounts
from domain.accounts import NewAccount
from domain.settings import Settings
from domain.tables import Account, Post, PostAccount
from domain.unit import Actor, Domain
from domain.vocabulary import PostAccountStatus, PostStatus, Provider
from tests.domain.doing import add_account, documents, names, publish, write
from tests.providers.pds_server import Pds, PdsAccount
from tests.providers.relay import Relay
from tests.providers.snac_server import Snac
from tests.running import environment
from workers.publish import Publisher

REACHED_WITHIN = 30


async def add_bluesky(domain: Domain, actor: Actor, server: str, someone: PdsAccount) -> Account:
    return await accounts.add(domain, actor, NewAccount(Provider.BLUESKY, server, someone.handle, someone.app_password))


async def add_mastodon(domain: Domain, actor: Actor, snac: Snac) -> Account:
    token = await snac.access_token(*snac.add_user())
    return await accounts.add(domain, actor, NewAccount(Provider.MASTODON, snac.url, None, token))


async def publish_due(domain: Domain) -> None:
    """One step of the worker's loop, to its end."""
    async with Publisher(domain).running() as publisher:
        await publisher.take_due()


async def make_due(post: Post) -> None:
    """As if the lease of a dead worker had run out, and all waits had passed."""
    past = datetime.now(UTC) - timedelta(minutes=5)
    await Post.filter(id=post.id).update(due_at=past, leased_until=past)
    for entry in await PostAccount.filter(post_id=post.id):
        if entry.progress.get("not_before"):
            entry.progress["not_before"] = past.isoformat()
            await entry.save(update_fields=["progress"])


async def test_a_post_to_three_accounts_of_which_one_fails_tells_how_it_went_on_each(
    domain: Domain, admin: Actor, pds: Pds, someone: PdsAccount, snac: Snac
) -> None:
    bluesky = await add_bluesky(domain, admin, pds.url, someone)
    mastodon = await add_mastodon(domain, admin, snac)
    failing = await add_account(domain, admin, "partially-failing")
    post = await write(domain, admin, bluesky, mastodon, failing)
    await publish(domain, admin, post.id)
    await publish_due(domain)
    name, data = (await documents())[-1]
    assert name == "post.publishing_failed"
    assert data["status"] == "failed"
    [record] = await pds.posts(someone.did)
    [status] = await snac.statuses(mastodon.provider_id.partition("@")[0])
    key = record["uri"].rpartition("/")[2]
    first, second, third = data["accounts"]
    assert (first["external_url"], first["errors"]) == (f"https://bsky.app/profile/{someone.handle}/post/{key}", [])
    assert (second["external_url"], second["errors"]) == (status["url"], [])
    assert third["external_url"] is None
    assert third["errors"]
    await publish(domain, admin, post.id)
    await publish_due(domain)
    assert (await names())[-1] == "post.published"
    assert len(await pds.posts(someone.did)) == len(await snac.statuses(mastodon.provider_id.partition("@")[0])) == 1


@pytest.mark.parametrize("mishap", ["revoke_app_password", "take_down"])
async def test_lost_credentials_take_the_authorization_away(
    domain: Domain, admin: Actor, pds: Pds, someone: PdsAccount, mishap: str
) -> None:
    account = await add_bluesky(domain, admin, pds.url, someone)
    post = await write(domain, admin, account)
    await getattr(pds, mishap)(someone)
    await publish(domain, admin, post.id)
    await publish_due(domain)
    assert (await Account.get(id=account.id)).authorized is False
    told = dict(await documents())
    assert told["account.unauthorized"]["authorized"] is False
    assert told["account.unauthorized"]["uuid"] == str(account.uuid)
    assert told["post.publishing_failed"]["accounts"][0]["errors"]


async def test_an_app_password_that_is_renewed_brings_the_account_back(
    domain: Domain, admin: Actor, pds: Pds, someone: PdsAccount
) -> None:
    account = await add_bluesky(domain, admin, pds.url, someone)
    post = await write(domain, admin, account)
    await pds.revoke_app_password(someone)
    await publish(domain, admin, post.id)
    await publish_due(domain)
    await accounts.update(
        domain, admin, account.id, accounts.AccountChanges(credential=await pds.new_app_password(someone))
    )
    await publish(domain, admin, post.id)
    await publish_due(domain)
    assert (await Account.get(id=account.id)).authorized is True
    assert (await Post.get(id=post.id)).status is PostStatus.PUBLISHED
    assert len(await pds.posts(someone.did)) == 1


async def test_the_refreshed_session_is_kept(domain: Domain, admin: Actor, pds: Pds, someone: PdsAccount) -> None:
    account = await add_bluesky(domain, admin, pds.url, someone)
    post = await write(domain, admin, account)
    await publish(domain, admin, post.id)
    await publish_due(domain)
    kept = await Account.get(id=account.id)
    before, after = (accounts.opened_credentials(domain.vault, each) for each in (account, kept))
    assert before["refresh"] != after["refresh"]
    assert before["password"] == after["password"] == someone.app_password


async def test_killing_the_worker_between_the_networks_answer_and_our_record_leaves_one_post(
    domain: Domain, settings: Settings, admin: Actor, pds: Pds, pds_relay: Relay, someone: PdsAccount
) -> None:
    account = await add_bluesky(domain, admin, pds_relay.url, someone)
    post = await write(domain, admin, account)
    answered = pds_relay.hold_answer_to("putRecord")
    await publish(domain, admin, post.id)
    async with worker(settings):
        await asyncio.wait_for(answered.wait(), REACHED_WITHIN)
    [made] = await pds.posts(someone.did)
    assert (await PostAccount.get(post_id=post.id)).status is PostAccountStatus.PENDING
    await make_due(post)
    await publish_due(domain)
    assert await pds.posts(someone.did) == [made]
    entry = await PostAccount.get(post_id=post.id)
    assert (entry.status, entry.provider_post_id) == (PostAccountStatus.PUBLISHED, made["uri"])
    assert (await names()).count("post.published") == 1


async def test_a_scheduled_post_is_published_once_though_the_worker_is_killed_before_its_time(
    domain: Domain, settings: Settings, admin: Actor, pds: Pds, pds_relay: Relay, someone: PdsAccount
) -> None:
    account = await add_bluesky(domain, admin, pds_relay.url, someone)
    async with worker(settings) as first:
        await first.until_started()
        post = await write(domain, admin, account, scheduled_at=datetime.now(UTC) + timedelta(hours=1))
    assert (await Post.get(id=post.id)).status is PostStatus.SCHEDULED
    # As if its time had come.
    scheduled_at = datetime.now(UTC)
    await Post.filter(id=post.id).update(scheduled_at=scheduled_at, due_at=scheduled_at)
    answered = pds_relay.watch_for("putRecord")
    # A worker that is asked to end finishes what it has begun.
    async with worker(settings, signal.SIGTERM):
        await asyncio.wait_for(answered.wait(), REACHED_WITHIN)
    [made] = await pds.posts(someone.did)
    assert datetime.fromisoformat(made["value"]["createdAt"]) >= scheduled_at.replace(microsecond=0)
    assert (await names()).count("post.published") == 1


class Worker:
    """A worker process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def until_started(self) -> None:
        """Returns once the worker has logged that it started."""
        assert self.process.stderr is not None
        async with asyncio.timeout(REACHED_WITHIN):
            while b"worker.started" not in await self.process.stderr.readline():
                assert not self.process.stderr.at_eof()


@asynccontextmanager
async def worker(settings: Settings, end: signal.Signals = signal.SIGKILL) -> AsyncIterator[Worker]:
    """A worker process on this test's servers, which gets a signal at the end of the block."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", "worker"), cwd=CHECKOUT, env=variables(settings), stderr=PIPE
    )
    try:
        yield Worker(process)
    finally:
        process.send_signal(end)
        await process.communicate()


def variables(settings: Settings) -> dict[str, str]:
    """The settings of a test as a process reads them."""
    return environment(
        HOOKLINE_DATABASE_URL=settings.database_url,
        HOOKLINE_REDIS_URL=settings.redis_url,
        HOOKLINE_SECRET_KEYS=",".join(urlsafe_b64encode(key).decode() for key in settings.secret_keys),
        HOOKLINE_ALLOWED_NETWORKS=",".join(map(str, settings.allowed_networks)),
    )
