"""Workspaces and the tokens that open them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from domain.tables import Token, Workspace
from domain.unit import Actor, Unit
from domain.vocabulary import Role


@dataclass(frozen=True, slots=True)
class NewToken:
    """What a person asks for; a token without an end where expires_at is None."""

    name: str
    role: Role
    expires_at: datetime | None = None


async def create(name: str) -> Workspace:
    raise NotImplementedError


async def find(name: str) -> Workspace:
    """Raises Refused (NOT_FOUND)."""
    raise NotImplementedError


async def create_token(unit: Unit, new: NewToken) -> tuple[Token, str]:
    """The token and its secret, which is shown this once."""
    raise NotImplementedError


async def revoke_token(unit: Unit, token_id: int) -> Token:
    raise NotImplementedError


async def authenticate(secret: str, now: datetime) -> Actor:
    """Raises Unauthenticated."""
    raise NotImplementedError


async def valid_tokens(token_ids: Iterable[int], now: datetime) -> set[int]:
    """Which of these tokens are neither revoked nor expired; one query."""
    raise NotImplementedError


def require(actor: Actor, role: Role) -> None:
    """Raises Forbidden where the actor's role is lower."""
    raise NotImplementedError
