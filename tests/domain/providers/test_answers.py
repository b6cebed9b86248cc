"""What the answers of all networks have in common."""

from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import pytest

from domain.errors import FaultCode
from domain.providers.answers import (
    Reply,
    ask,
    host_of,
    key,
    label,
    server_url,
    try_later,
    unreachable,
    wait_asked_for,
    web_address,
    with_words,
)
from domain.providers.bluesky_session import Home
from domain.providers.interface import BadInput, ProviderUnreachable
from domain.sender import CallFailed, Sender
from domain.vocabulary import AttemptOutcome
from tests.receiver import Answer, Receiver

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def reply(status: int, **headers: str) -> Reply:
    """An answer with these headers."""
    return Reply(status, MappingProxyType({name.replace("_", "-"): value for name, value in headers.items()}), None)


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        pytest.param({"retry_after": "60"}, MINUTE, id="seconds"),
        pytest.param({"retry_after": "Sun, 01 Mar 2026 12:01:00 GMT"}, MINUTE, id="a date"),
        pytest.param({"x_ratelimit_reset": "2026-03-01T12:01:00.000000Z"}, MINUTE, id="Mastodon's date"),
        pytest.param({"x_ratelimit_reset": "2026-03-01T12:01:00"}, MINUTE, id="a date without a zone"),
        pytest.param({"ratelimit_reset": str(int((NOW + MINUTE).timestamp()))}, MINUTE, id="Bluesky's unix seconds"),
        pytest.param({"ratelimit_reset": "60"}, MINUTE, id="the draft's seconds from now"),
        pytest.param({"retry_after": "60", "x_ratelimit_reset": "2026-03-01T13:00:00Z"}, MINUTE, id="both"),
        pytest.param({"x_ratelimit_reset": "2026-03-01T11:00:00Z"}, timedelta(seconds=1), id="a time that has passed"),
        pytest.param({"x_ratelimit_reset": "2027-03-01T11:00:00Z"}, timedelta(days=1), id="a year"),
        pytest.param({"ratelimit_reset": "9" * 40}, None, id="beyond all time"),
        pytest.param({"x_ratelimit_reset": "soon"}, None, id="words"),
        pytest.param({}, None, id="nothing"),
    ],
)
def test_a_limit_waits_as_long_as_the_network_says(headers: dict[str, str], wait: timedelta | None) -> None:
    assert wait_asked_for(reply(429, **headers), NOW) == wait


def test_the_reset_of_an_unexhausted_limit_means_nothing() -> None:
    assert wait_asked_for(reply(503, x_ratelimit_reset="2026-03-01T12:05:00Z"), NOW) is None


def test_a_limit_that_does_not_say_how_long_waits_for_five_minutes() -> None:
    assert try_later(reply(429), NOW, "social.example").wait == 5 * MINUTE


def test_an_outage_gives_a_slow_server_time_to_finish_what_it_began() -> None:
    assert try_later(reply(503, retry_after="1"), NOW, "social.example").wait == timedelta(seconds=30)
    assert try_later(reply(503, retry_after="60"), NOW, "social.example").wait == MINUTE


@pytest.mark.parametrize(
    ("given", "url"),
    [
        pytest.param("mastodon.social", "https://mastodon.social", id="host alone"),
        pytest.param(" https://Mastodon.Social/ ", "https://mastodon.social", id="capitals and slash"),
        pytest.param("https://social.example/@alice?x#y", "https://social.example", id="a profile's address"),
        pytest.param("http://localhost:3000", "http://localhost:3000", id="plain http and port"),
        pytest.param("http://[::1]:3000/x", "http://[::1]:3000", id="IPv6"),
        pytest.param("münchen.example", "https://münchen.example", id="international name"),
    ],
)
def test_a_server_is_known_by_scheme_host_and_port(given: str, url: str) -> None:
    assert server_url(given) == url


@pytest.mark.parametrize(
    "given",
    [
        "ftp://social.example",
        "https://",
        "https://user:pass@social.example",
        "https://social.example:99999",
        "https://[::1",
        "two words",
        "javascript:alert(1)",
        "https://soc\\ial.example",
        "a" * 300,
    ],
)
def test_what_is_no_server_is_said_to_be_none(given: str) -> None:
    with pytest.raises(BadInput) as caught:
        server_url(given)
    assert (caught.value.field, caught.value.code) == ("server", FaultCode.INVALID)


def test_a_server_can_be_left_out_where_there_is_a_default() -> None:
    assert server_url(None, "https://bsky.social") == "https://bsky.social"
    with pytest.raises(BadInput) as caught:
        server_url(None)
    assert caught.value.code is FaultCode.REQUIRED


def test_the_words_of_a_network_are_shown_in_one_short_line() -> None:
    said = Reply(400, {}, {"error": "two\nlines\x00 \x1b[31mred\u202e", "long": "x" * 5000})
    assert said.words("error") == "two lines [31mred"
    assert len(said.words("long")) == 300


async def test_a_credential_that_a_network_repeats_is_not_among_its_words(sender: Sender, receiver: Receiver) -> None:
    login = "/xrpc/com.atproto.server.createSession"
    receiver.answer(Answer(401, body='{"error": "Refused", "message": "abcd-efgh is not it"}'), path=login)
    reply = await Home(sender, receiver.url_of("")).log_in("alice.example", "abcd-efgh")
    assert with_words("No", reply) == "No: (hidden) is not it"

    receiver.answer(Answer(401, body='{"error": "no such token: tok-1234"}'))
    reply = await ask(sender, "GET", receiver.url, token="tok-1234")
    assert with_words("No", reply) == "No: no such token: (hidden)"


def test_names_keep_their_emoji_and_lose_what_cannot_be_stored_or_turns_the_text_around() -> None:
    assert label("Zoë 👨‍👩‍👧‍👦 🏴󠁧󠁢󠁳󠁣󠁴󠁿") == "Zoë 👨‍👩‍👧‍👦 🏴󠁧󠁢󠁳󠁣󠁴󠁿"
    assert label("a\x00b\ud800c\u202ed") == "a b c d"
    assert (label(None), label(7), len(label("x" * 5000))) == ("", "", 200)


@pytest.mark.parametrize("value", ["", "a\x00", "a\n", "ü", "\ud800", "x" * 201, 7, None, ["7"]])
def test_what_cannot_be_kept_is_no_id(value: object) -> None:
    assert key(value) is None


def test_an_id_is_kept_as_it_is() -> None:
    assert key("110 3:a%") == "110 3:a%"


@pytest.mark.parametrize(
    "value", ["javascript:x", "data:x", "https://\x00", "https://" + "x" * 2048, None, 7, "/a.png"]
)
def test_what_is_no_web_address_is_not_shown_as_one(value: object) -> None:
    assert web_address(value) is None


def test_json_is_read_as_far_as_it_goes() -> None:
    found = Reply(200, {}, {"a": {"b": "c", "d": 1}, "list": []})
    assert (found.text("a", "b"), found.text("a", "d"), found.text("a", "b", "c")) == ("c", "", "")
    assert (found.at("a", "d"), found.at("list", "x"), Reply(200, {}, None).at("a")) == (1, None, None)


@pytest.mark.parametrize("value", ["[]", '{"":{}}', '{"id":"1"}'])
async def test_an_answer_of_very_many_values_is_not_kept(sender: Sender, receiver: Receiver, value: str) -> None:
    receiver.answer(Answer(body=f"[{','.join([value] * 90_000)}]"), Answer(body=f"[{','.join([value] * 10_000)}]"))
    assert (await ask(sender, "GET", receiver.url)).document is None
    assert len((await ask(sender, "GET", receiver.url)).document) == 10_000


def test_a_refusal_is_the_networks_own_where_it_names_an_error_in_whatever_form() -> None:
    named = [{"error": "Forbidden"}, {"error": {"code": "FORBIDDEN"}}]
    assert [Reply(403, {}, document).strange for document in [*named, {}, [], None]] == [False, False, True, True, True]


def test_a_refused_address_is_a_fault_of_the_input_and_any_other_failure_the_servers() -> None:
    refused = unreachable(CallFailed(AttemptOutcome.ADDRESS_REFUSED), "10.0.0.1")
    assert isinstance(refused, BadInput)
    assert (refused.field, refused.code) == ("server", FaultCode.ADDRESS_REFUSED)
    failed = unreachable(CallFailed(AttemptOutcome.DNS_FAILED), "social.example")
    assert isinstance(failed, ProviderUnreachable)
    assert str(failed) == "social.example has a name that cannot be found."


def test_a_server_is_named_by_its_host() -> None:
    assert host_of("https://social.example:8443") == "social.example:8443"
