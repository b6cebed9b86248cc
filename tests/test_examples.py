"""The receiver of docs/examples gets good and bad requests. tests/e2e/test_readme.py runs both examples."""

import http.client
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from cli.processes import wait_until
from cli.up import free_port
from domain import signing

ROOT = Path(__file__).parents[1]
SECRET = "a secret of mine"
DOCUMENT = b'{"event":"post.created","data":{"body":"It & \xc3\xa9"}}'
FORM = b"payload=%7B%22event%22%3A%22post.created%22%2C%22data%22%3A%7B%22body%22%3A%22It+%26+%C3%A9%22%7D%7D"
GENUINE = "genuine post.created {'body': 'It & é'}"
FORGED = "FORGED"
READY = timedelta(seconds=30)


class Example:
    """The receiver, running."""

    def __init__(self, port: int, process: "subprocess.Popen[str]") -> None:
        self._port = port
        self._process = process

    def is_there(self) -> bool:
        """Whether it answers."""
        try:
            return self.answer("GET", b"", {}) == 501
        except OSError:
            return False

    def answer(self, method: str, body: bytes, headers: dict[str, str | bytes]) -> int:
        """The status that it answers with."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=READY.total_seconds())
        connection.request(method, "/", body, headers)
        return connection.getresponse().status

    def printed(self, end: signal.Signals = signal.SIGTERM) -> list[str]:
        """End it, and return all that it printed."""
        self._process.send_signal(end)
        return self._process.communicate(timeout=READY.total_seconds())[0].splitlines()


@contextmanager
def running() -> Iterator[Example]:
    """Start it on a free port."""
    port = free_port("127.0.0.1", 0)
    command = [sys.executable, "docs/examples/receiver.py", str(port), SECRET]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8"
    ) as process:
        try:
            example = Example(port, process)
            assert wait_until(example.is_there, READY)
            yield example
        finally:
            process.kill()


def signed(body: bytes, content_type: str = "application/json") -> dict[str, str | bytes]:
    """The headers of a genuine delivery."""
    return {"X-Signature": signing.hex_signature(SECRET.encode(), body), "Content-Type": content_type}


@pytest.mark.parametrize(
    ("body", "headers", "status", "line"),
    [
        pytest.param(DOCUMENT, signed(DOCUMENT), 200, GENUINE, id="JSON"),
        pytest.param(FORM, signed(FORM, "application/x-www-form-urlencoded"), 200, GENUINE, id="a form"),
        pytest.param(DOCUMENT, {}, 401, FORGED, id="no signature"),
        pytest.param(DOCUMENT, signed(DOCUMENT + b" "), 401, FORGED, id="the signature of another body"),
        pytest.param(DOCUMENT, {"X-Signature": "grün"}, 401, FORGED, id="a signature of other letters"),
        pytest.param(DOCUMENT, {"X-Signature": b"\xff\xfe"}, 401, FORGED, id="a signature of other bytes"),
        pytest.param(b"no JSON", {}, 401, FORGED, id="no JSON and no signature"),
        pytest.param(b"no JSON", signed(b"no JSON"), 400, None, id="no JSON"),
        pytest.param(b"\xff", signed(b"\xff"), 400, None, id="no text"),
        pytest.param(b"[]", signed(b"[]"), 400, None, id="no object"),
        pytest.param(b"a=b", signed(b"a=b", "application/x-www-form-urlencoded"), 400, None, id="another form"),
        pytest.param(b"", {"Content-Length": "many"}, 400, None, id="a length that is no number"),
        pytest.param(b"", {"Content-Length": "-1"}, 400, None, id="a length below nought"),
    ],
)
def test_the_receiver_answers_everything_and_prints_what_is_genuine(
    body: bytes, headers: dict[str, str | bytes], status: int, line: str | None
) -> None:
    with running() as example:
        assert example.answer("POST", body, headers) == status
        assert example.printed() == ([] if line is None else [line])


def test_the_receiver_ends_by_ctrl_c_without_a_word() -> None:
    with running() as example:
        assert example.answer("POST", DOCUMENT, signed(DOCUMENT)) == 200
        assert example.printed(signal.SIGINT) == [GENUINE]
