"""One-time codes that sign a browser in, so that no link ever contains a token.

A code is 256 random bits. Redis keeps a token under the code's SHA-256 digest, sealed. Reading Redis reveals neither
the code nor the token, and writing to it cannot give out a token that was not sealed for that very code
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
# The workspace of a code is not known before it is opened; the sealed value is bound to the digest instead.
_NO_WORKSPACE = 0


class BadCode(Unauthenticated):
    """This code is invalid, expired, or already used."""


async def make(redis: Redis, vault: Vault, token: str, now: datetime) -> str:
    """A URL-safe code that can be exchanged for this token once, within 15 minutes. Raises what redis-py raises."""
    code = secrets.token_urlsafe(CODE_BYTES)
    row = _digest(code)
    plain = json.dumps({"token": token, "until": (now + LIFETIME).timestamp()})
    await redis.set(KEYS + row, vault.seal(plain, workspace_id=_NO_WORKSPACE, row=row, field=_FIELD), ex=LIFETIME)
    return code


async def exchange(redis: Redis, vault: Vault, code: str, now: datetime) -> str:
    """The token that was kept under the code; the code is invalid from now on.

    Raises BadCode, and what redis-py raises.
    """
    row = _digest(code)
    # A single command: if two clients send the same code at once, only one of them gets the token.
    sealed = await redis.getdel(KEYS + row)
    if sealed is None:
        raise BadCode
    try:
        found = json.loads(vault.open(sealed, workspace_id=_NO_WORKSPACE, row=row, field=_FIELD))
    except CannotOpen:
        raise BadCode from None
    # Redis expires codes by itself, but a Redis that was restored from a backup may have this one again.
    if found["until"] <= now.timestamp():
        raise BadCode
    token: str = found["token"]
    return token


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode()).hexdigest()
