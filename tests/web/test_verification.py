"""The programs that a delivery's page offers for checking its signature, each run in its own language."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from domain import signing
from tests import node
from tests.receivers import php, ruby

HERE = Path(__file__).parent
SECONDS = 240
SECRET = 'it\'s "a" \\ secret'
# What is special in one language or another: quotes, an escape, interpolation, a raw string's end, a comment.
BODY = (
    '{"event":"post.created","data":{"body":"It\'s \\"quoted\\" \\\\ back\\nslash \\u0001 $x ${y} #{z} #@w `tick` %s '
    '<?php ?> */ // مرحبا 🎉\u2028\u00a0\u007f end"}}'
)
FORM = "payload=%7B%22event%22%3A%22post.created%22%2C%22data%22%3A%7B%22body%22%3A%22a+b%27c%25%22%7D%7D"
COMMANDS = {
    "python": ("code.py", [sys.executable]),
    "node": ("code.mjs", [str(node.NODE)]),
    "go": ("code.go", [str(Path(sys.executable).with_name("go")), "run"]),
}


def programs(body: str, signature: str) -> dict[str, str]:
    """The code by language."""
    found: dict[str, str] = node.run(HERE / "verification.mjs", given={"body": body, "signature": signature})
    return found


def said(language: str, code: str, secret: str, folder: Path) -> str:
    """What the program prints."""
    if language == "php":
        (folder / "code.php").write_text(code)
        answer = php.run(folder / "code.php", {}, b"", {"WEBHOOK_SECRET": secret})
        assert answer.errors == ""
        return answer.body.decode().strip()
    if language == "ruby":
        (folder / "code.rb").write_text(code)
        return ruby.run(folder / "code.rb", {"WEBHOOK_SECRET": secret}).strip()
    name, command = COMMANDS[language]
    (folder / name).write_text(code)
    told = {**os.environ, "WEBHOOK_SECRET": secret}
    done = subprocess.run(
        [*command, str(folder / name)], env=told, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("body", [BODY, FORM], ids=["json", "form"])
@pytest.mark.parametrize("language", ["php", "python", "node", "go", "ruby"])
def test_the_program_finds_its_own_signature_valid_and_another_secret_s_not(
    language: str, body: str, tmp_path: Path
) -> None:
    code = programs(body, signing.hex_signature(SECRET.encode(), body.encode()))[language]
    assert said(language, code, SECRET, tmp_path) == "valid"
    assert said(language, code, "another", tmp_path) == "not valid"


@pytest.mark.parametrize("language", ["php", "python", "node", "go", "ruby"])
def test_the_program_finds_what_anybody_may_send_for_a_signature_not_valid(language: str, tmp_path: Path) -> None:
    assert said(language, programs(BODY, "grün")[language], SECRET, tmp_path) == "not valid"
