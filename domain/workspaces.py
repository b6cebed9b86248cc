"""Workspaces and the tokens that open them.

A token is "hl_", 256 random bits in base 62, and a checksum, so that junk is refused without the database, and scanners
for leaked secrets can recognise a real one. Only its SHA-256 digest is kept, without a salt: the token itself has
enough entropy.
"""

import hashlib
import secrets
import string
import zlib
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tortoise.expressions import Q

from domain import audit
from domain.database import reached, rows, transaction
from domain.errors import FaultCode, Faults, Forbidden, Unauthenticated, Unavailable, not_found, wrong_state
from domain.ids import is_key
from domain.reading import read
from domain.tables import Token, Workspace
from domain.texts import check_text, is_clean
from domain.unit import Actor, Unit
from domain.vocabulary import Role

LONGEST_NAME = 200
MOST_TOKENS = 1000
PREFIX = "hl_"
# What a person recognises a token by; it gives away 36 of its 256 bits.
SHOWN_CHARACTERS = 9
RANDOM_BYTES = 32
LAST_USE_PRECISION = timedelta(minutes=1)
# An admin token that expires sooner is no fallback: a person needs time to make another one with it.
TIME_TO_MAKE_ANOTHER = timedelta(hours=1)

_DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SECRET_LENGTH = 43  # 256 bits in base 62
_CHECKSUM_LENGTH = 6  # 32 bits in base 62
_RANKS = {Role.VIEWER: 0, Role.MEMBER: 1, Role.ADMIN: 2}


@dataclass(frozen=True, slots=True)
class NewToken:
    """What a person asks for; the token never expires if `expires_at` is None."""

    name: str
    role: Role
    expires_at: datetime | None = None


async def authenticate(secret: str, now: datetime) -> Actor:
    """Whose token this is. Two indexed queries, and once a minute an update; no query for junk.

    Raises Unauthenticated and Unavailable.
    """
    if not _is_well_formed(secret):
        raise Unauthenticated
    tokens = await read(Token, _OPENS, _digest(secret), now)
    workspaces = await read(Workspace, _OPENED, tokens[0].workspace_id) if tokens else []
    if not workspaces:
        raise Unauthenticated
    token = tokens[0]
    if token.last_used_at is None or token.last_used_at <= now - LAST_USE_PRECISION:
        # While a standby answers, this fails, but clients that only read must not be kept out.
        with suppress(Unavailable):
            await rows("UPDATE token SET last_used_at = $2 WHERE id = $1", token.id, now)
            token.last_used_at = now
    return Actor(workspace=workspaces[0], token=token, role=token.role)


# Through Tortoise it takes half a millisecond more, and a client that asks less than once a second needs it each time.
_OPENS = """
SELECT * FROM token WHERE digest = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)
"""
_OPENED = "SELECT * FROM workspace WHERE id = $1"


def require(actor: Actor, role: Role) -> None:
    """Raises Forbidden if the actor may do less than `role` may."""
    if _RANKS[actor.role] < _RANKS[role]:
        raise Forbidden(f"This needs a token with the role {role.name}; yours is {actor.role.name}.")


async def valid_tokens(token_ids: Iterable[int], now: datetime) -> set[int]:
    """Which of these tokens are neither revoked nor expired; one query. Raises Unavailable."""
    with reached():
        return {token.id for token in await Token.filter(_valid(now), id__in=list(token_ids)).only("id")}


async def create(name: str) -> Workspace:
    """Make a workspace. Raises Refused if the name is blank, too long, or taken (commands find workspaces by name)."""
    faults = Faults()
    check_text(faults, name, "name", longest=LONGEST_NAME, what="The name")
    faults.raise_if_any()
    async with transaction():
        # Names have no unique index; a concurrent creation waits here.
        await rows("LOCK TABLE workspace IN SHARE ROW EXCLUSIVE MODE")
        if await Workspace.exists(name=name.strip()):
            faults.add(FaultCode.TAKEN, "There is a workspace of that name already.", "name")
            faults.raise_if_any()
        return await Workspace.create(name=name.strip())


async def find(name: str) -> Workspace:
    """The workspace of that name. Raises Refused (NOT_FOUND)."""
    found = await Workspace.get_or_none(name=name.strip()) if is_clean(name) else None
    return found or not_found("workspace", "name")


async def create_token(unit: Unit, new: NewToken, now: datetime | None = None) -> tuple[Token, str]:
    """Make a token; returns it with its secret, which cannot be read again. Raises Refused with all that is wrong."""
    now = now or datetime.now(UTC)
    faults = Faults()
    check_text(faults, new.name, "name", longest=LONGEST_NAME, what="The name")
    if new.expires_at is not None and new.expires_at <= now:
        faults.add(FaultCode.OUT_OF_RANGE, "The token would have expired already.", "expires_at")
    # A concurrent creation in the same workspace waits here, so that the count holds.
    await Workspace.filter(id=unit.workspace.id).select_for_update(no_key=True)
    if await Token.filter(_valid(now), workspace_id=unit.workspace.id).count() >= MOST_TOKENS:
        faults.add(FaultCode.LIMIT_REACHED, f"A workspace may have {MOST_TOKENS:,} valid tokens; revoke one first.")
    faults.raise_if_any()
    secret = _generate()
    token = await Token.create(
        workspace_id=unit.workspace.id,
        name=new.name.strip(),
        role=new.role,
        prefix=secret[:SHOWN_CHARACTERS],
        digest=_digest(secret),
        expires_at=new.expires_at,
    )
    await audit.record(unit, "token.create", token, name=token.name, role=token.role.value)
    return token, secret


async def revoke_token(unit: Unit, token_id: int, now: datetime | None = None) -> Token:
    """Make a token useless from now on; revoking it again changes nothing. Tokens may revoke themselves.

    Raises Refused for an unknown id, and for a valid admin token if no other one lasts TIME_TO_MAKE_ANOTHER: otherwise
    no one could make another one.
    """
    now = now or datetime.now(UTC)
    # All tokens that could be the last one are locked, in one order: concurrent revocations wait for each other.
    unrevoked = Token.filter(workspace_id=unit.workspace.id, revoked_at=None)
    locked = await unrevoked.select_for_update(no_key=True).order_by("id")
    token = next((each for each in locked if each.id == token_id), None)
    if token is None:
        return await _revoked_before(unit, token_id)
    if _opens_all(token, now) and not any(
        _opens_all(each, now + TIME_TO_MAKE_ANOTHER) for each in locked if each is not token
    ):
        wrong_state("This is the last admin token that stays valid; make another one before you revoke it.")
    token.revoked_at = now
    await token.save(update_fields=["revoked_at"])
    await audit.record(unit, "token.revoke", token, name=token.name)
    return token


async def _revoked_before(unit: Unit, token_id: int) -> Token:
    found = await Token.get_or_none(workspace_id=unit.workspace.id, id=token_id) if is_key(token_id) else None
    return found or not_found("token")


def _opens_all(token: Token, at: datetime) -> bool:
    """Whether this is an admin token that will not have expired by then. Whether it is revoked does not matter."""
    return token.role is Role.ADMIN and (token.expires_at is None or token.expires_at > at)


def _valid(now: datetime) -> Q:
    return Q(revoked_at=None) & (Q(expires_at=None) | Q(expires_at__gt=now))


def _generate() -> str:
    secret = _base62(secrets.randbits(RANDOM_BYTES * 8), _SECRET_LENGTH)
    return PREFIX + secret + _checksum(secret)


def _is_well_formed(secret: str) -> bool:
    if len(secret) != len(PREFIX) + _SECRET_LENGTH + _CHECKSUM_LENGTH or not secret.isascii():
        return False
    body = secret.removeprefix(PREFIX)
    return body != secret and _checksum(body[:_SECRET_LENGTH]) == body[_SECRET_LENGTH:]


def _checksum(secret: str) -> str:
    return _base62(zlib.crc32(secret.encode()), _CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = ""
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits = _DIGITS[digit] + digits
    return digits


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
