"""Where the measurements are made: PostgreSQL at its default durability, Redis with its append-only file, processes."""

import asyncio
import base64
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

import asyncpg
import psutil

from bench.documents import document
from cli.servers import PrivatePostgres, PrivateRedis
from domain import database
from domain.settings import Settings
from domain.vault import Vault

KEY = bytes(32)
WEBHOOK_UUID = "00000000-0000-4000-8000-%012d"
SECRET = "a secret of some length"
DEADLINE_SECONDS = 300


@dataclass(frozen=True)
class Place:
    """Servers and settings of one run."""

    settings: Settings
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        """The environment of our processes."""
        return {
            **os.environ,
            "HOOKLINE_DATABASE_URL": self.settings.database_url,
            "HOOKLINE_REDIS_URL": self.settings.redis_url,
            "HOOKLINE_SECRET_KEYS": base64.urlsafe_b64encode(KEY).decode(),
            "HOOKLINE_ALLOWED_NETWORKS": "127.0.0.0/8",
            "HOOKLINE_LOG_LEVEL": "warning",
        }


@contextmanager
def prepared() -> Iterator[Place]:
    """Servers with an empty, migrated database."""
    with (
        tempfile.TemporaryDirectory(prefix="hookline-bench-") as folder,
        PrivatePostgres(Path(folder) / "postgres") as postgres,
        PrivateRedis(Path(folder) / "redis") as redis,
    ):
        settings = Settings(
            database_url=postgres.url, redis_url=redis.url, secret_keys=(KEY,), log_level="warning",
            allowed_networks=(ip_network("127.0.0.0/8"),),
        )  # fmt: skip
        asyncio.run(database.migrate(settings))
        yield Place(settings, Path(folder))


@contextmanager
def receiver(delay_ms: float = 0) -> Iterator[str]:
    """The URL of a receiver in a process of its own."""
    command = [sys.executable, "-m", "bench.receiver", str(delay_ms)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = f"http://127.0.0.1:{int(process.stdout.readline())}"
        try:
            yield url
        finally:
            ask_receiver(url, "/stop")


def ask_receiver(url: str, path: str) -> object:
    """The JSON that a receiver answers."""
    with urllib.request.urlopen(url + path, timeout=60) as answer:
        return json.load(answer)


@contextmanager
def workers(place: Place, count: int = 1, **settings: str) -> Iterator[list[psutil.Process]]:
    """Worker processes; they are ended, and waited for, at the end."""
    ready = [place.folder / f"ready-{number}" for number in range(count)]
    for path in ready:
        # The workers of an earlier measurement have left their files behind.
        path.unlink(missing_ok=True)
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "cli", "worker"],
            env={**place.environment, "HOOKLINE_READY_FILE": str(path), **settings},
        )
        for path in ready
    ]
    try:
        _wait_for(ready)
        yield [psutil.Process(process.pid) for process in started]
    finally:
        for process in started:
            process.terminate()
        for process in started:
            process.wait(60)


def _wait_for(files: list[Path]) -> None:
    deadline = time.monotonic() + 60
    while not all(file.exists() for file in files):
        if time.monotonic() > deadline:
            raise TimeoutError("the workers did not start")
        time.sleep(0.05)


def cpu_seconds(process: psutil.Process) -> float:
    """The CPU time of a process so far, in user and in kernel mode."""
    times = process.cpu_times()
    return float(times.user + times.system)


async def connect(place: Place) -> asyncpg.Connection:
    """A connection of the bench's own."""
    return await asyncpg.connect(place.settings.database_url)


@asynccontextmanager
async def filled(
    place: Place,
    url: str,
    deliveries: int,
    *,
    webhooks: int = 1,
    size: int = 1000,
    per_event: int = 1,
    history: int = 0,
) -> AsyncIterator[asyncpg.Connection]:
    """A workspace whose webhooks have this many deliveries due at once; all of it is gone afterwards."""
    connection = await connect(place)
    try:
        await _empty(connection)
        await connection.execute("INSERT INTO workspace (id, uuid, name, created_at) VALUES (1, $1, 'w', now())", _ZERO)
        vault = Vault([KEY])
        for number in range(1, webhooks + 1):
            uuid = WEBHOOK_UUID % number
            sealed = vault.seal(SECRET, workspace_id=1, row=uuid, field="sealed_secret")
            await connection.execute(_WEBHOOK, number, uuid, url, sealed)
        await connection.execute(_EVENTS, deliveries // per_event, document(size))
        await connection.execute(_DELIVERIES, deliveries, per_event, webhooks)
        if history:
            await remember(connection, 1, history)
        await connection.execute("ANALYZE")
        yield connection
    finally:
        await _empty(connection)
        await connection.close()


async def due_backlog(place: Place, url: str, deliveries: int) -> None:
    """Give the oldest workspace a webhook with this many deliveries due."""
    connection = await connect(place)
    workspace = await connection.fetchval("SELECT min(id) FROM workspace")
    await connection.execute(
        """WITH w AS (
            INSERT INTO webhook (uuid, workspace_id, name, callback_url, method, content_type, max_attempts, active,
                events, unreachable_in_a_row, created_at, updated_at)
            VALUES (gen_random_uuid(), $1, 'backlog', $2, 'POST', 'application/json', 10, true, '{}', 0, now(), now())
            RETURNING id
        ), e AS (
            INSERT INTO event (workspace_id, type, document) VALUES ($1, 'post.published', $3) RETURNING id
        )
        INSERT INTO delivery (workspace_id, event_id, webhook_id, event_type, max_attempts)
        SELECT $1, e.id, w.id, 'post.published', 10 FROM w, e, generate_series(1, $4::int)""",
        workspace, url, document(1000), deliveries,
    )  # fmt: skip
    await connection.close()


async def remember(connection: asyncpg.Connection, workspace: int, deliveries: int) -> None:
    """Give a workspace this many finished deliveries, of 100 webhooks."""
    await connection.execute(
        """INSERT INTO delivery (workspace_id, event_id, webhook_id, event_type, max_attempts, status, attempt_count,
            attempt_number, change, finished_at)
        SELECT $1, 1 + n % 1000, 1 + n % 100, 'post.published', 10, 'succeeded', 1, 1, 3, now()
        FROM generate_series(1, $2::int) n""",
        workspace, deliveries,
    )  # fmt: skip
    await connection.execute("VACUUM ANALYZE delivery")


async def drained(connection: asyncpg.Connection) -> None:
    """Wait until nothing is owed any more."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        if not await connection.fetchval("SELECT count(*) FROM delivery WHERE finished_at IS NULL"):
            return
        await asyncio.sleep(0.1)
    raise TimeoutError(f"there were deliveries left after {DEADLINE_SECONDS} s")


async def _empty(connection: asyncpg.Connection) -> None:
    await connection.execute("TRUNCATE workspace, event, delivery, attempt, unsettled RESTART IDENTITY CASCADE")


_ZERO = "00000000-0000-4000-8000-000000000000"

_WEBHOOK = """
INSERT INTO webhook (id, uuid, workspace_id, name, callback_url, method, content_type, max_attempts, active, events,
    sealed_secret, unreachable_in_a_row, created_at, updated_at)
VALUES ($1, $2, 1, 'bench', $3, 'POST', 'application/json', 10, true, '{post.published}', $4, 0, now(), now())
"""
_EVENTS = """
INSERT INTO event (workspace_id, type, document) SELECT 1, 'post.published', $2 FROM generate_series(1, $1::int)
"""
_DELIVERIES = """
WITH made AS (
    INSERT INTO delivery (workspace_id, event_id, webhook_id, event_type, max_attempts)
    SELECT 1, 1 + (n - 1) / $2::int, 1 + (n - 1) % $3::int, 'post.published', 10 FROM generate_series(1, $1::int) n
    RETURNING id
)
INSERT INTO unsettled (delivery_id, from_change) SELECT id, 1 FROM made
"""
