"""A network that publishes nowhere: for trying things out, and for tests. It makes no request.

The `server` of an account chooses what happens:

    ok                 publishes at once (the default)
    slow               publishes after a few seconds
    failing            rejects every post
    unauthorized       is accepted when it is added, and refuses its credentials when it publishes
    rate-limited       makes each post wait once, then publishes
    partially-failing  rejects each post once, and publishes it when it is tried again (postPublish)

The credential may be left out; "wrong" is refused.
"""

import asyncio
import hashlib
import re
import secrets
from datetime import timedelta
from enum import StrEnum
from typing import Any

from domain.providers.interface import (
    BadInput,
    Caller,
    CredentialsRefused,
    NewCredentials,
    Profile,
    Publication,
    Published,
    PublishResult,
    Rejected,
    TextMeasure,
    TryLater,
    Unauthorized,
    refused,
)

TEXT_LIMIT = 500
SLOWNESS = timedelta(seconds=3)
RATE_LIMIT_WAIT = timedelta(seconds=5)
WRONG_CREDENTIAL = "wrong"
# The top-level domain .invalid leads nowhere (RFC 2606).
HOME = "https://sandbox.invalid"

_LINK = re.compile(r"https?://\S+")


class Behaviour(StrEnum):
    """What a sandbox account does with a post."""

    OK = "ok"
    SLOW = "slow"
    FAILING = "failing"
    UNAUTHORIZED = "unauthorized"
    RATE_LIMITED = "rate-limited"
    PARTIALLY_FAILING = "partially-failing"


class Sandbox:
    """The sandbox network; `slowness` is how long the slow behaviour takes."""

    def __init__(self, slowness: timedelta = SLOWNESS) -> None:
        self._slowness = slowness

    def faults_of(self, new: NewCredentials) -> list[BadInput]:
        """An unknown behaviour."""
        return refused(lambda: _behaviour(new.server))

    async def check(self, caller: Caller, new: NewCredentials) -> Profile:
        """Any identifier is an account; without one, each is a new account."""
        behaviour = _behaviour(new.server)
        if new.credential == WRONG_CREDENTIAL:
            raise CredentialsRefused('The sandbox refuses the credential "wrong", as any network would.')
        username = new.identifier or f"sandbox-{secrets.token_hex(4)}"
        return Profile(
            provider_id=new.provider_id or f"{username}@{behaviour}",
            name=username,
            username=username,
            image=None,
            data={"server": behaviour.value, "text_limit": TEXT_LIMIT},
            credentials={"credential": new.credential or ""},
        )

    def measure(self, text: str, account_data: dict[str, Any]) -> TextMeasure:
        """Characters, at most 500."""
        return TextMeasure(len(text), TEXT_LIMIT, tuple(_LINK.findall(text)))

    async def publish(self, caller: Caller, publication: Publication) -> PublishResult:
        """Do as the account's server says."""
        tried_before = publication.progress.get("tried", False)
        match Behaviour(publication.account.data["server"]):
            case Behaviour.FAILING:
                return Rejected("The sandbox rejects every post of this account.")
            case Behaviour.UNAUTHORIZED:
                return Unauthorized("The sandbox no longer takes the credentials of this account.")
            case Behaviour.RATE_LIMITED if not tried_before:
                await publication.remember({"tried": True})
                return TryLater(RATE_LIMIT_WAIT, "The sandbox asks for a little patience.")
            case Behaviour.PARTIALLY_FAILING if not tried_before:
                await publication.remember({"tried": True})
                return Rejected("The sandbox rejects each post of this account once; publish it again.")
            case Behaviour.SLOW:
                await asyncio.sleep(self._slowness.total_seconds())
        return _published(publication)


def _behaviour(server: str | None) -> Behaviour:
    try:
        return Behaviour((server or Behaviour.OK).lower())
    except ValueError:
        raise BadInput("server", f"For the sandbox, the server is one of: {', '.join(Behaviour)}.") from None


def _published(publication: Publication) -> Published:
    # The same post has the same id however often it is tried, as on a network that knows the idempotency key.
    post_id = hashlib.sha256(publication.key.encode()).hexdigest()[:16]
    return Published(post_id, f"{HOME}/{publication.account.username}/{post_id}")
