"""Controls the proxy process between our processes and their servers."""

import subprocess
import sys
from pathlib import Path

from cli.programs import CHECKOUT
from tests.running import environment


class Proxies:
    """The proxy process; see tests/e2e/proxy.py."""

    def __init__(self, ways: dict[str, tuple[Path, Path]]) -> None:
        """`ways` maps a name to the socket to listen on and the one to forward to."""
        words = [f"{name}={listen}={target}" for name, (listen, target) in ways.items()]
        self._names = tuple(ways)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.e2e.proxy", *words],
            cwd=CHECKOUT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def tell(self, name: str, mode: str, word: str = "") -> int:
        """Set a way's mode; returns how many of its connections hold something back."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{name} {mode} {word}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def heal(self) -> None:
        """Forward everything everywhere."""
        for name in self._names:
            self.tell(name, "pass")

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
