"""The sandbox: a network in name alone, each of whose behaviours ends without a request."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.providers.interface import NewCredentials, Publication, PublishingAccount
from domain.providers.sandbox import Sandbox

NOW = datetime.now(UTC)


@pytest.mark.parametrize("server", ["ok", "slow", "failing", "unauthorized", "rate-limited", "partially-failing"])
async def test_every_behaviour_of_the_sandbox_ends_without_a_request(server: str) -> None:
    client = Sandbox(slowness=timedelta())
    profile = await client.check(NoCaller(), NewCredentials(server))
    account = PublishingAccount(profile.provider_id, profile.username, profile.data, profile.credentials)
    result = await client.publish(NoCaller(), Publication(account, "Hello", "key", NOW))
    expected = {
        "failing": "Rejected",
        "unauthorized": "Unauthorized",
        "rate-limited": "TryLater",
        "partially-failing": "Rejected",
    }
    assert type(result).__name__ == expected.get(server, "Published")


class NoCaller:
    """A door that stays shut."""

    async def call(self, *args: Any, **more: Any) -> Any:
        raise AssertionError("the sandbox made a request")
