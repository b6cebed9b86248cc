"""What commands show: coloured on a terminal, plain lines everywhere else."""

import atexit
import errno
import os
import sys
from collections.abc import Iterable
from datetime import timedelta
from typing import IO, cast

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from cli.aside import Aside
from domain.errors import HooklineError
from domain.terminals import plain

COLOURS = {"api": "cyan", "worker": "magenta", "receiver": "green"}
NAME_WIDTH = 6
WIDEST = 1000
# How long to wait for the last lines to be written.
SETTLE_SECONDS = 1.0


class NotWrittenError(HooklineError):
    """Where the lines of a command go, there is no room for them."""


class _Console(Console):
    """rich's Console, except that it does not end the process when nobody reads any more."""

    def on_broken_pipe(self) -> None:
        """Write nothing from now on. The file becomes /dev/null, or the interpreter would complain as it exits."""
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.file.fileno())
        os.close(nowhere)


class Output:
    """Lines on standard output. Once nobody reads them any more, they are dropped without an error.

    If they cannot be written (as on a full disk), methods raise NotWrittenError, unless `goes_on`. Methods wait for a
    reader that pauses, unless lines are written `aside`.
    """

    def __init__(self, *, goes_on: bool = False, aside: bool = False) -> None:
        self._goes_on = goes_on
        self._aside = Aside(sys.stdout) if aside else None
        if self._aside:
            atexit.register(self._aside.settle, SETTLE_SECONDS)
        # The reader of a pipe cuts lines itself, so a table for it is as wide as it needs to be.
        width = None if sys.stdout.isatty() else WIDEST
        self._console = _Console(file=cast("IO[str] | None", self._aside), highlight=False, markup=False, width=width)
        self._errors = _Console(highlight=False, markup=False, stderr=True)

    @property
    def is_terminal(self) -> bool:
        """Whether standard output is a terminal."""
        return self._console.is_terminal

    @property
    def is_read(self) -> bool:
        """Whether anybody still reads the lines; true until writing one has failed."""
        return not self._console.quiet

    def say(self, text: str, style: str = "") -> None:
        """One sentence of our own."""
        self._print(self._console, Text(plain(text), style))

    def fail(self, text: str) -> None:
        """What went wrong, on standard error."""
        self._print(self._errors, Text(plain(text), "bold red"))

    def note(self, text: str) -> None:
        """Something worth knowing that is not the result, on standard error."""
        self._print(self._errors, Text(plain(text), "dim"))

    def line(self, *parts: tuple[str, str]) -> None:
        """One line of parts, each with its style."""
        self._print(self._console, Text.assemble(*((plain(text), style) for text, style in parts)))

    def pairs(self, rows: Iterable[tuple[str, str]]) -> None:
        """Names and values, one pair a line."""
        for name, value in rows:
            self._print(self._console, Text.assemble((f"  {name:<10}", "dim"), (value, "bold")))

    def show(self, what: RenderableType) -> None:
        """Something larger, a table for example, within the width of the terminal."""
        self._print(self._console, what, soft_wrap=False)

    def log(self, name: str, line: str) -> None:
        """A line that one of the processes has written."""
        self._print(self._console, Text.assemble((f"{name:<{NAME_WIDTH}} | ", COLOURS.get(name, "dim")), plain(line)))

    def _print(self, console: Console, what: RenderableType, *, soft_wrap: bool = True) -> None:
        if self._aside and console is self._errors:
            # Lines that were written before come first.
            self._aside.settle(SETTLE_SECONDS)
        try:
            console.print(what, soft_wrap=soft_wrap)
        except OSError as error:
            console.on_broken_pipe()
            # EIO: the terminal is gone.
            if console is self._console and not self._goes_on and error.errno != errno.EIO:
                raise NotWrittenError(f"The result could not be written: {error.strerror}.") from None


def columns(*names: str) -> Table:
    """A table of these columns, without lines. Long values wrap and are never cut: half an id would name nothing."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), title_justify="left")
    for name in names:
        table.add_column(name, header_style="dim", overflow="fold", no_wrap=name == "id")
    return table


def duration(time: timedelta) -> str:
    """A time as people say it: 40 s, 5 min, 2 h, 3 days."""
    if time < timedelta(seconds=10):
        return f"{time.total_seconds():.1f} s"
    seconds = round(time.total_seconds())
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size or (unit != "days" and seconds >= size):
            return f"{round(seconds / size)} {unit}"
    return f"{seconds} s"
