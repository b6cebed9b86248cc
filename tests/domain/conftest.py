"""Fixtures of the domain's tests."""

from collections.abc import AsyncIterator

import pytest
from arq.connections import ArqRedis

from domain import queue
from domain.hub import Hub
from domain.providers import CLIENTS
from domain.tables import Account
from domain.unit import Actor, Domain
from domain.vocabulary import Provider
from tests.domain.doing import add_account
from tests.domain.name_server import NameServer, naming
from tests.domain.network import Network

# Most of its assertions have no message: pytest shows their values only if it has rewritten them.
pytest.register_assert_rewrite("tests.domain.delivery_machine")


@pytest.fixture
async def account(domain: Domain, admin: Actor) -> Account:
    """A sandbox account, added before a test makes webhooks: these hear only of its posts, not account.added."""
    return await add_account(domain, admin)


@pytest.fixture
async def network() -> AsyncIterator[Network]:
    """A network in place of the sandbox."""
    usual = CLIENTS[Provider.SANDBOX]
    CLIENTS[Provider.SANDBOX] = network = Network()
    yield network
    CLIENTS[Provider.SANDBOX] = usual


@pytest.fixture
async def names() -> AsyncIterator[NameServer]:
    """A name server that answers as a test wants."""
    async with naming() as server:
        yield server


@pytest.fixture
def hub(domain: Domain) -> Hub:
    """The hub of the process."""
    return domain.hub


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[ArqRedis]:
    """A connection for the test, which waits longer for answers than ours do."""
    async with queue.connect(redis_url, answer_seconds=60) as redis:
        yield redis
