"""A webhook's own headers: which are allowed, and what the log shows of a request that has them."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import FaultCode
from domain.request import HIDDEN, build, check_headers, hidden_values, hide, visible_headers, visible_url
from tests.domain.assignment import FIRST, OTHER, PLAIN, WHEN, sent


@pytest.mark.parametrize(
    "name",
    [
        "Authorization", "X-Api-Key", "x-auth", "X-Token", "X-SECRET-THING", "Set-Cookie", "X-My-Signature", "password",
        "X-Session-Id", "Api_Pwd", "X-JWT",
    ],
)  # fmt: skip
def test_a_header_whose_name_sounds_secret_is_hidden(name: str) -> None:
    assert hide(name, "abc") == HIDDEN


@pytest.mark.parametrize("value", ["Bearer abc", "bearer abc", "Basic YTpi", "Token abc"])
def test_a_header_whose_value_sounds_secret_is_hidden(value: str) -> None:
    assert hide("X-Team", value) == HIDDEN


def test_other_headers_are_shown() -> None:
    assert hide("X-Team", "blue") == "blue"


def test_the_log_shows_our_signatures_and_hides_a_persons_secrets() -> None:
    request = sent(previous_secret=OTHER, headers=(("X-Team", "blue"), ("X-Api-Key", "abc")))

    shown = visible_headers(request)

    assert shown == [*request.headers[:-1], ("X-Api-Key", HIDDEN)]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        pytest.param("https://a.example/x?to=%2Fin&plus=%2B", "https://a.example/x?to=/in&plus=%2B", id="query"),
        pytest.param("https://a.example/x#part", "https://a.example/x", id="fragment"),
        pytest.param("HTTPS://A.example:443/b/../ü", "https://a.example/%C3%BC", id="host, port and path"),
        pytest.param("https://bücher.example/", "https://xn--bcher-kva.example/", id="international name"),
        pytest.param("https://a.example/" + "ü" * 2000, "https://a.example/" + "%C3%BC" * 338 + "%C", id="long"),
        pytest.param("https://[x/", "https://[x/", id="what nobody can dial"),
    ],
)
def test_the_log_shows_the_url_that_went_out(url: str, shown: str) -> None:
    assert visible_url(sent(url=url)) == shown


def test_what_a_receiver_may_send_back_of_our_secrets_is_known() -> None:
    own = (("X-Team", "blue-green"), ("Authorization", "Bearer abcdefgh"), ("X-Api-Key", "four"), ("X-Key", "abc"))

    assert hidden_values(sent(headers=own)) == ["Bearer abcdefgh", "abcdefgh", "four"]


@pytest.mark.parametrize(
    "spelling",
    [r'\a/"b"&<c>', r"\\a/\"b\"&<c>", r"\\a\/\"b\"&<c>", r"\\a/\"b\"\u0026\u003cc\u003e"],
    ids=["as sent", "json.dumps", "json_encode", "encoding/json"],
)
def test_a_secret_that_is_sent_back_escaped_is_known_too(spelling: str) -> None:
    assert spelling in hidden_values(sent(headers=(("X-Api-Key", r'\a/"b"&<c>'),)))


def test_neither_secrets_nor_headers_stand_in_what_is_printed() -> None:
    assignment = replace(FIRST, previous_secret=OTHER, headers=(("X-Api-Key", "abcdef"),))

    printed = repr(assignment) + repr(build(assignment, WHEN))

    assert not [hidden for hidden in (PLAIN, OTHER, "abcdef", "Bäckerei") if hidden in printed]


def faults(*headers: tuple[str, str]) -> list[tuple[FaultCode, tuple[str, ...]]]:
    return [(fault.code, fault.field) for fault in check_headers(headers)]


def test_usual_headers_are_fine() -> None:
    assert faults(("X-Team", "blue"), ("Authorization", "Bearer abc"), ("X_1.a~b", ""), ("X-Long", "x" * 1024)) == []


@pytest.mark.parametrize(
    "name",
    [
        "Host", "host", "CONTENT-LENGTH", "Transfer-Encoding", "Connection", "Keep-Alive", "TE", "Trailer", "Upgrade",
        "Expect", "Cookie", "Proxy-Authorization", "Forwarded", "X-Forwarded-For", "X-Forwarded-Anything", "Via",
        "X_Forwarded_For", "x_signature", "webhook_id", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP",
        "Metadata-Flavor", "Metadata", "X-aws-ec2-metadata-token", "Content-Type", "Content-Encoding", "User-Agent",
        "Accept-Encoding", "X-Signature", "X-Signature-Previous", "X-Hookline-Event", "X-Hookline-Later", "webhook-id",
        "Webhook-Signature",
    ],
)  # fmt: skip
def test_a_header_that_is_not_the_webhooks_to_set_is_a_fault(name: str) -> None:
    assert faults((name, "1")) == [(FaultCode.INVALID, ("0", "name"))]


@pytest.mark.parametrize("name", ["X Team", "X-Team:", "X-Té", "X\r\nHost", "X\x00", "(X)", "\ud800", "X-Team "])
def test_a_name_that_http_does_not_know_is_a_fault(name: str) -> None:
    assert faults((name, "1")) == [(FaultCode.INVALID, ("0", "name"))]


@pytest.mark.parametrize("value", ["a\r\nHost: b", "a\nb", "a\x00", "é", "\ud800", "a\tb", " a", "a ", "\x7f"])
def test_a_value_that_is_not_printable_is_a_fault(value: str) -> None:
    assert faults(("X-Team", value)) == [(FaultCode.INVALID, ("0", "value"))]


def test_all_faults_are_found_at_once() -> None:
    assert faults(("X-Team", "a"), ("", "b\n"), ("x-team", "x" * 1025), ("x" * 101, "c")) == [
        (FaultCode.REQUIRED, ("1", "name")),
        (FaultCode.INVALID, ("1", "value")),
        (FaultCode.TAKEN, ("2", "name")),
        (FaultCode.TOO_LONG, ("2", "value")),
        (FaultCode.TOO_LONG, ("3", "name")),
    ]


def test_twenty_headers_are_fine_and_twenty_one_are_a_fault() -> None:
    many = [(f"X-{number}", "1") for number in range(21)]

    assert faults(*many[:20]) == []
    assert faults(*many) == [(FaultCode.LIMIT_REACHED, ())]


@given(st.lists(st.tuples(st.text(), st.text())))
def test_no_headers_at_all_break_the_check(headers: list[tuple[str, str]]) -> None:
    assert all(fault.message for fault in check_headers(headers))
