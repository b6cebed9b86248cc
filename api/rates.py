"""Counting requests and failed logins in Redis, over all processes.

Redis is a convenience here. If it does not answer in time, this process counts in its own memory for a while
(docs/decisions/0061-rate-limits.md). So a dead Redis locks no client out and gives none unlimited tries. A request
waits for it only once in a while, and then for no longer than ANSWER_SECONDS.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_network
from weakref import WeakValueDictionary

import structlog
from limits import RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter
from redis.exceptions import RedisError

from domain import queue
from domain.errors import HooklineError
from domain.settings import Settings

ANSWER_SECONDS = 0.25
# How long to leave Redis alone after it did not answer.
PAUSE_SECONDS = 5.0
WINDOW_SECONDS = 60
MOST_BLOCKED = 10_000
TOO_MANY_FAILURES = "Too many requests with invalid tokens came from this address."

log = structlog.get_logger(__name__)


class RateLimited(HooklineError):
    """Too many requests; wait before the next one."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        # Whole seconds, at least 1.
        self.retry_after = retry_after


@dataclass(slots=True)
class _Batch:
    """Hits that are counted together."""

    hits: int = 0
    # How many there are in the window, these included, once that is known.
    total: int | None = None


class Tally:
    """One count. Hits that come while Redis is asked about earlier ones share the next question.

    Each hit gets the number that it would have got alone. Under load, most hits cost no round trip.
    """

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._gathering = _Batch()

    async def hit(self, count: Callable[[int], Awaitable[int]]) -> int:
        """Which number this hit has. `count` adds that many hits and returns the new total."""
        batch = self._gathering
        batch.hits += 1
        mine = batch.hits
        async with self._turn:
            if batch.total is None:
                self._gathering = _Batch()
                batch.total = await count(batch.hits)
        return batch.total - batch.hits + mine


class Rates:
    """The two rates of the API: requests per token, failed logins per address."""

    def __init__(self, settings: Settings) -> None:
        self._requests = RateLimitItemPerMinute(settings.requests_per_minute, namespace="hookline:requests")
        self._failures = RateLimitItemPerMinute(settings.failed_logins_per_minute, namespace="hookline:failed-logins")
        self._redis = queue.connect(settings.redis_url, answer_seconds=ANSWER_SECONDS)
        storage = RedisStorage("async+redis://", implementation="redispy", connection_pool=self._redis.connection_pool)  # type: ignore[arg-type]
        self._shared = FixedWindowRateLimiter(storage)
        self._own = FixedWindowRateLimiter(MemoryStorage())
        self._alone_until = 0.0
        # One for each key that is being counted at this moment.
        self._tallies: WeakValueDictionary[str, Tally] = WeakValueDictionary()
        # Addresses that failed too often, and until when they are blocked (monotonic): a flood costs no look-up at all.
        self._blocked: dict[str, float] = {}

    async def close(self) -> None:
        """Let go of Redis."""
        await self._redis.aclose()

    async def count_request(self, token_id: int) -> None:
        """One more request with this token. Raises RateLimited."""
        if not await self._hit(self._requests, str(token_id)):
            raise RateLimited(
                "This token has sent too many requests within a minute.",
                await self._wait(self._requests, str(token_id)),
            )

    async def count_failure(self, address: str) -> None:
        """One more failed login from this address. Raises RateLimited."""
        network = network_of(address)
        if await self._hit(self._failures, network):
            return
        wait = await self._wait(self._failures, network)
        if len(self._blocked) >= MOST_BLOCKED:
            self._blocked.clear()
        self._blocked[network] = time.monotonic() + wait
        raise RateLimited(TOO_MANY_FAILURES, wait)

    def check_address(self, address: str) -> None:
        """Raises RateLimited while too many logins from this address have failed. Looks nothing up."""
        until = self._blocked.get(network_of(address))
        if until is not None and (left := until - time.monotonic()) > 0:
            raise RateLimited(TOO_MANY_FAILURES, max(1, round(left)))

    async def _hit(self, item: RateLimitItemPerMinute, key: str) -> bool:
        name = item.key_for(key)
        tally = self._tallies.setdefault(name, Tally())
        return await tally.hit(lambda hits: self._count(name, item.get_expiry(), hits)) <= item.amount

    async def _count(self, name: str, seconds: int, hits: int) -> int:
        """Count these hits; returns how many there are now in this window."""
        if time.monotonic() >= self._alone_until:
            try:
                return await self._shared.storage.incr(name, seconds, hits)
            except (RedisError, OSError, TimeoutError) as error:
                self._alone_until = time.monotonic() + PAUSE_SECONDS
                log.warning("rates.redis_away", error=type(error).__name__)
        return await self._own.storage.incr(name, seconds, hits)

    async def _wait(self, item: RateLimitItemPerMinute, key: str) -> int:
        limiter = self._own if time.monotonic() < self._alone_until else self._shared
        try:
            stats = await limiter.get_window_stats(item, key)
        except (RedisError, OSError, TimeoutError):
            return WINDOW_SECONDS
        return min(max(1, round(stats.reset_time - time.time())), WINDOW_SECONDS)


def network_of(address: str) -> str:
    """What is counted as one address: for IPv6 its /64, because one person has all 2**64 addresses of it."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped:
        # How a dual-stack socket shows an IPv4 client; all of IPv4 is one /64 there.
        return str(parsed.ipv4_mapped)
    return str(ip_network((parsed, 64), strict=False)) if isinstance(parsed, IPv6Address) else str(parsed)
