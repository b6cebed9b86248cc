"""Keeps the parts of `hookline up` running: starts them, starts again what dies, and ends them all.

Every part is a process in a session of its own (cli/processes.py), so a Ctrl-C reaches the supervisor alone, and the
supervisor decides the order: what uses a server ends before the server does.
"""

import asyncio
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from cli.output import Output
from domain.errors import HooklineError

START_DEADLINE = timedelta(seconds=60)
# How long a part that was told to hurry may still take.
HURRY = timedelta(seconds=3)
POLL_SECONDS = 0.05
CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True)
class Patience:
    """How to restart a part: while it dies at once each time, pauses double from the shortest to the longest."""

    # A part that ends sooner than this after its start has died at once.
    at_once: timedelta = timedelta(seconds=10)
    most_deaths: int = 7
    shortest_pause: timedelta = timedelta(seconds=0.2)
    longest_pause: timedelta = timedelta(seconds=10)

    def pause(self, deaths: int) -> timedelta:
        """How long to wait after so many deaths in a row."""
        return min(self.shortest_pause * (1 << (deaths - 1)), self.longest_pause)


class PartFailedError(HooklineError):
    """A part of Hookline does not run."""


class Part(Protocol):
    """A process that is to run: a private server (cli/private_server.py) or one of our own (cli/programs.py)."""

    name: str
    # `stop_signal` asks it to finish, which may take as long as `patience`. `hurried_signal` leaves it no choice.
    stop_signal: signal.Signals
    hurried_signal: signal.Signals
    patience: timedelta
    process: subprocess.Popen[bytes] | None

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the process."""

    def is_ready(self) -> bool:
        """Whether it can be used. Raises HooklineError if the process has ended. May block for some seconds."""

    def tidy(self) -> None:
        """Remove what the ended process has left behind."""


class Supervisor:
    """Parts, in layers: each layer uses the ones before it."""

    def __init__(self, output: Output, patience: Patience | None = None) -> None:
        self._output = output
        self._patience = patience or Patience()
        self._layers: list[tuple[Part, ...]] = []
        self._keepers: list[asyncio.Task[None]] = []
        self._readers: set[asyncio.Task[None]] = set()
        self._hurry = asyncio.Event()

    async def start(self, *parts: Part) -> None:
        """Start a layer, wait until all of it is ready, and keep it running. Raises HooklineError if a part fails."""
        self._layers.append(parts)
        for part in parts:
            self._launch(part)
        for part in parts:
            await self._until_ready(part)
        self._keepers += [asyncio.create_task(self._keep(part)) for part in parts]

    async def watch(self) -> None:
        """Runs until cancelled. Raises PartFailedError when a part dies again and again."""
        await asyncio.gather(*self._keepers)

    def hurry(self) -> None:
        """Make the stop that is under way, or the next one, skip the patience of its parts."""
        self._hurry.set()

    async def stop(self) -> None:
        """End all parts, the last layer first. None of them runs when this returns."""
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        for parts in reversed(self._layers):
            await asyncio.gather(*(self._end(part) for part in parts))
        # The pipes have ended by now, unless another process holds one open.
        if self._readers:
            await asyncio.wait(self._readers, timeout=1)

    def _launch(self, part: Part) -> None:
        process = part.launch()
        if process.stdout is not None:
            reader = asyncio.create_task(self._show_log(part.name, process))
            self._readers.add(reader)
            reader.add_done_callback(self._readers.discard)

    async def _until_ready(self, part: Part) -> None:
        end = time.monotonic() + START_DEADLINE.total_seconds()
        while not part.is_ready():
            if time.monotonic() > end:
                raise PartFailedError(f"{part.name} did not become ready within {START_DEADLINE.seconds} s.")
            await asyncio.sleep(POLL_SECONDS)

    async def _keep(self, part: Part) -> None:
        """Start a part again each time it dies, after a pause that grows while it dies at once."""
        deaths = 0
        since = time.monotonic()
        while True:
            code = await _ended(part)
            deaths = deaths + 1 if time.monotonic() - since < self._patience.at_once.total_seconds() else 1
            if deaths > self._patience.most_deaths:
                raise PartFailedError(f"{part.name} keeps ending as soon as it is started, the last time with {code}.")
            pause = self._patience.pause(deaths)
            self._output.say(
                f"{part.name} has ended ({code}); it starts again in {pause.total_seconds():g} s.", "yellow"
            )
            await asyncio.sleep(pause.total_seconds())
            since = time.monotonic()
            # Keep asking: is_ready is what launches a server again without its broken data (cli/servers.py).
            with suppress(HooklineError, OSError):
                self._launch(part)
                await self._until_ready(part)

    async def _end(self, part: Part) -> None:
        if part.process is None:
            return
        if not await self._finishes(part):
            self._output.say(f"{part.name} does not finish; ending it.", "yellow")
            if not await _ends_within(part, part.hurried_signal, HURRY):
                await _ends_within(part, signal.SIGKILL, HURRY)
        part.process = None
        part.tidy()

    async def _finishes(self, part: Part) -> bool:
        """Whether a part ends in time after its stop signal; the time is up when we are told to hurry."""
        finishing = asyncio.create_task(_ends_within(part, part.stop_signal, part.patience))
        hurrying = asyncio.create_task(self._hurry.wait())
        await asyncio.wait({finishing, hurrying}, return_when=asyncio.FIRST_COMPLETED)
        for task in (finishing, hurrying):
            task.cancel()
        return finishing.done() and finishing.result()

    async def _show_log(self, name: str, process: subprocess.Popen[bytes]) -> None:
        reader = asyncio.StreamReader(limit=CHUNK_BYTES)
        # The transport closes the pipe itself when it ends.
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), process.stdout)
        rest = b""
        while chunk := await reader.read(CHUNK_BYTES):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._output.log(name, line.decode(errors="replace"))
            if len(rest) > CHUNK_BYTES:
                self._output.log(name, rest.decode(errors="replace"))
                rest = b""
        if rest:
            self._output.log(name, rest.decode(errors="replace"))


async def _ended(part: Part) -> int | None:
    """Wait until the part's process has ended; returns its exit code, or None if it has no process."""
    process = part.process
    # Only Linux could notify us (pidfd).
    while process is not None and process.poll() is None:  # noqa: ASYNC110
        await asyncio.sleep(POLL_SECONDS)
    return process.returncode if process else None


async def _ends_within(part: Part, end: signal.Signals, patience: timedelta) -> bool:
    if part.process is not None:
        part.process.send_signal(end)
    with suppress(TimeoutError):
        async with asyncio.timeout(patience.total_seconds()):
            await _ended(part)
            return True
    return False
