"""All of Hookline as processes, with a proxy between each process and its servers that can break."""

import asyncio
import base64
import shutil
import signal
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg

from cli.private_server import POSTGRES_SOCKET, socket_folder
from cli.processes import wait_until
from cli.programs import api_answers, try_port
from cli.servers import PrivatePostgres, PrivateRedis
from domain import database, unit, workspaces
from domain.settings import Settings
from domain.unit import Actor
from domain.vocabulary import Role
from domain.workspaces import NewToken
from tests.e2e.process import HEALTHY_SECONDS, Process
from tests.e2e.proxies import Proxies
from tests.waiting import until

KEY = bytes(range(32))
SHIFTED = Path(__file__).parent / "shifted"
# Short, so that a lease runs out within a test; but receivers share a process with the test, which a busy machine may
# not run for seconds.
CONNECT, REQUEST, LEASE, SHUTDOWN = 1.0, 5.0, 10.0, 5.0
ENDPOINT_PLACES = 20
# These tests crash PostgreSQL, so its durability settings stay as they are in production.
POSTGRES = {"max_connections": "60", "log_min_messages": "fatal"}


class System:
    """PostgreSQL, Redis, an API process and worker processes in a folder of their own.

    The API reaches its servers by the ways "api.postgres" and "api.redis", the workers by "worker.postgres" and
    "worker.redis".
    """

    postgres_kind = PrivatePostgres

    def __init__(self, folder: Path, data: Path | None = None, more: Mapping[str, str] | None = None) -> None:
        """`folder` needs a short path, for unix sockets. `data` and `more` are PostgreSQL's folder and settings."""
        self.folder = folder
        self.postgres = self.postgres_kind(data or folder / "postgres", {**POSTGRES, **(more or {})})
        self.redis = PrivateRedis(folder / "redis")
        self.workers: list[Process] = []
        self._numbers = iter(range(1_000_000))
        self.port = try_port("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.port}"

    async def start(self, workers: int = 2) -> None:
        """Start all of it."""
        await asyncio.to_thread(self.folder.mkdir, parents=True, exist_ok=True)
        self.postgres.start()
        self.redis.start()
        await database.migrate(self.settings())
        self.proxies = Proxies(self._ways())
        self.api = self.api_process().launch()
        for _ in range(workers):
            self.add_worker()
        await self.healthy()

    def stop(self) -> None:
        """End all of it."""
        for process in (*self.workers, self.api):
            process.send(signal.SIGCONT)
            process.kill()
        self.proxies.stop()
        for server in (self.redis, self.postgres):
            server.stop()

    def _ways(self) -> dict[str, tuple[Path, Path]]:
        ways = {}
        for who in ("api", "worker"):
            folder = self.folder / who
            folder.mkdir(exist_ok=True)
            ways[f"{who}.postgres"] = (folder / POSTGRES_SOCKET, socket_folder(self.postgres.data) / POSTGRES_SOCKET)
            ways[f"{who}.redis"] = (folder / "redis.sock", self.redis.socket)
        return ways

    def settings(self) -> Settings:
        """Settings for the test's own process: they lead straight to the servers."""
        return Settings(
            database_url=self.postgres.url,
            redis_url=self.redis.url,
            secret_keys=(KEY,),
            allowed_networks=(ip_network("127.0.0.0/8"),),
            lease=timedelta(seconds=LEASE),
        )

    def variables(self, who: str) -> dict[str, str]:
        """The environment variables of processes of this kind."""
        folder = self.folder / who
        return {
            "HOOKLINE_DATABASE_URL": f"postgresql://hookline@/hookline?host={folder}",
            "HOOKLINE_REDIS_URL": f"unix://{folder}/redis.sock",
            "HOOKLINE_SECRET_KEYS": base64.urlsafe_b64encode(KEY).decode(),
            "HOOKLINE_ALLOWED_NETWORKS": "127.0.0.0/8",
            "HOOKLINE_PORT": str(self.port),
            "HOOKLINE_REQUESTS_PER_MINUTE": "1000000",
            "HOOKLINE_CONNECT_TIMEOUT": f"{CONNECT:g}",
            "HOOKLINE_REQUEST_TIMEOUT": f"{REQUEST:g}",
            "HOOKLINE_LEASE": f"{LEASE:g}",
            "HOOKLINE_SHUTDOWN_DEADLINE": f"{SHUTDOWN:g}",
            "HOOKLINE_ENDPOINT_CONCURRENCY": str(ENDPOINT_PLACES),
            "HOOKLINE_LOG_FORMAT": "text",
            "TMPDIR": str(self.folder),
        }

    def api_process(self, **variables: str) -> Process:
        """An API process that is not started yet."""
        told = {**self.variables("api"), **variables}
        return Process("api", told, self.folder / "api.log", api_answers("127.0.0.1", self.port))

    def add_worker(self, **variables: str) -> Process:
        """Start one more worker; see `Process.ready`."""
        number = next(self._numbers)
        ready_file = self.folder / f"ready-{number}"
        told = {**self.variables("worker"), "HOOKLINE_READY_FILE": str(ready_file), **variables}
        worker = Process("worker", told, self.folder / f"worker-{number}.log", ready_file.exists)
        self.workers.append(worker.launch())
        return worker

    async def with_workers(self, count: int, **variables: str) -> list[Process]:
        """Replace all workers by this many new ones that are ready."""
        self.kill_workers()
        for _ in range(count):
            self.add_worker(**variables)
        for worker in self.workers:
            await worker.ready()
        return self.workers

    def kill_workers(self) -> None:
        """End all workers as a power cut would."""
        for worker in self.workers:
            worker.kill()
        self.workers.clear()

    async def healthy(self, seconds: float = HEALTHY_SECONDS) -> None:
        """Wait until every process is healthy. Raises AssertionError if one is not in time."""
        await asyncio.gather(*(process.ready(seconds) for process in (self.api, *self.workers)))

    async def make_good(self, workers: int) -> None:
        """Repair whatever a test broke, and have this many workers."""
        self.proxies.heal()
        for server in (self.postgres, self.redis):
            if server.process is None or server.process.poll() is not None:
                server.launch()
            await until(server.is_ready, what=server.name)
        self.workers = [worker for worker in self.workers if worker.is_running]
        self.api.send(signal.SIGCONT)
        for worker in self.workers:
            worker.send(signal.SIGCONT)
        while len(self.workers) > workers:
            self.workers.pop().kill()
        while len(self.workers) < workers:
            self.add_worker()
        if not self.api.is_running:
            self.api.launch()
        await self.sql(_CLEAR)
        await self.healthy()

    async def new_workspace(self) -> tuple[int, str]:
        """The key of a new workspace and the token of its admin."""
        async with unit.opened(self.settings()) as domain:
            workspace = await workspaces.create(f"Test {uuid4()}")
            async with domain.unit(Actor(workspace, None, Role.ADMIN)) as opened:
                _, token = await workspaces.create_token(opened, NewToken("test", Role.ADMIN))
        return workspace.id, token

    async def end_leases(self) -> None:
        """Let every lease run out now."""
        await self.sql(_LEASES_ARE_OVER)

    async def sql(self, statement: str, *values: Any) -> list[Any]:
        """Run a statement straight on the server, past the proxies. Raises what asyncpg raises."""
        connection = await connect(self.settings())
        try:
            return await connection.fetch(statement, *values)
        finally:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await connection.close()


@contextmanager
def started(kind: type[System], workers: int) -> Iterator[System]:
    """A system of this kind in a folder of its own, while the block lasts."""
    # Not pytest's own folder: the path of a unix socket must be short.
    folder = Path(tempfile.mkdtemp(prefix="hookline-"))
    system = kind(folder)
    try:
        with asyncio.Runner() as runner:
            runner.run(system.start(workers))
        yield system
    finally:
        system.stop()
        shutil.rmtree(folder, ignore_errors=True)


async def connect(settings: Settings) -> asyncpg.Connection:
    """A connection to the database of these settings."""
    return await asyncpg.connect(settings.database_url, timeout=10)


def kill_server(server: PrivatePostgres | PrivateRedis, number: signal.Signals) -> None:
    """End a server with this signal, and wait until it has ended; `server.launch()` brings it back."""
    process = server.process
    assert process is not None
    process.send_signal(number)
    process.wait(20)


def alive(processes: Iterable[Process]) -> bool:
    """Whether all of them run."""
    return all(process.is_running for process in processes)


def start_again(server: PrivatePostgres | PrivateRedis) -> None:
    """Bring a server back, and wait until it answers."""
    server.launch()
    assert wait_until(server.is_ready, timedelta(seconds=30)), server.name


_LEASES_ARE_OVER = """
WITH looked_at AS (UPDATE unsettled SET check_at = now())
UPDATE delivery SET leased_until = now() WHERE status = 'delivering'
"""

# What is left of a test must not be sent during the next one.
_CLEAR = """
WITH stopped AS (UPDATE webhook SET active = false, deleted_at = now() WHERE deleted_at IS NULL),
forgotten AS (DELETE FROM unsettled)
UPDATE delivery SET status = 'cancelled', finished_at = now(), change = change + 1 WHERE finished_at IS NULL
"""
