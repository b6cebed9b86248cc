"""One-time codes that sign a browser in, so that no token ever stands in a link.

A code is 256 random bits. Redis keeps a token under the code's SHA-256 digest, sealed: who reads Redis learns neither
the code nor the token, and who writes to it can hand out no token that was not sealed for that very code
(docs/decisions/0130-sign-in-link.md).
"""

import hashlib
import json
import secrets
from datetime import datetime, timedelta

from redis.asyncio import Redis

from domain.errors import Unauthenticated
from domain.vault import CannotOpen, Vault

LIFETIME = timedelta(minutes=15)
CODE_BYTES = 32
KEYS = "hookline:signin:"

_FIELD = "sign_in"
# Before a code is opened nobody knows whose it is; the digest is what the sealed value is bound to.
_NO_WORKSPACE = 0


class BadCode(Unauthenticated):
    """This code is invalid, expired, or already used."""


async def make(redis: Redis, vault: Vault, token: str, now: datetime) -> str:
    """A code, fit for a URL, that is worth this token once, and for 15 minutes. Raises what redis-py raises."""
    code = secrets.token_urlsafe(CODE_BYTES)
    row = _digest(code)
    plain = json.dumps({"token": token, "until": (now + LIFETIME).timestamp()})
    await redis.set(KEYS + row, vault.seal(plain, workspace_id=_NO_WORKSPACE, row=row, field=_FIELD), ex=LIFETIME)
    return code


async def exchange(redis: Redis, vault: Vault, code: str, now: datetime) -> str:
    """The token that the code is worth; the code is worth nothing from now on.

    Raises BadCode, and what redis-py raises.
    """
    row = _digest(code)
    # One command: of two who send the same code at once, one gets the token.
    sealed = await redis.getdel(KEYS + row)
    if sealed is None:
        raise BadCode
    try:
        found = json.loads(vault.open(sealed, workspace_id=_NO_WORKSPACE, row=row, field=_FIELD))
    except CannotOpen:
        raise BadCode from None
    # Redis forgets codes by itself; a Redis that was restored from a backup may have it again.
    if found["until"] <= now.timestamp():
        raise BadCode
    token: str = found["token"]
    return token


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
