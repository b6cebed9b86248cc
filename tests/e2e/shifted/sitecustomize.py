"""Another clock, or other name servers, for one process: Python runs this file before anything else.

TEST_CLOCK_AHEAD is a number of seconds; TEST_NAMESERVERS replaces the name servers of the system. Our processes and
their libraries read the time only through `time` and `datetime`, so shifting those shifts the process. Monotonic clocks
stay: a wrong date does not make them jump either.
"""

import datetime as datetime_module
import os
import time
from collections.abc import Sequence
from typing import Any

import aiodns

# It derives a class from datetime, and so must see the real one.
import tortoise.fields  # noqa: F401

AHEAD = float(os.environ.get("TEST_CLOCK_AHEAD", "0"))
NAMESERVERS = os.environ.get("TEST_NAMESERVERS", "")

_real = datetime_module.datetime
_shift = datetime_module.timedelta(seconds=AHEAD)
_real_time = time.time
_real_time_ns = time.time_ns


class _Kind(type):
    """Makes what C code created an instance of the stand-in, too."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _real)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, _real)


class _Shifted(_real, metaclass=_Kind):
    """Makes real datetimes; only `now` and its kin differ."""

    def __new__(cls, *values: Any, **named: Any) -> Any:
        return _real(*values, **named)

    @classmethod
    def now(cls, tz: datetime_module.tzinfo | None = None) -> Any:
        return _real.now(tz) + _shift

    @classmethod
    def utcnow(cls) -> Any:
        return _real.now(datetime_module.UTC).replace(tzinfo=None) + _shift

    @classmethod
    def today(cls) -> Any:
        return _real.today() + _shift


def shift_the_clock() -> None:
    """From now on the clock of this process is AHEAD seconds fast."""
    datetime_module.datetime = _Shifted  # type: ignore[misc]
    time.time = lambda: _real_time() + AHEAD
    time.time_ns = lambda: _real_time_ns() + int(AHEAD * 1e9)


def ask_others() -> None:
    """From now on this process asks NAMESERVERS for addresses."""
    made = aiodns.DNSResolver.__init__

    def make(self: aiodns.DNSResolver, nameservers: Sequence[str] | None = None, *rest: Any, **named: Any) -> None:
        made(self, nameservers or NAMESERVERS.split(","), *rest, **named)

    aiodns.DNSResolver.__init__ = make  # type: ignore[method-assign]


if NAMESERVERS:
    ask_others()
if AHEAD:
    shift_the_clock()
