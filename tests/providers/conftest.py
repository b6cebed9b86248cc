"""Real networks for the providers' tests."""

from collections.abc import AsyncIterator, Iterator
from ipaddress import ip_network

import pytest

from domain.addresses import AddressPolicy
from domain.sender import Sender, SenderLimits
from tests.providers.pds_server import Pds, PdsAccount, running_pds
from tests.providers.relay import Relay, relaying


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


@pytest.fixture
async def sender() -> AsyncIterator[Sender]:
    """The one door to the outside, which here may lead to loopback."""
    policy = AddressPolicy(allowed=(ip_network("127.0.0.0/8"), ip_network("::1/128")))
    async with Sender(policy, SenderLimits(), version="test", connections=10) as sender:
        yield sender
