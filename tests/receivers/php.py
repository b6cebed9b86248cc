"""A real PHP for tests: PHP 8.4 as WebAssembly (docs/decisions/0013-receivers-in-tests.md)."""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests import node

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class PhpAnswer:
    """The answer of a PHP script. `errors` are the interpreter's own words; empty if all is well."""

    status: int
    body: bytes
    errors: str


def run(
    script: Path, headers: Mapping[str, str], body: bytes, env: Mapping[str, str], method: str = "POST"
) -> PhpAnswer:
    """Run a PHP script for one request, as a web server would: `php://input`, `$_SERVER`, `$_POST`, `getenv`."""
    node.install(FOLDER)
    request = {"method": method, "headers": dict(headers), "body": b64encode(body).decode(), "env": dict(env)}
    answer = node.run(FOLDER / "php.mjs", script, given=request)
    return PhpAnswer(answer["status"], b64decode(answer["body"]), answer["errors"])
