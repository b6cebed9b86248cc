"""What became of everything that was acknowledged: what is lost, and what came twice without an excuse."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.e2e.receivers import Arrival
from tests.e2e.system import REQUEST

# The tolerance between the time of a claim and what we see of it, on a busy machine.
BLUR_SECONDS = 3.0
FAILED_ATTEMPT = frozenset(
    {"http_error", "timed_out", "connection_failed", "dns_failed", "tls_failed", "address_refused", "invalid_response"}
)


@dataclass
class Window:
    """From when to when something was broken, by the clock of this machine."""

    start: float
    end: float = float("inf")


@dataclass(frozen=True)
class Tally:
    """What became of everything that was acknowledged."""

    accepted: int
    delivered: int
    failed: int
    cancelled: int
    waiting: int
    lost: tuple[str, ...]
    # Deliveries that came again though no attempt had failed: all of them, and those without an excuse.
    duplicated: int
    unexplained: tuple[str, ...]


def lost(
    acknowledged: Iterable[str], hooks: int, rows: Sequence[Any], arrivals: Mapping[str, Sequence[Arrival]]
) -> Iterator[str]:
    """The posts that lack deliveries, and the deliveries that are recorded as succeeded but did not succeed."""
    made = Counter(row["subject"] for row in rows)
    for subject in acknowledged:
        if made[subject] < hooks:
            yield f"post {subject} has {made[subject]} of {hooks} deliveries"
    for row in rows:
        came = [arrival.status for arrival in arrivals.get(str(row["uuid"]), ())]
        # A receiver's answer is noted just before it leaves, so a success is never ahead of it.
        if row["status"] == "succeeded" and not any(200 <= status <= 299 for status in came):
            yield f"delivery {row['uuid']} is said to have succeeded, but its receiver answered {came}"


def copies(
    delivery: str, came: Sequence[Arrival], attempts: Mapping[tuple[str, int], Any], faults: Sequence[Window]
) -> tuple[int, list[str]]:
    """How many copies of a delivery came, and which of them have no excuse."""
    again, without = 0, []
    if len({arrival.body_hash for arrival in came}) > 1 or len({arrival.message_id for arrival in came}) > 1:
        without.append(f"{delivery} came with different bytes or ids")
    for number, times in Counter(arrival.attempt for arrival in came).items():
        if times > 1:
            without.append(f"{delivery}: attempt {number} came {times} times")
    # A worker that was frozen may send its copy after that of its successor.
    for earlier in sorted(came, key=lambda arrival: arrival.attempt)[:-1]:
        attempt = attempts.get((delivery, earlier.attempt))
        outcome = attempt["outcome"] if attempt is not None else "no log"
        if outcome in FAILED_ATTEMPT:
            continue
        again += 1
        if attempt is None or outcome != "interrupted" or not _was_open_at(faults, attempt["started_at"]):
            since = [round(earlier.at - window.start, 2) for window in faults]
            without.append(f"{delivery}: attempt {earlier.attempt} ({outcome}), seconds after faults: {since}")
    return again, without


def _was_open_at(faults: Sequence[Window], started: datetime) -> bool:
    at = started.timestamp()
    return any(window.start - REQUEST - BLUR_SECONDS <= at <= window.end + BLUR_SECONDS for window in faults)
