"""The queue: hints as JSON, a hundred to a job, to the server that the URL names."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from arq.connections import ArqRedis
from redis.exceptions import RedisError

from domain import queue
from domain.errors import Misconfigured
from domain.queue import IDS_PER_JOB, QUEUE_NAME, STALE_SECONDS, Owed, Queue, redis_settings

AT = datetime(2036, 3, 1, 12, tzinfo=UTC)


async def jobs(redis: ArqRedis) -> list[tuple[str, list[Any], float]]:
    """Function, arguments and time of each job, the earliest first."""
    found = []
    for job_id, due in await redis.zrange(QUEUE_NAME, 0, -1, withscores=True):
        job = orjson.loads(await redis.get(b"arq:job:" + job_id))
        assert job["k"] == {}
        found.append((job["f"], job["a"], due))
    return found


async def test_a_job_is_json_and_carries_ids_alone(redis: ArqRedis) -> None:
    await Queue(redis).enqueue_deliveries([Owed(1, 10, 100), Owed(2, 20, 200)])

    ((function, arguments, due),) = await jobs(redis)
    assert (function, arguments) == ("deliver", [[1, 2], [10, 20], [100, 200]])
    assert abs(datetime.now(UTC).timestamp() * 1000 - due) < 60_000


async def test_many_deliveries_share_jobs_of_a_hundred(redis: ArqRedis) -> None:
    await Queue(redis).enqueue_deliveries((Owed(number, 1, 1) for number in range(250)), AT)

    sent = [arguments for _, arguments, _ in await jobs(redis)]
    assert sorted(len(ids) for ids, _, _ in sent) == [50, IDS_PER_JOB, IDS_PER_JOB]
    assert sorted(number for ids, _, _ in sent for number in ids) == list(range(250))


async def test_nothing_makes_no_job(redis: ArqRedis) -> None:
    await Queue(redis).enqueue_deliveries([])

    assert await jobs(redis) == []


async def test_a_hint_for_later_waits_for_its_time(redis: ArqRedis) -> None:
    await Queue(redis).enqueue_deliveries([Owed(1, 1, 1)], AT)
    await Queue(redis).enqueue_post(7, AT + timedelta(seconds=1))

    assert await jobs(redis) == [
        ("deliver", [[1], [1], [1]], AT.timestamp() * 1000),
        ("publish", [7], AT.timestamp() * 1000 + 1000),
    ]


async def test_hints_that_nobody_takes_do_not_pile_up(redis: ArqRedis) -> None:
    now = datetime.now(UTC)
    for number, wait in enumerate((timedelta(seconds=50), timedelta(seconds=55), timedelta(hours=1)), start=1):
        await Queue(redis).enqueue_post(number, now + wait)
    first, second, _ = await redis.zrange(QUEUE_NAME, 0, -1)
    ago = {first: STALE_SECONDS + 1, second: STALE_SECONDS - 40}
    await redis.zadd(QUEUE_NAME, {job: (now.timestamp() - seconds) * 1000 for job, seconds in ago.items()})

    await Queue(redis).enqueue_post(4)

    assert [arguments for _, arguments, _ in await jobs(redis)] == [[2], [4], [3]]
    kept = {await redis.ttl(key) for key in await redis.keys("arq:job:*")}
    assert max(kept) <= 3600 + 2 * STALE_SECONDS
    assert min(kept) <= 2 * STALE_SECONDS


async def test_by_a_clock_that_is_ahead_of_the_database_s_what_is_due_soon_is_due_now(redis: ArqRedis) -> None:
    soon = datetime.now(UTC) - timedelta(hours=1)

    await Queue(redis).enqueue_deliveries([Owed(1, 1, 1)], soon)
    await Queue(redis).enqueue_post(2, soon)

    # If both are due in the same millisecond, either may come first.
    assert sorted((name, arguments) for name, arguments, _ in await jobs(redis)) == [
        ("deliver", [[1], [1], [1]]),
        ("publish", [2]),
    ]


@pytest.mark.parametrize(
    ("url", "found"),
    [
        pytest.param("redis://somewhere", ("somewhere", 6379, 0, "", "", False, None), id="host alone"),
        pytest.param("redis://:s3%40cret@h:7000/3", ("h", 7000, 3, "", "s3@cret", False, None), id="password"),
        pytest.param("rediss://me:word@h:7000", ("h", 7000, 0, "me", "word", True, None), id="TLS and user"),
        pytest.param("unix:///run/a%20b.sock", ("localhost", 6379, 0, "", "", False, "/run/a b.sock"), id="socket"),
        pytest.param("unix:///run/r.sock?db=5", ("localhost", 6379, 5, "", "", False, "/run/r.sock"), id="socket, db"),
        pytest.param("unix://:w@/r.sock", ("localhost", 6379, 0, "", "w", False, "/r.sock"), id="socket, password"),
    ],
)
def test_a_url_says_where_redis_is(url: str, found: tuple[object, ...]) -> None:
    at = redis_settings(url)

    assert (at.host, at.port, at.database, at.username, at.password, at.ssl, at.unix_socket_path) == found


@pytest.mark.parametrize("url", ["", "localhost:6379", "http://localhost", "postgresql://localhost/h"])
def test_another_url_is_refused(url: str) -> None:
    with pytest.raises(Misconfigured):
        redis_settings(url)


async def test_a_redis_that_is_nowhere_is_told_at_once_and_not_when_connecting() -> None:
    async with queue.connect("redis://127.0.0.1:1") as redis:
        with pytest.raises(RedisError):
            await Queue(redis).enqueue_post(1)
