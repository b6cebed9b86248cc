"""What `hookline up` gives a newcomer: an account to publish with, a webhook with a receiver, and a link that signs in.

The account and the webhook are made at the first start on a data folder. Later the webhook follows the receiver from
port to port. What a person has deleted or pointed elsewhere is left as it is.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from urllib.parse import urlsplit
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError

from cli.data_folder import DataFolder, FolderRefusedError, KnownReceiver
from cli.programs import is_our_api
from cli.receiver import Receiver, port_in
from cli.servers import PrivatePostgres, PrivateRedis
from domain import accounts, database, postgres_url, queue, sign_in, signing, webhooks, workspaces
from domain.accounts import NewAccount
from domain.errors import Refused, Unauthenticated, Unavailable
from domain.live import served_by
from domain.settings import Settings
from domain.tables import Webhook, Workspace
from domain.unit import Actor, Domain
from domain.vault import Vault
from domain.vocabulary import EventType, Provider, Role
from domain.webhooks import NewWebhook, WebhookChanges

WEBHOOK = "Built-in receiver"
ACCOUNT = "Sandbox"
SIGN_IN_PAGE = "/signin#code="


async def receive(domain: Domain, workspace: Workspace, folder: DataFolder, receiver: Receiver) -> bool:
    """Let the built-in receiver listen if there is a webhook for it; returns whether there is.

    At the first start on this folder there is none yet, so one is made in this workspace, with an account.
    Raises Refused if deliveries may not go to this machine; then nothing listens.
    """
    known = folder.known_receiver()
    webhook = await _find(known)
    try:
        if known is not None and webhook is not None:
            return await _follow(domain, webhook, known, receiver)
        # This file is written once everything runs: without it, no start has been completed here.
        if folder.access.exists():
            return False
        await _make(domain, Actor(workspace, None, Role.ADMIN), folder, receiver)
    except Refused:
        await receiver.close()
        raise
    return True


async def _find(known: KnownReceiver | None) -> Webhook | None:
    try:
        uuid = UUID(known.webhook) if known else None
    except ValueError:
        return None
    return await Webhook.filter(uuid=uuid, deleted_at=None).select_related("workspace").first() if uuid else None


async def _follow(domain: Domain, webhook: Webhook, known: KnownReceiver, receiver: Receiver) -> bool:
    port = port_in(webhook.callback_url)
    if port is None:
        return False
    url = await receiver.listen(known.secret, port)
    async with domain.unit(Actor(webhook.workspace, None, Role.ADMIN)) as unit:
        # If the URL is the same, this only checks that deliveries may still go there.
        await webhooks.update(unit, webhook.id, WebhookChanges(callback_url=url))
    return True


async def _make(domain: Domain, actor: Actor, folder: DataFolder, receiver: Receiver) -> None:
    # Before the webhook, so that the first delivery is one that a person has caused.
    with suppress(Refused):  # it is there already
        await accounts.add(domain, actor, NewAccount(Provider.SANDBOX, "ok", ACCOUNT.lower(), name=ACCOUNT))
    secret = signing.generate_secret()
    url = await receiver.listen(secret)
    async with domain.unit(actor) as unit:
        webhook, _ = await webhooks.create(unit, NewWebhook(WEBHOOK, url, tuple(EventType), secret=secret))
        # Before the commit: a webhook whose secret nobody knows would be worse than a secret without a webhook.
        folder.write_receiver(KnownReceiver(str(webhook.uuid), secret))


async def link(settings: Settings, url: str, token: str) -> str:
    """A link that opens the dashboard at `url` signed in, once, within 15 minutes. Raises Unavailable without Redis."""
    async with _redis(settings) as redis:
        code = await sign_in.make(redis, Vault(settings.secret_keys), token, datetime.now(UTC))
    return f"{url}{SIGN_IN_PAGE}{code}"


async def another_link(settings: Settings, folder: DataFolder) -> str:
    """A link to the `hookline up` that runs with this folder. Raises FolderRefusedError if no link would work."""
    url, token = folder.known_url(), folder.known_token()
    if url is None or token is None or not _answers(url):
        raise FolderRefusedError(f"No `hookline up` runs on {folder.path}.")
    async with database.connected(settings):
        try:
            await workspaces.authenticate(token, datetime.now(UTC))
        except Unauthenticated:
            raise _shut_out(settings, folder) from None
        if settings.redis_url != PrivateRedis(folder.redis).url:
            await _check_redis(settings)
    return await link(settings, url, token)


async def _check_redis(settings: Settings) -> None:
    async with _redis(settings) as redis:
        served = await served_by(redis)
    if served != await database.identity():
        raise FolderRefusedError(
            "The Redis that HOOKLINE_REDIS_URL names is not the one that `hookline up` runs with: a link made there "
            "would not sign in. Name that one, or unset the variable."
        )


@asynccontextmanager
async def _redis(settings: Settings) -> AsyncIterator[Redis]:
    redis = queue.connect(settings.redis_url)
    try:
        yield redis
    except (RedisError, OSError, TimeoutError) as error:
        raise Unavailable("Redis does not answer, so there is no link that signs in; use the token.") from error
    finally:
        await redis.aclose()


def _shut_out(settings: Settings, folder: DataFolder) -> FolderRefusedError:
    token, remedy = f"The token in {folder.access}", "or stop `hookline up` and start it again: it makes a new one."
    if settings.database_url == PrivatePostgres(folder.postgres).url:
        says = f"{token} was revoked, or is gone with its workspace. Sign in with another one, {remedy}"
        return FolderRefusedError(says)
    asked = postgres_url.place(settings.database_url)
    return FolderRefusedError(
        f"{token} opens nothing in the database {asked['database']} at {asked['host']}:{asked['port']}, which "
        "HOOKLINE_DATABASE_URL names. If `hookline up` runs on another one, name that, or unset the variable. If "
        f"it runs on this one, the token was revoked, or is gone with its workspace: sign in with another one, {remedy}"
    )


def _answers(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return is_our_api(parts.hostname or "", parts.port or 80)
    except ValueError:
        return False
