"""Documents: their shape, their times, and texts that UTF-8 cannot carry."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from domain import payloads
from domain.catalogue import EVENT_TYPES
from domain.payloads import AccountRecord, PostAccountRecord, PostRecord, document, instant
from domain.vocabulary import EventType, PostStatus, Provider
from schema.scalars import write_instant

BAKERY = AccountRecord(
    id=12,
    uuid=UUID("5c1b9a52-6d0e-4a35-9a58-0b6f3c1d7e21"),
    name="Ada's Bakery",
    username="adasbakery",
    image="https://mastodon.example/avatars/adasbakery.png",
    provider=Provider.MASTODON,
    data={"server": "https://mastodon.example"},
    authorized=True,
    created_at=datetime(2026, 3, 2, 8, 15, tzinfo=UTC),
)
ELSEWHERE = replace(
    BAKERY,
    id=15,
    uuid=UUID("d2f8f7f0-3f4e-4c39-8d0c-8a4f5b7c9e10"),
    username="bakery.example",
    image=None,
    provider=Provider.BLUESKY,
    data={"server": "https://bsky.social"},
    created_at=datetime(2026, 3, 2, 8, 21, 37, 250000, tzinfo=UTC),
)
POST = PostRecord(
    id=481,
    uuid=UUID("0f6a2f8e-2c57-4f0b-b1d4-6b1a7f0c9d33"),
    status=PostStatus.PUBLISHED,
    body="Fresh sourdough from seven o'clock. See you at the corner! 🥖",
    variants=((15, "Fresh sourdough from seven o'clock 🥖"),),
    accounts=(
        PostAccountRecord(BAKERY, "https://mastodon.example/@adasbakery/114093000000000001"),
        PostAccountRecord(ELSEWHERE, "https://bsky.app/profile/bakery.example/post/3ljfzq5ssd22k"),
    ),
    author=(3, "Editorial desk"),
    scheduled_at=datetime(2026, 3, 3, 6, 45, tzinfo=UTC),
    published_at=datetime(2026, 3, 3, 6, 45, 1, 318204, tzinfo=UTC),
    created_at=datetime(2026, 3, 2, 9, 30, tzinfo=UTC),
)

# Any character at all, halves of surrogate pairs and NUL included.
texts = st.text(st.characters(), max_size=30)
ids = st.integers(1, 2**63 - 1)
times = st.datetimes(datetime(1970, 1, 1), datetime(9000, 1, 1), timezones=st.timezones())  # noqa: DTZ001
json_objects = st.dictionaries(
    texts, st.none() | st.booleans() | st.integers() | st.floats() | texts | st.lists(texts, max_size=3), max_size=3
)
accounts = st.builds(
    AccountRecord,
    id=ids,
    uuid=st.uuids(),
    name=texts,
    username=st.none() | texts,
    image=st.none() | texts,
    provider=st.sampled_from(Provider),
    data=json_objects,
    authorized=st.booleans(),
    created_at=times,
)
posts = st.builds(
    PostRecord,
    id=ids,
    uuid=st.uuids(),
    status=st.sampled_from(PostStatus),
    body=texts,
    created_at=times,
    variants=st.lists(st.tuples(ids, texts), max_size=2).map(tuple),
    accounts=st.lists(
        st.builds(PostAccountRecord, accounts, st.none() | texts, st.lists(texts, max_size=2).map(tuple)), max_size=2
    ).map(tuple),
    author=st.none() | st.tuples(ids, texts),
    scheduled_at=st.none() | times,
    published_at=st.none() | times,
    trashed=st.booleans(),
)
ACCOUNT_EVENTS = (EventType.ACCOUNT_ADDED, EventType.ACCOUNT_UPDATED, EventType.ACCOUNT_UNAUTHORIZED)


def check(event_type: EventType, data: dict[str, Any]) -> dict[str, Any]:
    """The payload that a receiver reads, after a check against the event's schema."""
    payload: dict[str, Any] = json.loads(document(event_type, data).encode())
    schema = EVENT_TYPES[event_type].json_schema
    Draft202012Validator(schema, format_checker=FormatChecker(["uuid"])).validate(payload)
    return payload


@given(st.sampled_from(ACCOUNT_EVENTS), accounts)
def test_every_account_satisfies_the_schema(event_type: EventType, account: AccountRecord) -> None:
    if event_type is EventType.ACCOUNT_UNAUTHORIZED:
        account = replace(account, authorized=False)

    check(event_type, payloads.account_data(account))


@given(st.sampled_from([EventType.POST_CREATED, EventType.POST_UPDATED]), posts)
def test_every_post_satisfies_the_schema(event_type: EventType, post: PostRecord) -> None:
    check(event_type, payloads.post_data(post))


@given(posts, times)
def test_every_post_in_the_state_of_its_event_satisfies_the_schema(post: PostRecord, time: datetime) -> None:
    scheduled = replace(post, status=PostStatus.SCHEDULED, scheduled_at=time)
    published = replace(post, status=PostStatus.PUBLISHED, published_at=time)
    failed = replace(post, status=PostStatus.FAILED)

    check(EventType.POST_SCHEDULED, payloads.post_data(scheduled))
    check(EventType.POST_PUBLISHED, payloads.post_data(published))
    check(EventType.POST_PUBLISHING_FAILED, payloads.post_data(failed))


@given(st.lists(st.uuids(), min_size=1), st.booleans())
def test_every_deletion_satisfies_the_schema(uuids: list[UUID], to_trash: bool) -> None:
    check(EventType.POST_DELETED, payloads.posts_deleted_data(uuids, to_trash))
    check(EventType.ACCOUNT_DELETED, payloads.account_deleted_data(uuids[0]))


@pytest.mark.parametrize(
    ("event_type", "data"),
    [
        (EventType.ACCOUNT_ADDED, payloads.account_data(BAKERY)),
        (EventType.ACCOUNT_DELETED, payloads.account_deleted_data(BAKERY.uuid)),
        (EventType.POST_PUBLISHED, payloads.post_data(POST)),
        (
            EventType.POST_DELETED,
            payloads.posts_deleted_data([POST.uuid, UUID("7b1e7c9a-4f0e-4a51-8f39-2f8a1f6f2b64")], to_trash=False),
        ),
    ],
)
def test_the_examples_of_the_catalogue_are_what_the_builders_make_to_the_letter(
    event_type: EventType, data: dict[str, Any]
) -> None:
    assert document(event_type, data) == document(event_type, EVENT_TYPES[event_type].example["data"])


def test_a_post_put_into_the_trash_says_so() -> None:
    assert payloads.posts_deleted_data([POST.uuid], to_trash=True) == {"uuids": [str(POST.uuid)], "to_trash": True}


def test_a_post_shows_the_original_and_its_variants() -> None:
    versions = payloads.post_data(POST)["versions"]

    assert [(version["account_id"], version["is_original"]) for version in versions] == [(0, True), (15, False)]


def test_a_document_is_compact_and_leaves_letters_as_they_are() -> None:
    assert document(EventType.ACCOUNT_DELETED, {"uuid": "é🥖</script>"}) == (
        '{"event":"account.deleted","data":{"uuid":"é🥖</script>"}}'
    )


@pytest.mark.parametrize(
    ("text", "carried"),
    [
        pytest.param("a\ud800b", "a\ufffdb", id="first half alone"),
        pytest.param("a\udc00b", "a\ufffdb", id="second half alone"),
        pytest.param("\udc00\ud800", "\ufffd\ufffd", id="halves in the wrong order"),
        pytest.param("\ud83e\udd56", "🥖", id="halves that belong together"),
        pytest.param("é\x00", "é\x00", id="NUL is escaped"),
    ],
)
def test_a_text_that_utf8_cannot_carry_arrives_mended(text: str, carried: str) -> None:
    made = document(EventType.ACCOUNT_UPDATED, {text: [text, {"inside": (text,)}]})

    assert "\x00" not in made
    assert json.loads(made.encode())["data"] == {carried: [carried, {"inside": [carried]}]}


def test_numbers_that_are_none_and_numbers_of_any_length_are_carried() -> None:
    plain = document(EventType.ACCOUNT_UPDATED, {"nan": float("nan"), "infinite": float("inf"), "n": 1})
    long = document(EventType.ACCOUNT_UPDATED, {"nan": float("nan"), "infinite": float("-inf"), "n": 10**30})

    assert json.loads(plain)["data"] == {"nan": None, "infinite": None, "n": 1}
    assert json.loads(long)["data"] == {"nan": None, "infinite": None, "n": 10**30}


def test_the_slow_way_writes_what_the_fast_way_would() -> None:
    data = payloads.post_data(POST)
    slow = document(EventType.POST_PUBLISHED, {**data, "tags": ["\ud800"]})

    assert slow == document(EventType.POST_PUBLISHED, {**data, "tags": ["\ufffd"]})


@pytest.mark.parametrize(
    ("time", "written"),
    [
        (datetime(2026, 3, 2, 8, 15, tzinfo=UTC), "2026-03-02T08:15:00Z"),
        (datetime(2026, 3, 2, 8, 15, 0, 1, tzinfo=UTC), "2026-03-02T08:15:00.000001Z"),
        (datetime(2026, 3, 2, 8, 15, tzinfo=timezone(timedelta(hours=2))), "2026-03-02T06:15:00Z"),
    ],
)
def test_times_are_utc_and_end_in_z(time: datetime, written: str) -> None:
    assert instant(time) == written


@given(times)
def test_payloads_and_the_api_write_times_in_the_same_way(time: datetime) -> None:
    assert instant(time) == write_instant(time)
