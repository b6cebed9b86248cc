"""`hookline api` or `hookline worker` as a process that tests start, stop, freeze and kill."""

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from cli.processes import spawn
from cli.programs import CHECKOUT
from tests.running import environment
from tests.waiting import until

HEALTHY_SECONDS = 60.0
# Longer than any shutdown deadline that tests set.
GONE_SECONDS = 60.0
LINES_SHOWN = 15


class Process:
    """`hookline api` or `hookline worker`."""

    def __init__(self, name: str, variables: dict[str, str], log: Path, answers: Callable[[], bool]) -> None:
        self.name = name
        self.log = log
        self._variables = variables
        self._answers = answers
        self._process: subprocess.Popen[bytes] | None = None
        self._was_ready = False

    def launch(self) -> "Process":
        """Start it; see `ready`."""
        self._was_ready = False
        self._forget_round()
        with self.log.open("ab") as log:
            command = [sys.executable, "-m", "cli", self.name]
            self._process = spawn(command, environment=environment(**self._variables), output=log, folder=CHECKOUT)
        return self

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    async def ready(self, seconds: float = HEALTHY_SECONDS) -> "Process":
        """Wait until it answers; for a worker, until it has finished another round of its loop."""
        if self._was_ready:
            self._forget_round()

        def is_ready() -> bool:
            assert self.is_running, f"{self.name} has ended:\n{self.last_lines()}"
            return self._answers()

        end = time.monotonic() + seconds
        # Asking may block for half a second, and receivers share this loop.
        while not await asyncio.to_thread(is_ready):
            assert time.monotonic() < end, f"{self.name} is not healthy after {seconds:g} s:\n{self.last_lines()}"
            await asyncio.sleep(0.05)
        self._was_ready = True
        return self

    def _forget_round(self) -> None:
        if ready_file := self._variables.get("HOOKLINE_READY_FILE"):
            Path(ready_file).unlink(missing_ok=True)

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, if it runs."""
        if self.is_running and self._process is not None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.send(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    async def gone(self, seconds: float = GONE_SECONDS) -> int:
        """Its exit code, once it has ended. Raises AssertionError if that takes longer than `seconds`."""
        process = self._process
        assert process is not None
        await until(lambda: process.poll() is not None, seconds, f"the end of {self.name}")
        return int(process.returncode)

    def last_lines(self) -> str:
        """The last lines of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-LINES_SHOWN:])
