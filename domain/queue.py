"""The arq queue: hints to workers about what is owed. The database decides; a hint may be lost or come twice.

One of the two files that import arq; the other is workers/main.py.
"""

import math
import ssl
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from time import monotonic, time
from typing import Any

import orjson
from arq.connections import ArqRedis, RedisSettings
from redis.asyncio.connection import SSLConnection

from domain.errors import Misconfigured
from domain.server_url import Form

QUEUE_NAME = "hookline:jobs"
DELIVER = "deliver"
PUBLISH = "publish"
# One arq job costs as much as sending two deliveries, whatever it carries.
IDS_PER_JOB = 100
# Hints that no worker has taken for this long are dropped: the database loop has found what they are about. While no
# worker runs, hints would fill Redis in hours.
STALE_SECONDS = 60
LONGEST_NUMBER = 9
CONNECT_SECONDS = 0.5
ANSWER_SECONDS = 1.0
URL = Form(
    "HOOKLINE_REDIS_URL",
    "redis://user:password@host:6379/0 or unix:///path/to/redis.sock",
    schemes=frozenset({"redis", "rediss", "unix"}),
    parameters=frozenset({"db", "ssl_ca_certs"}),
)


@dataclass(frozen=True, slots=True)
class Owed:
    """What a worker must know to find a place for a delivery, before it reads it from the database."""

    delivery_id: int
    webhook_id: int
    workspace_id: int


def redis_settings(url: str) -> RedisSettings:
    """arq's settings for redis://user:password@host:port/0 or unix:///path?db=0. Raises Misconfigured."""
    at = URL.parse(url)
    is_socket = at.scheme == "unix"
    number = at.parameters.get("db") or ("" if is_socket else at.path.strip("/")) or "0"
    if not number.isdecimal() or len(number) > LONGEST_NUMBER:
        raise URL.refused()
    authorities = at.parameters.get("ssl_ca_certs")
    if at.scheme == "rediss":
        _trusting(authorities)
    elif authorities is not None:
        raise Misconfigured("HOOKLINE_REDIS_URL: ssl_ca_certs needs rediss://.")
    return RedisSettings(
        host=at.host or "localhost",
        port=at.port or 6379,
        unix_socket_path=at.path if is_socket else None,
        database=int(number),
        username=at.user,
        password=at.password,
        ssl=at.scheme == "rediss",
        ssl_ca_certs=authorities,
    )


def connect(url: str, answer_seconds: float | None = None) -> ArqRedis:
    """A client that connects when it is first used, and gives up soon, so that no caller waits long for Redis.

    `answer_seconds` bounds the wait for each answer; a blocking read needs a longer one. Raises Misconfigured.
    """
    found = redis_settings(url)
    place: dict[str, Any] = (
        {"unix_socket_path": found.unix_socket_path}
        if found.unix_socket_path
        else {"host": found.host, "port": found.port, "ssl": found.ssl}
    )
    client = ArqRedis(
        **place,
        db=found.database,
        username=found.username,
        password=found.password,
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=ANSWER_SECONDS if answer_seconds is None else answer_seconds,
        job_serializer=orjson.dumps,
        job_deserializer=orjson.loads,
        default_queue_name=QUEUE_NAME,
        # As long as a job may stay in the queue.
        expires_extra_ms=2 * STALE_SECONDS * 1000,
    )
    if found.ssl:
        client.connection_pool.connection_class = _Checked
        client.connection_pool.connection_kwargs["trusting"] = _trusting(found.ssl_ca_certs)
    return client


class _Checked(SSLConnection):
    """redis-py's, but with a shared TLS context: making one for each connection stops the event loop for 45 ms."""

    def __init__(self, trusting: ssl.SSLContext, **options: Any) -> None:
        super().__init__(**options)
        self.ssl_context.context = trusting


@cache
def _trusting(authorities: str | None) -> ssl.SSLContext:
    return ssl.create_default_context() if authorities is None else URL.trusting("ssl_ca_certs", authorities)


class Queue:
    """Enqueuing. Every call raises what redis-py raises if Redis is out of reach."""

    def __init__(self, redis: ArqRedis) -> None:
        self._redis = redis
        self._tidied_at = -math.inf

    async def enqueue_deliveries(self, owed: Iterable[Owed], at: datetime | None = None) -> None:
        """Tell workers of deliveries that are due now, or `at` that time."""
        await self.forget_stale()
        for batch in _batches(owed):
            await self._redis.enqueue_job(
                DELIVER,
                [item.delivery_id for item in batch],
                [item.webhook_id for item in batch],
                [item.workspace_id for item in batch],
                _defer_until=_to_come(at),
            )

    async def enqueue_post(self, post_id: int, at: datetime | None = None) -> None:
        """Tell workers of a post that is due now, or `at` that time."""
        await self.forget_stale()
        await self._redis.enqueue_job(PUBLISH, post_id, _defer_until=_to_come(at))

    async def forget_stale(self) -> None:
        """Remove hints that no worker has taken for STALE_SECONDS; does so once in that time, at most."""
        if monotonic() < self._tidied_at + STALE_SECONDS:
            return
        self._tidied_at = monotonic()
        await self._redis.zremrangebyscore(QUEUE_NAME, 0, (time() - STALE_SECONDS) * 1000)


def _to_come(at: datetime | None) -> datetime | None:
    # If this clock is ahead of the database's, a time that is yet to come may be long past here. arq would give the job
    # a negative time to live, which Redis refuses.
    return at if at is not None and at > datetime.now(UTC) else None


def _batches(owed: Iterable[Owed]) -> Iterator[Sequence[Owed]]:
    rest = iter(owed)
    while batch := list(islice(rest, IDS_PER_JOB)):
        yield batch
