"""What every network's client does: check credentials, measure a text, publish one post to one account.

What a network does while we publish is a value (`PublishResult`). What is wrong with an account that a person adds is
an exception, which becomes an error of the input.

    ProviderFault
      CredentialsRefused      the network does not take these credentials
      ProviderUnreachable     the network gave no usable answer
      BadInput                a field of the input cannot be right
    LostLease                 another worker has this post now: stop, and publish nothing
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from domain.errors import FaultCode, HooklineError
from domain.sender import ProviderAnswer


class ProviderFault(HooklineError):
    """The network did not accept the account."""


class CredentialsRefused(ProviderFault):
    """The network refused these credentials."""


class ProviderUnreachable(ProviderFault):
    """The network cannot be reached, or did not answer as it should."""


class BadInput(ProviderFault):
    """A field of what was asked cannot be right.

    `field` is "server", "identifier" or "credential"; `code` tells, for example, REQUIRED, INVALID or ADDRESS_REFUSED.
    """

    def __init__(self, field: str, message: str, code: FaultCode = FaultCode.INVALID) -> None:
        super().__init__(message)
        self.field = field
        self.code = code


def refused(*checks: Callable[[], object]) -> list[BadInput]:
    """The faults that these checks raise, in their order."""
    faults = []
    for check in checks:
        try:
            check()
        except BadInput as fault:
            faults.append(fault)
    return faults


class LostLease(HooklineError):
    """Another worker publishes this post by now."""


class Caller(Protocol):
    """The one door to the outside: `Sender.call`.

    Raises `domain.sender.CallFailed`; the request may have reached the network all the same.
    """

    async def call(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
    ) -> ProviderAnswer:
        """Make one request under the rules for third parties: guarded address, bounded time and size, no redirects."""


@dataclass(frozen=True, slots=True)
class NewCredentials:
    """What a person gave: stripped, without control characters, at most 2,048 characters; None if left out."""

    server: str | None = None
    identifier: str | None = None
    credential: str | None = field(default=None, repr=False)
    # The account's id at the provider if an existing account gets a new credential; None for a new account.
    provider_id: str | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """An account as its network describes it.

    `provider_id` is unique at the provider over all servers, and stable (for Mastodon "<id>@<host>", for Bluesky the
    DID), at most 500 characters. `data` is public and flat: it is shown, and is part of payloads ("server", limits).
    `credentials` is JSON-able and all that publishing needs; it is sealed at rest. Any of these may contain a third
    party's text as it came: accounts.py cuts and cleans it.
    """

    provider_id: str
    name: str
    username: str | None
    image: str | None
    data: dict[str, Any]
    credentials: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class TextMeasure:
    """How long a text is as the network counts it, what it allows, and which parts would become links.

    `unit` is the plural noun for a person ("characters", "bytes").
    """

    length: int
    limit: int
    links: tuple[str, ...] = ()
    unit: str = "characters"

    @property
    def fits(self) -> bool:
        return self.length <= self.limit


@dataclass(frozen=True, slots=True)
class PublishingAccount:
    """The account to publish to, its credentials opened."""

    provider_id: str
    username: str | None
    data: dict[str, Any]
    credentials: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Publication:
    """One post on its way to one account.

    `key` is the same over all tries and unique to this publication. `progress` is what was remembered last, {} at
    first. Await `remember(progress)` BEFORE a call that cannot be taken back: once it returns, the next try will see
    that progress, whatever dies. It raises LostLease if another worker has taken over: let that pass.
    """

    account: PublishingAccount
    text: str
    key: str
    now: datetime
    remember: Callable[[dict[str, Any]], Awaitable[None]]
    progress: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Published:
    """The provider has the post."""

    provider_post_id: str
    external_url: str | None
    # New credentials to keep (a refreshed session); None if they have not changed. The same below.
    credentials: dict[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Rejected:
    """The provider will not take the post: final, unless a person publishes it again."""

    message: str
    credentials: dict[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class TryLater:
    """Nothing is decided: try again after `wait` (a limit of the provider's, an outage, an ambiguous failure)."""

    wait: timedelta
    message: str
    credentials: dict[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Unauthorized:
    """The provider refused the account's credentials: the account must be authorised again."""

    message: str
    credentials: dict[str, Any] | None = field(default=None, repr=False)


PublishResult = Published | Rejected | TryLater | Unauthorized


class ProviderClient(Protocol):
    """One network. Stateless: what must be kept is in credentials and progress. No secret in any message."""

    def faults_of(self, new: NewCredentials) -> list[BadInput]:
        """The fields that cannot be right, as far as can be told without a request."""

    async def check(self, caller: Caller, new: NewCredentials) -> Profile:
        """Log in and describe the account; raises CredentialsRefused, ProviderUnreachable, BadInput."""

    def measure(self, text: str, account_data: dict[str, Any]) -> TextMeasure:
        """How the network counts the text, under the limits that `Profile.data` noted; pure."""

    async def publish(self, caller: Caller, publication: Publication) -> PublishResult:
        """Publish once, whatever happened in earlier tries; raises nothing for what the network does."""
