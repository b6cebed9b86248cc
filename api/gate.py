"""Who may come in: the token of a request, and how many requests it has sent."""

import hashlib
import time
from collections import OrderedDict
from datetime import UTC, datetime

from api.deadline import Late, within
from api.rates import Rates
from domain import workspaces
from domain.errors import Unauthenticated, Unavailable
from domain.unit import Actor

# How long the look-up of a token may take.
ANSWER_SECONDS = 5.0
# How many tokens that were good lately are remembered, by digest: these pass even if their address is blocked
# for failures of its other users.
KEPT_GOOD = 10_000
GOOD_SECONDS = 600.0
# How long an answer about a token is believed: a lookup costs more than a small query.
BELIEVED_SECONDS = 1.0


class Gate:
    """Lets requests in, or raises why not."""

    def __init__(self, rates: Rates) -> None:
        self.rates = rates
        self._good: OrderedDict[bytes, float] = OrderedDict()
        self._believed: OrderedDict[bytes, tuple[Actor, float]] = OrderedDict()
        self._changes = 0

    async def admit(self, authorization: str | None, address: str) -> Actor:
        """Whose token this is; counts the request. Raises Unauthenticated, RateLimited or Unavailable."""
        actor = await self.authenticate(authorization, address)
        await self.count(actor)
        return actor

    async def count(self, actor: Actor) -> None:
        """One more request of this actor. Raises RateLimited."""
        if actor.token is not None:
            await self.rates.count_request(actor.token.id)

    async def authenticate(self, authorization: str | None, address: str) -> Actor:
        """Whose token this is. `authorization` is "Bearer hl_...". Raises Unauthenticated, RateLimited or Unavailable.

        A request without any token is refused but not counted: it is no guess.
        """
        if authorization is None:
            raise Unauthenticated
        secret = bearer(authorization)
        digest = hashlib.sha256(secret.encode()).digest()
        if actor := self._lately(digest):
            return actor
        if time.monotonic() > self._good.get(digest, 0.0):
            self.rates.check_address(address)
        changes = self._changes
        try:
            actor = await within(ANSWER_SECONDS, workspaces.authenticate(secret, datetime.now(UTC)))
        except Unauthenticated:
            self._good.pop(digest, None)
            await self.rates.count_failure(address)
            raise
        except Late as error:
            raise Unavailable from error
        self._remember(digest, actor, believe=changes == self._changes)
        return actor

    def forget_tokens(self) -> None:
        """Believe no earlier answer: a token may have been revoked in this process."""
        self._changes += 1
        self._believed.clear()

    def _lately(self, digest: bytes) -> Actor | None:
        actor, until = self._believed.get(digest, (None, 0.0))
        if actor is None or time.monotonic() > until or actor.has_expired(datetime.now(UTC)):
            return None
        return actor

    def _remember(self, digest: bytes, actor: Actor, *, believe: bool) -> None:
        self._good[digest] = time.monotonic() + GOOD_SECONDS
        self._good.move_to_end(digest)
        if len(self._good) > KEPT_GOOD:
            self._good.popitem(last=False)
        if believe:
            self._believed[digest] = (actor, time.monotonic() + BELIEVED_SECONDS)
            self._believed.move_to_end(digest)
            if len(self._believed) > KEPT_GOOD:
                self._believed.popitem(last=False)


def bearer(authorization: str) -> str:
    """The token in a header's value; empty if it is of another kind."""
    scheme, _, secret = authorization.strip().partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""
