"""What follows from an attempt: the next state of its delivery. Pure: randomness is an argument."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson

from domain.outcome import Outcome
from domain.request import OutgoingRequest, visible_headers, visible_url
from domain.retry import wait_before
from domain.vocabulary import AttemptOutcome, DeliveryStatus

NO_WAIT = timedelta(0)
# A payload that kills its worker every time must end.
MOST_INTERRUPTIONS = 5


@dataclass(frozen=True, slots=True)
class Result:
    """How an attempt went and what follows: one row of the log, and the delivery's next state."""

    claimed: Mapping[str, Any]
    status: DeliveryStatus
    # Before the next attempt, if there is one.
    wait: timedelta
    retry_after: bool
    duration_ms: int
    outcome: AttemptOutcome
    error: str | None
    request_url: str
    request_headers: str
    response_status: int | None = None
    response_headers: str | None = None
    response_body: str | None = None
    response_truncated: bool = False


def result_of(claimed: Mapping[str, Any], request: OutgoingRequest, outcome: Outcome, rand: float) -> Result:
    """The row of the log and the next state. `rand` in [0, 1) spreads the retries."""
    status = next_status(claimed, outcome)
    wait = NO_WAIT
    if status is DeliveryStatus.RETRYING:
        # A fault of this machine takes a while to clear too: its waits grow by a count of their own.
        ours = outcome.kind is AttemptOutcome.INTERRUPTED
        number = claimed["interrupted_count" if ours else "attempt_count"] + 2
        wait = wait_before(number, rand, asked_for=outcome.retry_after)
    answer = outcome.answer
    return Result(
        claimed=claimed,
        status=status,
        wait=wait,
        retry_after=outcome.retry_after is not None and wait == outcome.retry_after,
        duration_ms=round(outcome.duration.total_seconds() * 1000),
        outcome=outcome.kind,
        error=outcome.error,
        request_url=visible_url(request),
        request_headers=orjson.dumps(visible_headers(request)).decode(),
        response_status=answer.status if answer else None,
        response_headers=orjson.dumps(answer.headers).decode() if answer else None,
        response_body=answer.body if answer else None,
        response_truncated=answer.truncated if answer else False,
    )


def next_status(claimed: Mapping[str, Any], outcome: Outcome) -> DeliveryStatus:
    """A 2xx succeeds; 410 or a last attempt fails for good; everything else is tried again."""
    if outcome.kind is AttemptOutcome.SUCCEEDED:
        return DeliveryStatus.SUCCEEDED
    if outcome.kind is AttemptOutcome.INTERRUPTED:
        # This machine's fault, not the receiver's: it costs no attempt.
        return _retrying_unless(claimed["interrupted_count"] + 1 >= MOST_INTERRUPTIONS)
    return _retrying_unless(outcome.gone or claimed["attempt_count"] + 1 >= claimed["max_attempts"])


def _retrying_unless(given_up: bool) -> DeliveryStatus:
    return DeliveryStatus.FAILED if given_up else DeliveryStatus.RETRYING
