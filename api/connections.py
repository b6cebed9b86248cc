"""All open WebSockets and event streams of the process: how many there may be, and which of them have to go."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Final, Protocol

import structlog

from api.deadline import Late, within
from domain import workspaces
from domain.errors import Unavailable, reason_of
from domain.settings import Settings
from domain.tasks import end
from domain.unit import Actor

# How often tokens and stalled clients are checked.
WATCH_SECONDS = 1.0
# How long the database may take to say which tokens are still good.
ANSWER_SECONDS = 5.0

BAD_REQUEST: Final = 4400
UNAUTHORIZED: Final = 4401
FORBIDDEN: Final = 4403
NO_SUBPROTOCOL: Final = 4406
INIT_TIMEOUT: Final = 4408
DUPLICATE_ID: Final = 4409
TOO_MANY: Final = 4429
INTERNAL_ERROR: Final = 4500
RESTARTING: Final = 1012
# "Try again later": the client libraries reconnect after it.
TRY_AGAIN: Final = 1013

TOO_SLOW_REASON = "Too slow: reconnect, and resume from your cursor"
NO_LONGER_VALID = "The token was revoked or has expired"
FULL_REASON = "This server has as many sockets as it can hold."

log = structlog.get_logger(__name__)


class Connection(Protocol):
    """Something that stays open."""

    @property
    def actor(self) -> Actor | None:
        """Whose it is, once that is known."""

    def has_stalled(self, now: float) -> bool:
        """Whether its client takes nothing any more."""

    def close(self, code: int, reason: str) -> None:
        """End it soon, without waiting."""


class Connections:
    """The registry of one process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open: set[Connection] = set()
        self._by_token: Counter[int] = Counter()
        self.stopping = False

    def __len__(self) -> int:
        return len(self._open)

    @property
    def full(self) -> bool:
        """Whether the process can hold no more."""
        return self.stopping or len(self._open) >= self._settings.sockets_per_process

    def add(self, connection: Connection) -> None:
        """One more."""
        self._open.add(connection)

    def claim(self, actor: Actor) -> bool:
        """Count a connection of this token; False if it has too many."""
        if actor.token is None:
            return True
        if self._by_token[actor.token.id] >= self._settings.sockets_per_token:
            return False
        self._by_token[actor.token.id] += 1
        return True

    def remove(self, connection: Connection) -> None:
        """One less. Only a claimed connection may have an actor."""
        self._open.discard(connection)
        if connection.actor is not None and connection.actor.token is not None:
            token_id = connection.actor.token.id
            self._by_token[token_id] -= 1
            if self._by_token[token_id] <= 0:
                del self._by_token[token_id]

    def stop(self) -> None:
        """End them all: the process is stopping."""
        self.stopping = True
        for connection in tuple(self._open):
            connection.close(RESTARTING, "The server restarts: reconnect, and resume from your cursor")

    @asynccontextmanager
    async def watched(self) -> AsyncIterator["Connections"]:
        """Watches for as long as the block lasts, then ends what is open."""
        task = asyncio.create_task(self._watch_forever(), name="connections")
        try:
            yield self
        finally:
            await end(task)
            self.stop()

    async def _watch_forever(self) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            self.close_stalled(asyncio.get_running_loop().time())
            self.close_expired(datetime.now(UTC))
            try:
                await self.close_revoked(datetime.now(UTC))
            except (Late, Unavailable) as error:
                # Connections stay open while the database is away; the next round asks it again.
                log.warning("connections.database_away", error=reason_of(error))
            except Exception:
                log.exception("connections.watch_failed")

    def close_stalled(self, now: float) -> None:
        """End those whose clients take nothing."""
        for connection in tuple(self._open):
            if connection.has_stalled(now):
                connection.close(TRY_AGAIN, TOO_SLOW_REASON)

    def close_expired(self, now: datetime) -> None:
        """End those whose tokens have reached their expiry, which is known without the database."""
        for connection in tuple(self._open):
            if connection.actor and connection.actor.has_expired(now):
                connection.close(FORBIDDEN, NO_LONGER_VALID)

    async def close_revoked(self, now: datetime) -> None:
        """End those whose tokens are revoked or expired. One query for all of them. Raises Late and Unavailable."""
        if not self._by_token:
            return
        asked = set(self._by_token)
        gone = asked - await within(ANSWER_SECONDS, workspaces.valid_tokens(asked, now))
        for connection in tuple(self._open):
            if connection.actor and connection.actor.token and connection.actor.token.id in gone:
                connection.close(FORBIDDEN, NO_LONGER_VALID)
