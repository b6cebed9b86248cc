"""The unit of work: one transaction, and what is sent after it."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime

import asyncpg
from redis.asyncio import Redis
from tortoise.exceptions import DoesNotExist, IntegrityError

from domain import queue, tracing
from domain.addresses import AddressPolicy
from domain.database import committed_until, connected, credentials, identity, rows, transaction
from domain.errors import Unauthenticated
from domain.hub import ANSWER_SECONDS, Hub
from domain.live import Change, Live
from domain.outlet import Outlet
from domain.queue import Owed, Queue
from domain.sender import Sender, SenderLimits
from domain.settings import Settings
from domain.tables import Token, Workspace
from domain.tracing import Tracer
from domain.vault import Vault
from domain.vocabulary import Role

POSTS_AT_ONCE = 3


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, and where: a token, or the command line and the system itself (no token)."""

    workspace: Workspace
    token: Token | None
    role: Role

    def has_expired(self, now: datetime) -> bool:
        """Whether the token's expiry has passed."""
        return self.token is not None and self.token.expires_at is not None and self.token.expires_at <= now


@dataclass(frozen=True, slots=True)
class Domain:
    """The resources of a process."""

    settings: Settings
    vault: Vault
    policy: AddressPolicy
    sender: Sender
    redis: Redis
    outlet: Outlet
    hub: Hub
    tracer: Tracer
    # Networks are slow, so many posts are published at once. This bounds how many connections to the database they use:
    # deliveries need connections too.
    posts_at_once: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(POSTS_AT_ONCE))

    @asynccontextmanager
    async def unit(self, actor: Actor) -> AsyncIterator["Unit"]:
        """One transaction. What it collects is handed to the outlet after the commit, and only then.

        Raises Unavailable if the database is out of reach, and Unauthenticated if the workspace is erased meanwhile:
        then nothing was acknowledged.
        """
        try:
            async with transaction():
                unit = Unit(self, actor)
                if trace := self.tracer.current():
                    # The default of event.trace reads this; see domain/migrations/0003_operations.py.
                    await rows("SELECT set_config('hookline.trace', $1, true)", trace)
                yield unit
        except (DoesNotExist, IntegrityError, asyncpg.ForeignKeyViolationError):
            # A row that it refers to is gone, perhaps because the workspace is being erased.
            if not await _is_let_in(actor):
                raise Unauthenticated from None
            raise
        unit.leave()


async def _is_let_in(actor: Actor) -> bool:
    # Erasing a workspace begins with revoking its tokens, but this process may still accept one for a moment.
    if actor.token is not None and not await Token.exists(id=actor.token.id, revoked_at=None):
        return False
    return await Workspace.exists(id=actor.workspace.id)


class Unit:
    """One transaction: verbs write through it and tell it what to send after the commit."""

    def __init__(self, domain: Domain, actor: Actor) -> None:
        self.domain = domain
        self.actor = actor
        self._changes: list[Change] = []
        self._owed: list[Owed] = []
        self._posts: list[tuple[int, datetime | None]] = []

    @property
    def workspace(self) -> Workspace:
        """The workspace that the actor acts in."""
        return self.actor.workspace

    def announce(self, changes: Iterable[Change]) -> None:
        """Collect changes of status for the live stream."""
        self._changes.extend(changes)

    def deliver(self, owed: Iterable[Owed]) -> None:
        """Collect deliveries that are due now."""
        self._owed.extend(owed)

    def publish(self, post_id: int, at: datetime | None = None) -> None:
        """Collect a post that is due now, or `at` that time."""
        self._posts.append((post_id, at))

    def leave(self) -> None:
        """Hand over what was collected; called once the transaction is committed."""
        outlet = self.domain.outlet
        if self._changes:
            outlet.announce(self._changes)
        if self._owed:
            outlet.deliver(self._owed)
        for post_id, at in self._posts:
            outlet.publish(post_id, at)


def check(settings: Settings) -> None:
    """Raises Misconfigured if `opened` could not even begin."""
    credentials(settings.database_url)
    queue.redis_settings(settings.redis_url)
    tracing.check(settings)


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Domain]:
    """The resources of a process, open while the block runs.

    PostgreSQL and Redis need not be up yet: each is connected to when it is first needed. Raises Misconfigured.
    """
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(connected(settings))
        redis = queue.connect(settings.redis_url)
        stack.push_async_callback(redis.aclose)
        reader = queue.connect(settings.redis_url, answer_seconds=ANSWER_SECONDS)
        stack.push_async_callback(reader.aclose)
        policy = AddressPolicy(settings.allowed_networks, settings.denied_networks, settings.denied_ports)
        limits = SenderLimits(settings.connect_timeout, settings.request_timeout)
        sender = await stack.enter_async_context(Sender(policy, limits, settings.worker_concurrency))
        live = Live(redis, committed_until, identity)
        outlet = await stack.enter_async_context(Outlet(live, Queue(redis)).running())
        hub = await stack.enter_async_context(Hub(live, reader).running())
        traces = tracing.tracer(settings)
        # In a thread: closing blocks until the spans that wait are sent.
        stack.push_async_callback(asyncio.to_thread, traces.close)
        yield Domain(settings, Vault(settings.secret_keys), policy, sender, redis, outlet, hub, traces)
