"""The one door to the outside, for providers that talk to a scripted receiver."""

from collections.abc import AsyncIterator

import pytest

from domain.sender import Sender
from tests.providers.tries import loopback_sender


@pytest.fixture
async def sender() -> AsyncIterator[Sender]:
    """The one door to the outside, which here may lead to loopback."""
    async with loopback_sender() as sender:
        yield sender
