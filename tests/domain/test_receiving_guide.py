"""The code in docs/receiving.md, with which integrators check our requests: run as it stands there."""

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

import pytest
from standardwebhooks.webhooks import WebhookVerificationError

from domain.request import OutgoingRequest
from domain.vocabulary import ContentType
from tests import node
from tests.domain.assignment import OTHER, PLAIN, TEXT, WHEN, each_content_type, each_secret, lower, sent
from tests.receivers import php, ruby

GUIDE = Path(__file__).parents[2] / "docs" / "receiving.md"


def from_the_guide(language: str, containing: str, path: Path) -> Path:
    """Write to a file the only piece of code in this language that contains this text."""
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
    """What the guide's function of this name returns for each body, headers and secret."""
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
    """What the guide's function returns for each call."""
    program = folder / "guide.go"
    program.write_text(GO + from_the_guide("go", "func isGenuine", folder / "piece.go").read_text())
    command = [str(Path(sys.executable).with_name("go")), "run", str(program)]
    done = subprocess.run(command, input=calls, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    answers: list[bool] = json.loads(done.stdout)
    return answers


def in_ruby(folder: Path, calls: str) -> list[bool]:
    """What the guide's function returns for each call."""
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
