"""Record keys that grow with time."""

import re
from datetime import UTC, datetime, timedelta

from domain.providers.tid import tid

# https://atproto.com/specs/tid
SYNTAX = re.compile(r"[234567abcdefghij][234567abcdefghijklmnopqrstuvwxyz]{12}")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_the_first_possible_time_is_all_twos() -> None:
    assert tid(datetime(1970, 1, 1, tzinfo=UTC), "x")[:11] == "2" * 11


def test_a_key_of_the_specification_is_read_as_the_time_it_stands_for() -> None:
    # 3jzfcijpj2z2a is an example of the specification; its upper 53 bits are microseconds since 1970.
    number = 0
    for letter in "3jzfcijpj2z2a":
        number = number << 5 | "234567abcdefghijklmnopqrstuvwxyz".index(letter)
    at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=number >> 10)
    assert tid(at, "x")[:11] == "3jzfcijpj2z"


def test_keys_are_valid_and_grow_with_time() -> None:
    times = [datetime(1971, 1, 1, tzinfo=UTC), NOW, NOW + timedelta(microseconds=1), datetime(2200, 1, 1, tzinfo=UTC)]
    keys = [tid(at, "one") for at in times]
    assert keys == sorted(keys)
    assert all(SYNTAX.fullmatch(key) for key in keys)


def test_the_same_post_gets_the_same_key_and_another_of_the_same_moment_its_own() -> None:
    assert tid(NOW, "post-1") == tid(NOW, "post-1")
    keys = {tid(NOW, f"post-{number}") for number in range(20)}
    assert len(keys) > 15
