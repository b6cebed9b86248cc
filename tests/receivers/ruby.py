"""A real Ruby for tests: Ruby 3.4 as WebAssembly (docs/decisions/0013-receivers-in-tests.md)."""

from collections.abc import Mapping
from pathlib import Path

from tests import node

FOLDER = Path(__file__).parent


def run(script: Path, env: Mapping[str, str]) -> str:
    """The output of a Ruby program, which must report no errors."""
    node.install(FOLDER)
    told = node.run(FOLDER / "ruby.mjs", script, given={"env": dict(env)})
    assert told["errors"] == ""
    output: str = told["output"]
    return output
