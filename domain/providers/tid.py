"""Record keys of the AT Protocol that grow with time (TID). Pure. https://atproto.com/specs/tid"""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final

# In the order of its bytes, so that keys sort by time.
_ALPHABET: Final = "234567abcdefghijklmnopqrstuvwxyz"
LENGTH: Final = 13
_CLOCK_BITS: Final = 10
_TIME_BITS: Final = 53
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def tid(at: datetime, clock: str) -> str:
    """The key for a record made at this time; `clock` tells records of the same microsecond apart."""
    microseconds = ((at - _EPOCH) // timedelta(microseconds=1)) & ((1 << _TIME_BITS) - 1)
    digest = hashlib.sha256(clock.encode()).digest()
    number = microseconds << _CLOCK_BITS | int.from_bytes(digest[:2], "big") >> (16 - _CLOCK_BITS)
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(5 * (LENGTH - 1), -1, -5))
