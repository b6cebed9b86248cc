"""Integer keys inside, opaque ids outside: unpadded base64url of a noun and its key, "Webhook:12".

An id that cannot be read, names another noun or is none of ours becomes the key NOWHERE. No row has it, so a malformed
id, an unknown one and another workspace's one take the same path and get the same answer.
"""

import base64
import binascii
import re
from collections.abc import Sequence

NOWHERE = 0
LARGEST_KEY = 2**63 - 1  # bigint
LONGEST_ID = 80

_SHAPE = re.compile(r"([A-Za-z]+):([1-9][0-9]{0,18}(?:\.[1-9][0-9]{0,4})?)")


def is_key(value: int) -> bool:
    """Whether a number can be a row's key: positive, and no larger than PostgreSQL's bigint. Others lead nowhere."""
    return NOWHERE < value <= LARGEST_KEY


def make(noun: str, key: int | str) -> str:
    """The id that clients know a thing by."""
    # Letters, digits, colons and dots never lead to the two characters in which base64url differs from base64.
    return binascii.b2a_base64(f"{noun}:{key}".encode(), newline=False).rstrip(b"=").decode()


def parse(text: str) -> tuple[str, str] | None:
    """The noun and the key of an id; None for anything that `make` cannot have made."""
    if len(text) > LONGEST_ID or not text.isascii():
        return None
    try:
        plain = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return None
    found = _SHAPE.fullmatch(plain)
    # Base64 has several spellings of the same bytes; only ours is an id.
    if found is None or make(found[1], found[2]) != text:
        return None
    return found[1], found[2]


def key(noun: str, text: str) -> int:
    """The key of an id of this noun, or NOWHERE."""
    parsed = parse(text)
    if parsed is None or parsed[0] != noun or not parsed[1].isdecimal():
        return NOWHERE
    number = int(parsed[1])
    return number if is_key(number) else NOWHERE


def keys(noun: str, texts: Sequence[str]) -> list[int]:
    """The keys of ids of this noun, in their order, with NOWHERE for those that are not valid."""
    return [key(noun, text) for text in texts]


def attempt_key(text: str) -> tuple[int, int] | None:
    """The delivery's key and the number that name an attempt together; None for anything else."""
    parsed = parse(text)
    if parsed is None or parsed[0] != "Attempt" or "." not in parsed[1]:
        return None
    delivery, number = (int(part) for part in parsed[1].split("."))
    return (delivery, number) if is_key(delivery) else None
