"""A minimal publishing job: one post to one account, over several tries."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any

from domain.addresses import AddressPolicy
from domain.providers.interface import (
    Caller,
    Profile,
    ProviderClient,
    Publication,
    PublishingAccount,
    PublishResult,
)
from domain.sender import Sender, SenderLimits

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


@dataclass
class Tries:
    """Publishes one text to one account, as often as `once` is called; keeps progress and credentials in between."""

    client: ProviderClient
    caller: Caller
    account: PublishingAccount
    text: str
    key: str = "post-1-account-1"
    now: datetime = NOW
    progress: dict[str, Any] = field(default_factory=dict)

    async def once(self, later: timedelta = timedelta(0)) -> PublishResult:
        """One try, this much later than the one before."""
        self.now += later
        publication = Publication(
            self.account, self.text, self.key, self.now, progress=self.progress, remember=self._remember
        )
        result = await self.client.publish(self.caller, publication)
        if result.credentials is not None:
            self.account = replace(self.account, credentials=result.credentials)
        return result

    async def _remember(self, progress: dict[str, Any]) -> None:
        self.progress = progress


def loopback_sender() -> Sender:
    """The one door to the outside, which here may lead to loopback."""
    policy = AddressPolicy(allowed=(ip_network("127.0.0.0/8"), ip_network("::1/128")))
    return Sender(policy, SenderLimits(), connections=10)


def account_of(profile: Profile) -> PublishingAccount:
    """The account as it is stored between being added and publishing."""
    return PublishingAccount(profile.provider_id, profile.username, profile.data, profile.credentials)
