"""Requests: their exact bytes and headers, and the code that integrators check them with."""

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from domain.errors import FaultCode
from domain.payloads import document
from domain.request import (
    HIDDEN,
    Assignment,
    OutgoingRequest,
    build,
    check_headers,
    hidden_values,
    hide,
    visible_headers,
    visible_url,
)
from domain.signing import generate_secret
from domain.vocabulary import ContentType, EventType, HttpMethod
from tests import node
from tests.receivers import php, ruby

GUIDE = Path(__file__).parents[2] / "docs" / "receiving.md"
PLAIN = "correct horse battery"
ENCODED = generate_secret()
OTHER = generate_secret()
DELIVERY = "7d0f4c3e-5a0e-4a3b-9d57-0c1f3f0b8a11"
WHEN = datetime(2026, 3, 2, 9, 30, 0, 999_999, tzinfo=UTC)

TEXT = document(EventType.POST_PUBLISHED, {"name": "Ada's Bäckerei 🥖 & Söhne", "n": [1, "a+b=c%20"]})
FIRST = Assignment(
    delivery_uuid=DELIVERY,
    number=1,
    event_uuid="0f6a2f8e-2c57-4f0b-b1d4-6b1a7f0c9d33",
    event_type=EventType.POST_PUBLISHED,
    document=TEXT,
    url="https://receiver.example/hooks?source=hookline",
    secret=PLAIN,
)
each_secret = pytest.mark.parametrize("secret", [pytest.param(PLAIN, id="plain"), pytest.param(ENCODED, id="whsec")])
each_content_type = pytest.mark.parametrize("content_type", list(ContentType), ids=lambda value: value.name.lower())


def sent(now: datetime = WHEN, **changes: Any) -> OutgoingRequest:
    return build(replace(FIRST, **changes), now, "1.2.3")


def lower(request: OutgoingRequest) -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers}


# ------------------------------------------------------------------------------------------------- bytes and headers


def test_a_json_request_is_the_document_and_nothing_else() -> None:
    request = sent(secret=None)

    assert request.body == TEXT.encode()
    assert (request.url, request.method) == (FIRST.url, HttpMethod.POST)
    assert request.headers == (
        ("Content-Type", "application/json"),
        ("User-Agent", "Hookline/1.2.3"),
        ("X-Hookline-Event", "post.published"),
        ("X-Hookline-Delivery", DELIVERY),
        ("X-Hookline-Attempt", "1"),
        ("webhook-id", FIRST.event_uuid),
        ("webhook-timestamp", "1772443800"),
    )


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_form_carries_any_document_in_its_payload(text: str) -> None:
    request = sent(document=text, content_type=ContentType.FORM)

    assert parse_qs(request.body.decode("ascii"), keep_blank_values=True) == {"payload": [text]}
    assert request.body.decode() == urlencode({"payload": text})
    assert request.headers[0] == ("Content-Type", "application/x-www-form-urlencoded")


@pytest.mark.parametrize("method", list(HttpMethod))
def test_a_request_has_the_method_and_the_url_of_its_webhook(method: HttpMethod) -> None:
    assert sent(method=method).method is method


def test_without_a_secret_nothing_is_signed() -> None:
    names = lower(sent(secret=None, previous_secret=OTHER)).keys()

    assert not names & {"x-signature", "x-signature-previous", "webhook-signature"}


def test_a_second_attempt_is_the_same_message_at_another_time() -> None:
    first, second = sent(), sent(WHEN + timedelta(minutes=5), number=2)

    assert second.body == first.body
    changed = {name for name, value in lower(second).items() if lower(first)[name] != value}
    assert changed == {"x-hookline-attempt", "webhook-timestamp", "webhook-signature"}


def test_a_webhooks_own_headers_come_last_and_never_replace_ours() -> None:
    own = (("X-Team", "blue"), ("x-signature", "0"), ("WEBHOOK-ID", "0"), ("Host", "inside"), ("content-length", "0"))

    assert sent(headers=own).headers == (*sent().headers, ("X-Team", "blue"))


# ------------------------------------------------------------------------------------------------- Standard Webhooks


def judge(secret: str) -> Webhook:
    return Webhook(secret if secret.startswith("whsec_") else secret.encode())


@each_secret
@each_content_type
def test_the_standard_webhooks_package_accepts_our_requests(secret: str, content_type: ContentType) -> None:
    request = sent(datetime.now(UTC), secret=secret, content_type=content_type)

    judge(secret).verify(request.body, dict(request.headers), json_parse=False)


@each_secret
def test_the_standard_webhooks_package_accepts_both_secrets_while_a_rotation_overlaps(secret: str) -> None:
    request = sent(datetime.now(UTC), secret=OTHER, previous_secret=secret)

    for either in (OTHER, secret):
        assert judge(either).verify(request.body, dict(request.headers)) == json.loads(TEXT)


@each_secret
def test_the_standard_webhooks_package_refuses_what_is_not_ours(secret: str) -> None:
    request = sent(datetime.now(UTC), secret=secret)
    headers = dict(request.headers)

    for wrong_secret, body, changes in (
        (OTHER, request.body, {}),
        (secret, request.body + b" ", {}),
        (secret, request.body, {"webhook-id": "msg_other"}),
        (secret, request.body, {"webhook-timestamp": str(int(headers["webhook-timestamp"]) - 1)}),
    ):
        with pytest.raises(WebhookVerificationError):
            judge(wrong_secret).verify(body, {**headers, **changes})


def test_the_old_secret_signs_in_a_header_of_its_own() -> None:
    both = lower(sent(secret=OTHER, previous_secret=PLAIN))

    assert both["x-signature"] == lower(sent(secret=OTHER))["x-signature"]
    assert both["x-signature-previous"] == lower(sent(secret=PLAIN))["x-signature"]
    assert both["webhook-signature"].split(" ") == [
        lower(sent(secret=secret))["webhook-signature"] for secret in (OTHER, PLAIN)
    ]


# ------------------------------------------------------------------------------------ the code of docs/receiving.md


def from_the_guide(language: str, containing: str, path: Path) -> Path:
    """Write the one piece of code in this language that contains a certain text to a file."""
    pieces = re.findall(rf"^```{language}\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    (piece,) = (piece for piece in pieces if containing in piece)
    path.write_text(piece)
    return path


@pytest.fixture
def php_receiver(tmp_path: Path) -> Callable[[OutgoingRequest, str], php.PhpAnswer]:
    script = from_the_guide("php", "hash_hmac('sha256', $payloadContents, $secretKey)", tmp_path / "receive.php")
    assert "hash_equals(" in script.read_text()

    def receive(request: OutgoingRequest, secret: str) -> php.PhpAnswer:
        env = {"HOOKLINE_SECRET": secret}
        return php.run(script, dict(request.headers), request.body, env, request.method.value)

    return receive


@each_secret
@each_content_type
def test_the_php_of_the_guide_accepts_our_requests(
    php_receiver: Callable[[OutgoingRequest, str], php.PhpAnswer], secret: str, content_type: ContentType
) -> None:
    answer = php_receiver(sent(secret=secret, content_type=content_type), secret)

    assert answer == php.PhpAnswer(202, b"post.published", "")


@pytest.mark.parametrize(
    "request_of_another",
    [
        pytest.param(sent(secret=OTHER), id="another secret"),
        pytest.param(sent(secret=None), id="no signature"),
        pytest.param(replace(sent(), body=TEXT.encode() + b" "), id="another body"),
    ],
)
def test_the_php_of_the_guide_refuses_what_is_not_ours(
    php_receiver: Callable[[OutgoingRequest, str], php.PhpAnswer], request_of_another: OutgoingRequest
) -> None:
    assert php_receiver(request_of_another, PLAIN) == php.PhpAnswer(401, b"wrong signature", "")


def imported(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


@each_secret
@each_content_type
def test_the_short_python_of_the_guide_tells_ours_from_others(
    tmp_path: Path, secret: str, content_type: ContentType
) -> None:
    guide = imported(from_the_guide("python", "def is_genuine", tmp_path / "short.py"))
    request = sent(secret=secret, content_type=content_type)

    assert guide.is_genuine(request.body, dict(request.headers), secret)
    assert not guide.is_genuine(request.body, dict(request.headers), OTHER)
    assert not guide.is_genuine(request.body + b" ", dict(request.headers), secret)
    assert not guide.is_genuine(request.body, {"X-Signature": "grün"}, secret)
    assert not guide.is_genuine(request.body, {}, secret)


@each_secret
def test_the_strict_python_of_the_guide_tells_ours_from_others(tmp_path: Path, secret: str) -> None:
    guide = imported(from_the_guide("python", "standardwebhooks", tmp_path / "strict.py"))
    request = sent(datetime.now(UTC), secret=secret)

    assert guide.read(request.body, dict(request.headers), secret) == json.loads(TEXT)
    with pytest.raises(WebhookVerificationError):
        guide.read(request.body, dict(sent(WHEN - timedelta(days=1), secret=secret).headers), secret)
    with pytest.raises(ValueError, match="base64"):
        guide.read(request.body, {**dict(request.headers), "webhook-signature": "v1,a"}, secret)


CALL = """
import { text } from 'node:stream/consumers';
import * as guide from './guide.mjs';

const calls = JSON.parse(await text(process.stdin));
const ask = ({ body, headers, secret, now }) => guide[process.argv[2]](Buffer.from(body), headers, secret, now);
const answers = calls.map(ask);
process.stdout.write(JSON.stringify(answers));
"""


def in_node(folder: Path, name: str, *calls: tuple[bytes, dict[str, str], str]) -> list[bool]:
    """What the guide's function of this name says, for each body, headers and secret."""
    from_the_guide("js", f"function {name}(", folder / "guide.mjs")
    (folder / "call.mjs").write_text(CALL)
    given = [
        {"body": body.decode(), "headers": headers, "secret": secret, "now": WHEN.timestamp()}
        for body, headers, secret in calls
    ]
    answers: list[bool] = node.run(folder / "call.mjs", name, given=given)
    return answers


@each_secret
@each_content_type
def test_the_short_node_of_the_guide_tells_ours_from_others(
    tmp_path: Path, secret: str, content_type: ContentType
) -> None:
    request = sent(secret=secret, content_type=content_type)
    headers = lower(request)

    assert in_node(
        tmp_path,
        "isGenuine",
        (request.body, headers, secret),
        (request.body, headers, OTHER),
        (request.body + b" ", headers, secret),
        (request.body, {}, secret),
    ) == [True, False, False, False]


GO = """package main

import ("crypto/hmac"; "crypto/sha256"; "encoding/hex"; "encoding/json"; "os")

func main() {
	var calls []struct{ Body, Signature, Secret string }
	json.NewDecoder(os.Stdin).Decode(&calls)
	answers := []bool{}
	for _, call := range calls {
		answers = append(answers, isGenuine([]byte(call.Body), call.Signature, call.Secret))
	}
	json.NewEncoder(os.Stdout).Encode(answers)
}
"""
RUBY = """
require "json"
calls = JSON.parse(ENV.fetch("CALLS"))
puts JSON.dump(calls.map { |call| genuine?(call["body"], call["signature"], call["secret"]) })
"""


def in_go(folder: Path, calls: str) -> list[bool]:
    """What the guide's function says to each call."""
    program = folder / "guide.go"
    program.write_text(GO + from_the_guide("go", "func isGenuine", folder / "piece.go").read_text())
    command = [str(Path(sys.executable).with_name("go")), "run", str(program)]
    done = subprocess.run(command, input=calls, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    answers: list[bool] = json.loads(done.stdout)
    return answers


def in_ruby(folder: Path, calls: str) -> list[bool]:
    """What the guide's function says to each call."""
    program = from_the_guide("ruby", "def genuine?", folder / "guide.rb")
    program.write_text(program.read_text() + RUBY)
    answers: list[bool] = json.loads(ruby.run(program, {"CALLS": calls}))
    return answers


@pytest.mark.parametrize("in_language", [in_go, in_ruby])
def test_the_go_and_the_ruby_of_the_guide_tell_ours_from_others(
    tmp_path: Path, in_language: Callable[[Path, str], list[bool]]
) -> None:
    calls, genuine = [], []
    for request in (sent(secret=PLAIN), sent(secret=PLAIN, content_type=ContentType.FORM)):
        body, signature = request.body.decode(), lower(request)["x-signature"]
        calls += [(body, signature, PLAIN), (body, signature, OTHER), (body + " ", signature, PLAIN), (body, "", PLAIN)]
        genuine += [True, False, False, False]

    told = json.dumps([dict(zip(("body", "signature", "secret"), call, strict=True)) for call in calls])

    assert in_language(tmp_path, told) == genuine


@each_secret
@each_content_type
def test_the_strict_node_of_the_guide_tells_ours_from_others(
    tmp_path: Path, secret: str, content_type: ContentType
) -> None:
    request = sent(secret=OTHER, previous_secret=secret, content_type=content_type)
    headers = lower(request)

    assert in_node(
        tmp_path,
        "isGenuineAndNew",
        (request.body, headers, OTHER),
        (request.body, headers, secret),
        (request.body, headers, "nobody's"),
        (request.body + b" ", headers, secret),
        (request.body, {**headers, "webhook-id": "msg_other"}, secret),
        (request.body, lower(sent(WHEN - timedelta(minutes=6), secret=secret)), secret),
        (request.body, {}, secret),
    ) == [True, True, False, False, False, False, False]


# ------------------------------------------------------------------------------------------- a webhook's own headers


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

    printed = repr(assignment) + repr(build(assignment, WHEN, "1"))

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
