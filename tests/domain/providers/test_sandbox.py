"""The sandbox, which is no real network: each of its behaviours ends without a request."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.providers.interface import NewCredentials, Publication, PublishingAccount
from domain.providers.sandbox import Behaviour, Sandbox

NOW = datetime.now(UTC)
ROOT = Path(__file__).parents[3]


async def forget(progress: dict[str, Any]) -> None:
    """Keeps no progress: these tests try once."""


@pytest.mark.parametrize("server", Behaviour)
async def test_every_behaviour_of_the_sandbox_ends_without_a_request(server: str) -> None:
    client = Sandbox(slowness=timedelta())
    profile = await client.check(NoCaller(), NewCredentials(server))
    account = PublishingAccount(profile.provider_id, profile.username, profile.data, profile.credentials)
    result = await client.publish(NoCaller(), Publication(account, "Hello", "key", NOW, forget))
    expected = {
        "failing": "Rejected",
        "unauthorized": "Unauthorized",
        "rate-limited": "TryLater",
        "partially-failing": "Rejected",
    }
    assert type(result).__name__ == expected.get(server, "Published")


def test_the_guide_tells_of_every_behaviour_and_the_dashboard_offers_it() -> None:
    table = (ROOT / "docs" / "providers.md").read_text().partition("## Sandbox")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`[a-z].+?)\|", table, re.MULTILINE)
    assert [name for row in rows for name in re.findall(r"`([a-z-]+)`", row) if name != "server"] == [*Behaviour]
    page = (ROOT / "web" / "src" / "pages" / "accounts.tsx").read_text()
    offered = page.partition("BEHAVIOURS = [")[2].partition("] as const")[0]
    assert re.findall(r"\['([a-z-]+)', ", offered) == [*Behaviour]


class NoCaller:
    """A caller that nothing may use."""

    async def call(self, *args: Any, **more: Any) -> Any:
        raise AssertionError("the sandbox made a request")
