"""What tests use: a real PostgreSQL, a real Redis and a real receiver. They share the servers and nothing else."""

import asyncio
import gc
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from redis.asyncio import Redis

from cli.servers import PrivatePostgres, PrivateRedis
from domain import unit, workspaces
from domain.settings import Settings
from domain.tables import Workspace
from domain.unit import Actor, Domain
from domain.vocabulary import Role
from tests.databases import Databases
from tests.oldest.postgres import OtherPostgres
from tests.receiver import Receiver, receiving

# Test data need not survive a crash of the machine.
FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "checkpoint_timeout": "1h",
    "max_wal_size": "4GB",
    "max_connections": "300",
    "autovacuum": "off",
}
SECRET_KEY = bytes(range(32))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Other servers than the bundled ones, for the tests that start no `hookline up`."""
    parser.addoption("--postgres", help="the folder of PostgreSQL's programs, or `oldest` that is supported")
    parser.addoption("--redis", type=Path, help="Redis's program")


def pytest_configure() -> None:
    """Let Ctrl-C reach the commands under test: if a script runs the tests in the background, they would ignore it.

    And let Hypothesis measure no time.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # A test that is slow on a busy machine is not wrong.
    hypothesis_settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    hypothesis_settings.load_profile("patient")
    # Off until all tests are loaded: nothing of them is garbage.
    gc.disable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the browser's tests first: their file takes longest, and started late it would run on alone at the end."""
    items.sort(key=lambda item: item.path.parent.name != "web")


def pytest_collection_finish() -> None:
    """Exclude modules and tests from garbage collection: they stay."""
    gc.freeze()
    gc.enable()


@dataclass(frozen=True)
class Servers:
    """The servers of a test session."""

    postgres: PrivatePostgres
    redis: PrivateRedis
    databases: Databases


@pytest.fixture(scope="session")
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """One PostgreSQL, with a migrated database as template, and one Redis for all tests."""
    data = tmp_path_factory.mktemp("servers")
    postgres, redis = PrivatePostgres(data / "postgres", FAST), PrivateRedis(data / "redis")
    if programs := request.config.getoption("--postgres"):
        postgres = OtherPostgres(data / "postgres", FAST, None if programs == "oldest" else Path(programs))
    if program := request.config.getoption("--redis"):
        redis.binary = program
    with postgres, redis:
        databases = Databases(postgres)
        with asyncio.Runner() as runner:
            runner.run(databases.make_template(settings_of(postgres.url, "redis://unused")))
        yield Servers(postgres, redis, databases)


@pytest.fixture
async def empty_database_url(servers: Servers) -> AsyncIterator[str]:
    """A database without tables for this test only."""
    async with servers.databases.bare() as url:
        yield url


@pytest.fixture
async def database_url(request: pytest.FixtureRequest, servers: Servers) -> AsyncIterator[str]:
    """A migrated database for this test only."""
    unused = request.node.get_closest_marker("unused_database") is not None
    async with servers.databases.migrated(unused=unused) as url:
        yield url


@pytest.fixture
async def redis_url(servers: Servers) -> str:
    """A Redis with nothing in it."""
    async with Redis.from_url(servers.redis.url) as redis:
        await redis.flushall()
    return servers.redis.url


@pytest.fixture
def settings(database_url: str, redis_url: str) -> Settings:
    """Settings under which deliveries may go to loopback."""
    return settings_of(database_url, redis_url)


def settings_of(database_url: str, redis_url: str) -> Settings:
    """The settings of every test, on these servers."""
    return Settings(
        database_url=database_url,
        redis_url=redis_url,
        secret_keys=(SECRET_KEY,),
        allowed_networks=(ip_network("127.0.0.0/8"), ip_network("::1/128")),
        log_format="text",
    )


@pytest.fixture
async def domain(settings: Settings) -> AsyncIterator[Domain]:
    """The resources of a process, connected to this test's servers."""
    async with AsyncExitStack() as stack:
        with patient_with_redis():
            domain = await stack.enter_async_context(unit.opened(settings))
        yield domain


@contextmanager
def patient_with_redis() -> Iterator[None]:
    """Clients that connect in the block wait a minute for answers: a busy machine may not run Redis for a second."""
    with pytest.MonkeyPatch.context() as patient:
        patient.setattr("domain.queue.ANSWER_SECONDS", 60.0)
        yield


@pytest.fixture
async def workspace(domain: Domain) -> Workspace:
    """A workspace named "Test"."""
    return await workspaces.create("Test")


@pytest.fixture
async def admin(workspace: Workspace) -> Actor:
    """An admin of that workspace without a token, as the command line acts."""
    return Actor(workspace, None, Role.ADMIN)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A server on loopback that records deliveries and answers as it is told."""
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
def closed_port() -> Iterator[str]:
    """A URL at which nothing listens: the port is bound, so that no other process gets it, but not listened on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/"
