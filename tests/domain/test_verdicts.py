"""What follows from an attempt: a table, with the dice as an argument."""

from datetime import timedelta
from typing import Any

import pytest

from domain.outcome import Answer, Blocked, Delivered, Failed, Outcome
from domain.request import HIDDEN, OutgoingRequest
from domain.retry import WAITS
from domain.verdicts import MOST_INTERRUPTIONS, next_status, result_of
from domain.vocabulary import AttemptOutcome, DeliveryStatus, HttpMethod

TOOK = timedelta(milliseconds=1499, microseconds=600)
HOUR = timedelta(hours=1)
REQUEST = OutgoingRequest(
    "https://example.com/in#here", HttpMethod.POST, (("X-Hookline-Attempt", "1"), ("X-Api-Key", "s3cret")), b"{}"
)


def claimed(attempts: int = 0, interruptions: int = 0, most: int = 3) -> dict[str, Any]:
    return {"attempt_count": attempts, "interrupted_count": interruptions, "max_attempts": most}


def failed(kind: AttemptOutcome = AttemptOutcome.HTTP_ERROR, **more: Any) -> Failed:
    return Failed(kind, "It failed.", TOOK, **more)


WELL = Delivered(Answer(204, (("Server", "x"),), "ok", truncated=True), TOOK)
BLOCKED = Blocked("No.", TOOK)
COUNTED = [
    failed(kind) for kind in AttemptOutcome if kind not in (AttemptOutcome.SUCCEEDED, AttemptOutcome.INTERRUPTED)
]
OURS = failed(AttemptOutcome.INTERRUPTED)


@pytest.mark.parametrize("outcome", [*COUNTED, BLOCKED], ids=lambda outcome: outcome.kind)
def test_a_failure_is_tried_again_until_attempts_run_out(outcome: Outcome) -> None:
    assert next_status(claimed(attempts=1), outcome) is DeliveryStatus.RETRYING
    assert next_status(claimed(attempts=2), outcome) is DeliveryStatus.FAILED


def test_a_success_ends_it_even_at_the_last_attempt() -> None:
    assert next_status(claimed(attempts=2), WELL) is DeliveryStatus.SUCCEEDED


def test_gone_ends_it_at_once() -> None:
    assert next_status(claimed(), failed(gone=True)) is DeliveryStatus.FAILED


def test_what_this_machine_could_not_do_costs_no_attempt_and_ends_after_a_few() -> None:
    assert next_status(claimed(attempts=2), OURS) is DeliveryStatus.RETRYING
    assert next_status(claimed(interruptions=MOST_INTERRUPTIONS - 1), OURS) is DeliveryStatus.FAILED


@pytest.mark.parametrize(
    ("before", "outcome", "rand", "wait", "asked_for"),
    [
        pytest.param(claimed(), failed(), 0.0, WAITS[0], False, id="the first wait"),
        pytest.param(claimed(attempts=1), failed(), 0.0, WAITS[1], False, id="the second wait"),
        pytest.param(claimed(attempts=1), failed(), 0.5, WAITS[1] * 1.05, False, id="stretched"),
        pytest.param(claimed(attempts=1), failed(retry_after=HOUR), 0.0, HOUR, True, id="longer, as asked for"),
        pytest.param(
            claimed(),
            failed(retry_after=timedelta(seconds=1)),
            0.0,
            WAITS[0],
            False,
            id="not shorter, though asked for",
        ),
        pytest.param(claimed(attempts=2), OURS, 0.0, WAITS[0], False, id="ours: whatever the receiver did before"),
        pytest.param(claimed(interruptions=2), OURS, 0.0, WAITS[2], False, id="ours: longer each time"),
        pytest.param(claimed(attempts=2), failed(retry_after=HOUR), 0.0, timedelta(0), False, id="none after the last"),
        pytest.param(claimed(), WELL, 0.0, timedelta(0), False, id="none after a success"),
    ],
)
def test_the_wait_before_the_next_attempt(
    before: dict[str, Any], outcome: Outcome, rand: float, wait: timedelta, asked_for: bool
) -> None:
    result = result_of(before, REQUEST, outcome, rand)

    assert (result.wait, result.retry_after) == (wait, asked_for)


def test_the_log_keeps_what_was_said_and_hides_what_is_secret() -> None:
    result = result_of(claimed(), REQUEST, WELL, 0.0)

    assert (result.duration_ms, result.outcome, result.error) == (1500, AttemptOutcome.SUCCEEDED, None)
    assert result.request_url == "https://example.com/in", "as it goes out"
    assert result.request_headers == f'[["X-Hookline-Attempt","1"],["X-Api-Key","{HIDDEN}"]]'
    assert (result.response_status, result.response_headers, result.response_body, result.response_truncated) == (
        204, '[["Server","x"]]', "ok", True
    )  # fmt: skip


def test_the_log_of_an_attempt_without_an_answer_says_why() -> None:
    result = result_of(claimed(), REQUEST, failed(AttemptOutcome.TIMED_OUT), 0.0)

    assert (result.error, result.response_status, result.response_headers, result.response_body) == (
        "It failed.", None, None, None
    )  # fmt: skip
