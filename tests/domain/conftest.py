"""What tests of the domain stand on."""

from collections.abc import AsyncIterator

import pytest

from tests.domain.name_server import NameServer, naming


@pytest.fixture
async def names() -> AsyncIterator[NameServer]:
    """A name server that says what a test wants."""
    async with naming() as server:
        yield server
