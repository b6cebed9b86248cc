"""Running `hookline` as people do: as processes, which are gone when the block ends."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil

from cli.processes import wait_until
from cli.programs import CHECKOUT

READY = timedelta(seconds=120)
GONE = timedelta(seconds=60)
HOOKLINE = (sys.executable, "-m", "cli")


def environment(**variables: str) -> dict[str, str]:
    """Our own environment without Hookline's settings, plus these variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HOOKLINE_")}
    return kept | variables


def hookline(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [*HOOKLINE, *arguments],
        cwd=CHECKOUT,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=READY.total_seconds(),
        check=False,
    )


def ask(access: Mapping[str, Any], query: str, **variables: Any) -> dict[str, Any]:
    """What the API answers of the `hookline up` that has this `access`."""
    request = urllib.request.Request(
        f"{access['url']}/graphql",
        json.dumps({"query": query, "variables": variables}).encode(),
        {"Authorization": f"Bearer {access['token']}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        answer = json.load(response)
    assert "errors" not in answer, answer
    data: dict[str, Any] = answer["data"]
    return data


class Up:
    """A running `hookline up`."""

    def __init__(self, process: "subprocess.Popen[bytes]", data: Path, log: Path) -> None:
        self.process = process
        self.data = data
        self._log = log
        self._seen: set[psutil.Process] = set()

    @property
    def output(self) -> str:
        """What it has written so far."""
        return self._log.read_text(errors="replace")

    @property
    def access(self) -> dict[str, Any]:
        """Its address and token."""
        found: dict[str, Any] = json.loads((self.data / "hookline.json").read_text())
        return found

    def until_ready(self) -> "Up":
        """Waits until it says that it is ready. Raises AssertionError if it ends instead, or takes too long."""
        is_over = wait_until(lambda: "Ctrl-C stops everything" in self.output or self.process.poll() is not None, READY)
        assert is_over, self.output
        assert self.process.poll() is None, self.output
        self.parts()
        return self

    def parts(self) -> dict[str, psutil.Process]:
        """Its children by name: api, worker, postgres, valkey-server."""
        found = {}
        for child in psutil.Process(self.process.pid).children():
            with suppress(psutil.Error):
                command = child.cmdline()
                self._seen |= {child, *child.children(recursive=True)}
                if command and child.status() != psutil.STATUS_ZOMBIE:
                    found[command[-1] if "cli" in command else child.name()] = child
        return found

    def left(self) -> list[psutil.Process]:
        """Its processes that still run."""
        return [process for process in self._seen if _runs(process)]

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal and wait for the end; returns the exit code."""
        self.parts()
        self.process.send_signal(number)
        return self.process.wait(GONE.total_seconds())


def _runs(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


@contextmanager
def up(data: Path, variables: Mapping[str, str] | None = None, under: tuple[str, ...] = ()) -> Iterator[Up]:
    """Start `hookline up` on a free port. It is killed when the block ends; children that outlive it are a failure."""
    log = data.parent / f"{data.name}.output"
    command = [*under, *HOOKLINE, "up", "--data", str(data), "--port", "0"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=CHECKOUT, env=environment(**variables or {}), stdout=output, stderr=subprocess.STDOUT
        )
    running = Up(process, data, log)
    try:
        yield running
    finally:
        if process.poll() is None:
            running.parts()
            process.kill()
            process.wait()
        is_gone = wait_until(lambda: not running.left(), GONE)
        leftovers = running.left()
        for leftover in leftovers:
            with suppress(psutil.Error):
                leftover.kill()
        assert is_gone, leftovers


@contextmanager
def taken(port: int) -> Iterator[None]:
    """Nothing else can listen on this port: we do, or a process that got it meanwhile."""
    with ExitStack() as stack:
        with suppress(OSError):
            stack.enter_context(socket.create_server(("127.0.0.1", port)))
        yield


def setpriv_without_capabilities() -> tuple[str, ...]:
    """A prefix that binds a command to file permissions even if root runs it."""
    if os.geteuid() != 0:
        return ()
    return (shutil.which("setpriv") or "setpriv", "--bounding-set=-all", "--inh-caps=-all")
