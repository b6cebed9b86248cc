from datetime import UTC, datetime, timedelta, timezone

import pytest
from graphql import GraphQLError

from schema.scalars import read_instant, write_instant


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2030-01-31T09:30:00Z", datetime(2030, 1, 31, 9, 30, tzinfo=UTC)),
        ("2030-01-31t09:30:00z", datetime(2030, 1, 31, 9, 30, tzinfo=UTC)),
        ("2030-01-31T09:30:00+02:00", datetime(2030, 1, 31, 7, 30, tzinfo=UTC)),
        ("2030-01-31T09:30:00.25-01:00", datetime(2030, 1, 31, 10, 30, 0, 250_000, tzinfo=UTC)),
        ("2030-01-31T09:30:00.123456789Z", datetime(2030, 1, 31, 9, 30, 0, 123_456, tzinfo=UTC)),
    ],
)
def test_an_instant_is_read_with_its_offset(text: str, instant: datetime) -> None:
    assert read_instant(text) == instant


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("2030-01-31T09:30:00", id="no offset"),
        pytest.param("2030-01-31", id="a date"),
        pytest.param("20300131T093000Z", id="the basic form of ISO 8601"),
        pytest.param("2030-W05-4T09:30:00Z", id="a week date"),
        pytest.param("2030-02-31T09:30:00Z", id="no such day"),
        pytest.param("2030-01-31T24:30:00Z", id="no such hour"),
        pytest.param("2030-01-31T09:30:00+99:00", id="no such offset"),
        pytest.param("0001-01-01T00:00:00+23:59", id="before the first year"),
        pytest.param("9999-12-31T23:59:59-23:59", id="after the last year"),
        pytest.param("2030-01-31T09:30:00Z" + " " * 100, id="trailing space"),
        pytest.param("٢٠٣٠-01-31T09:30:00Z", id="other digits"),
        pytest.param("tomorrow", id="a word"),
        pytest.param("", id="nothing"),
        pytest.param(1_900_000_000, id="a number"),
        pytest.param(None, id="null"),
    ],
)
def test_what_is_no_instant_is_refused(value: object) -> None:
    with pytest.raises(GraphQLError):
        read_instant(value)


def test_an_instant_is_written_in_utc_with_a_z() -> None:
    there = timezone(timedelta(hours=2))
    assert write_instant(datetime(2030, 1, 31, 9, 30, tzinfo=there)) == "2030-01-31T07:30:00Z"
    assert write_instant(datetime(2030, 1, 31, 9, 30, 0, 1, tzinfo=UTC)) == "2030-01-31T09:30:00.000001Z"
