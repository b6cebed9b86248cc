"""What a receiver did, as values that can be stored."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.outcome import Answer, Blocked, Delivered, Failed, Outcome
from domain.vocabulary import AttemptOutcome

SECOND = timedelta(seconds=1)
ANSWER = Answer(200, (), "", truncated=False)


@given(st.lists(st.tuples(st.binary(), st.binary())), st.binary(), st.booleans())
def test_whatever_comes_becomes_text_that_postgresql_can_keep(
    headers: list[tuple[bytes, bytes]], body: bytes, truncated: bool
) -> None:
    answer = Answer.from_wire(200, headers, body, truncated=truncated)

    for text in (answer.body, *(part for header in answer.headers for part in header)):
        assert "\x00" not in text
        assert text.encode().decode() == text


def test_text_comes_as_it_was_sent() -> None:
    answer = Answer.from_wire(500, [(b"X-Note", "grün".encode())], "très 🥖".encode(), truncated=False)

    assert answer == Answer(500, (("X-Note", "grün"),), "très 🥖", truncated=False)


def test_a_character_that_our_own_cut_split_is_dropped() -> None:
    assert Answer.from_wire(200, [], "ab🥖".encode()[:-1], truncated=True).body == "ab"


def test_a_character_that_the_receiver_split_is_shown_as_unreadable() -> None:
    assert Answer.from_wire(200, [], "ab🥖".encode()[:-1], truncated=False).body == "ab\ufffd"


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        pytest.param(Delivered(ANSWER, SECOND), AttemptOutcome.SUCCEEDED, id="delivered"),
        pytest.param(Blocked("no", SECOND), AttemptOutcome.ADDRESS_REFUSED, id="blocked"),
        pytest.param(Failed(AttemptOutcome.TIMED_OUT, "late", SECOND), AttemptOutcome.TIMED_OUT, id="failed"),
    ],
)
def test_every_outcome_can_be_recorded_in_the_same_way(outcome: Outcome, kind: AttemptOutcome) -> None:
    assert outcome.kind is kind
    assert (outcome.answer is None) is (kind is not AttemptOutcome.SUCCEEDED)
    assert (outcome.error is None) is (kind is AttemptOutcome.SUCCEEDED)
    assert outcome.retry_after is None
    assert not outcome.gone
