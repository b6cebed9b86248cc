"""The arq queue: hints to workers about what is owed. The database decides; a hint may be lost or come twice.

One of the two files that import arq; the other is workers/main.py.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson
from arq.connections import ArqRedis, RedisSettings

from domain.errors import Misconfigured

QUEUE_NAME = "hookline:jobs"
DELIVER = "deliver"
PUBLISH = "publish"
# One arq job costs as much as sending two deliveries, whatever it carries.
IDS_PER_JOB = 100
CONNECT_SECONDS = 0.5
ANSWER_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Owed:
    """What a worker must know to find a delivery a place, before it asks the database for it."""

    delivery_id: int
    webhook_id: int
    workspace_id: int


def redis_settings(url: str) -> RedisSettings:
    """arq's settings for redis://user:password@host:port/0 or unix:///path?db=0. Raises Misconfigured."""
    parts = urlsplit(url)
    if parts.scheme not in {"redis", "rediss", "unix"}:
        raise Misconfigured("HOOKLINE_REDIS_URL must look like redis://host:6379/0 or unix:///path/to/redis.sock.")
    settings = RedisSettings.from_dsn(url) if parts.scheme != "unix" else RedisSettings()
    # arq takes them as they are written, and a password with an @ in it can only be written as %40.
    settings.username, settings.password = unquote(settings.username or ""), unquote(settings.password or "")
    if parts.scheme == "unix":
        settings.unix_socket_path = unquote(parts.path)
        settings.database = int(parts.query.removeprefix("db=") or 0)
    return settings


def connect(url: str, answer_seconds: float = ANSWER_SECONDS) -> ArqRedis:
    """A client that connects when it is first used, and gives up soon: nobody waits for Redis.

    `answer_seconds` bounds each answer; a read that blocks waits longer.
    """
    found = redis_settings(url)
    place: dict[str, Any] = (
        {"unix_socket_path": found.unix_socket_path}
        if found.unix_socket_path
        else {"host": found.host, "port": found.port, "ssl": found.ssl}
    )
    return ArqRedis(
        **place,
        db=found.database,
        username=found.username,
        password=found.password,
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=answer_seconds,
        job_serializer=orjson.dumps,
        job_deserializer=orjson.loads,
        default_queue_name=QUEUE_NAME,
    )


class Queue:
    """Enqueuing. Every call raises what redis-py raises where Redis is out of reach."""

    def __init__(self, redis: ArqRedis) -> None:
        self._redis = redis

    async def enqueue_deliveries(self, owed: Iterable[Owed], at: datetime | None = None) -> None:
        """Tell workers of deliveries that are due now, or `at` that time."""
        for batch in _batches(owed):
            await self._redis.enqueue_job(
                DELIVER,
                [item.delivery_id for item in batch],
                [item.webhook_id for item in batch],
                [item.workspace_id for item in batch],
                _defer_until=at,
            )

    async def enqueue_post(self, post_id: int, at: datetime | None = None) -> None:
        """Tell workers of a post that is due now, or `at` that time."""
        await self._redis.enqueue_job(PUBLISH, post_id, _defer_until=at)


def _batches(owed: Iterable[Owed]) -> Iterator[Sequence[Owed]]:
    rest = iter(owed)
    while batch := list(islice(rest, IDS_PER_JOB)):
        yield batch
