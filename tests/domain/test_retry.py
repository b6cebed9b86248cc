"""Waits between attempts, and what receivers ask for."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.retry import WAITS, parse_retry_after, wait_before

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
DAY = timedelta(hours=24)


def test_the_waits_are_those_that_standard_webhooks_recommends() -> None:
    minutes = [wait_before(number, 0) / timedelta(minutes=1) for number in range(2, 11)]

    assert minutes == [5 / 60, 5, 30, 120, 300, 600, 840, 1200, 1440]


def test_from_the_eleventh_attempt_on_a_day_passes_before_each() -> None:
    assert {wait_before(number, 0) for number in (10, 11, 12, 20, 1000)} == {DAY}


@given(st.integers(2, 40), st.floats(0, 1, exclude_max=True))
def test_chance_stretches_a_wait_by_at_most_a_tenth_and_never_shortens_it(number: int, rand: float) -> None:
    shortest = wait_before(number, 0)

    assert shortest <= wait_before(number, rand) <= shortest * 1.1


def test_the_waits_never_get_shorter() -> None:
    assert all(earlier < later for earlier, later in pairwise(WAITS))


def test_the_first_attempt_waits_for_nothing() -> None:
    with pytest.raises(ValueError, match="first attempt"):
        wait_before(1, 0)


def test_what_the_receiver_asks_for_is_waited_at_least() -> None:
    assert wait_before(2, 0, asked_for=timedelta(minutes=7)) == timedelta(minutes=7)
    assert wait_before(3, 0, asked_for=timedelta(seconds=1)) == timedelta(minutes=5)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        pytest.param("120", 120, id="seconds"),
        pytest.param(" 120 ", 120, id="seconds with spaces around"),
        pytest.param("0", 0, id="at once"),
        pytest.param("-5", 0, id="negative"),
        pytest.param("86400", 86400, id="a day"),
        pytest.param("86401", 86400, id="more than a day"),
        pytest.param("9" * 5000, 86400, id="more digits than Python converts"),
        pytest.param("Mon, 02 Mar 2026 09:31:00 GMT", 60, id="date"),
        pytest.param("Monday, 02-Mar-26 09:31:00 GMT", 60, id="date of RFC 850"),
        pytest.param("Mon Mar  2 09:31:00 2026", 60, id="date of asctime"),
        pytest.param("Mon, 02 Mar 2026 09:29:00 GMT", 0, id="date that has passed"),
        pytest.param("Mon, 02 Mar 2126 09:30:00 GMT", 86400, id="date in a hundred years"),
    ],
)
def test_retry_after_is_read_as_seconds_or_as_a_date(header: str, seconds: int) -> None:
    assert parse_retry_after(header, NOW) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "header",
    [
        None, "", "soon", "1.5", "1e3", "+5", "0x10", "٣", "²", "--5", "-", "Mon, 99 Mar 2026 09:31:00 GMT",
        "2026-03-02", "Mon, 02 Mar 99999 00:00:00 GMT", "Mon, 02 Mar 2026 09:31:00 +9999999999",
        "Mon, 02 Mar 99999999999999999999 09:31:00 GMT",
    ],
)  # fmt: skip
def test_a_retry_after_that_makes_no_sense_asks_for_nothing(header: str | None) -> None:
    assert parse_retry_after(header, NOW) is None


@given(st.text())
def test_no_retry_after_raises_or_asks_for_more_than_a_day(header: str) -> None:
    wait = parse_retry_after(header, NOW)

    assert wait is None or timedelta(0) <= wait <= DAY
