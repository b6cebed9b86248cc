"""When to try again. Pure: time and randomness are arguments."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

# The schedule that Standard Webhooks recommends: the waits before attempts 2, 3, ...; the last one from then on.
WAITS = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=14),
    timedelta(hours=20),
    timedelta(hours=24),
)
# Endpoints that failed together must not all be tried again together.
STRETCH = 0.1
LONGEST_RETRY_AFTER = timedelta(hours=24)


def wait_before(attempt_number: int, rand: float, *, asked_for: timedelta | None = None) -> timedelta:
    """How long to wait before an attempt (2 or later), from the end of the one before it.

    `rand` in [0, 1) stretches the wait by up to 10 %. The wait is at least what the receiver asked for (`Retry-After`).
    Raises ValueError for the first attempt, which waits for nothing.
    """
    if attempt_number < 2:
        raise ValueError("The first attempt waits for nothing.")
    wait = WAITS[min(attempt_number - 2, len(WAITS) - 1)] * (1 + STRETCH * rand)
    return wait if asked_for is None else max(wait, asked_for)


def parse_retry_after(value: str | None, now: datetime) -> timedelta | None:
    """What a `Retry-After` header asks for: seconds or an HTTP date (RFC 9110, section 10.2.3); at most 24 h.

    None if there is no header or it makes no sense; zero if the time has passed already.
    """
    text = (value or "").strip()
    if _is_integer(text):
        # Longer numbers than this are not worth converting, and Python refuses those above 4,300 digits.
        seconds = 0 if text.startswith("-") else int(text) if len(text) < 10 else LONGEST_RETRY_AFTER.total_seconds()
        return min(timedelta(seconds=seconds), LONGEST_RETRY_AFTER)
    until = _http_date(text)
    if until is None:
        return None
    return min(max(until - now, timedelta(0)), LONGEST_RETRY_AFTER)


def _is_integer(text: str) -> bool:
    # isdigit alone is true for digits of other scripts and for superscripts.
    return text.isascii() and text.removeprefix("-").isdigit()


def _http_date(text: str) -> datetime | None:
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    # The three forms of HTTP dates all mean UTC; the asctime form does not say so.
    return until.replace(tzinfo=UTC) if until.tzinfo is None else until
