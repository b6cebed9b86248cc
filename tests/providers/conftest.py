"""Real networks for the providers' tests."""

from collections.abc import AsyncIterator, Iterator

import pytest

from domain.sender import Sender
from tests.providers.pds_server import Pds, PdsAccount, running_pds
from tests.providers.relay import Relay, relaying
from tests.providers.snac_server import CannotBuild, Snac, running_snac, snac_program
from tests.providers.tries import loopback_sender


def pytest_addoption(parser: pytest.Parser) -> None:
    """`make test-providers` fails if a network's server cannot be had; `make test` skips the tests that need it."""
    parser.addoption("--require-networks", action="store_true", help="fail where a network's server cannot be built")


@pytest.fixture(scope="session")
def pds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pds]:
    """One PDS for all tests; each has accounts of its own."""
    with running_pds(tmp_path_factory.mktemp("pds")) as pds:
        yield pds


@pytest.fixture
async def someone(pds: Pds) -> PdsAccount:
    """An account on the PDS."""
    return await pds.add_account()


@pytest.fixture
async def pds_relay(pds: Pds) -> AsyncIterator[Relay]:
    """A relay in front of the PDS that can lose answers."""
    async with relaying(pds.url) as relay:
        yield relay


@pytest.fixture(scope="session")
def snac(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Snac]:
    """One snac for all tests; each has users of its own."""
    try:
        snac_program()
    except CannotBuild as reason:
        if request.config.getoption("--require-networks", default=False):
            raise
        pytest.skip(f"snac cannot be built on this machine: {reason}")
    with running_snac(tmp_path_factory.mktemp("snac")) as snac:
        yield snac


@pytest.fixture
async def snac_relay(snac: Snac) -> AsyncIterator[Relay]:
    """A relay in front of snac that can lose answers."""
    async with relaying(snac.url) as relay:
        yield relay


@pytest.fixture
async def sender() -> AsyncIterator[Sender]:
    """The one door to the outside, which here may lead to loopback."""
    async with loopback_sender() as sender:
        yield sender
