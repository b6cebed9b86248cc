"""What commands show: coloured on a terminal, plain lines everywhere else."""

import os
from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

COLOURS = {"api": "cyan", "worker": "magenta", "receiver": "green"}
NAME_WIDTH = 6


class _Console(Console):
    """rich's, but that it does not end the process when nobody reads any more."""

    def on_broken_pipe(self) -> None:
        """Say nothing from now on. The file is replaced, or the interpreter would complain as it exits."""
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.file.fileno())
        os.close(nowhere)


class Output:
    """Lines on standard output. Once nobody reads them any more they are dropped; that is no reason to stop."""

    def __init__(self) -> None:
        self._console = _Console(highlight=False, soft_wrap=True, markup=False)
        self._errors = _Console(highlight=False, soft_wrap=True, markup=False, stderr=True)

    def say(self, text: str, style: str = "") -> None:
        """One sentence of our own."""
        self._print(self._console, Text(text, style))

    def fail(self, text: str) -> None:
        """What went wrong, on standard error."""
        self._print(self._errors, Text(text, "bold red"))

    def note(self, text: str) -> None:
        """What is worth knowing but no result, on standard error."""
        self._print(self._errors, Text(text, "dim"))

    def line(self, *parts: tuple[str, str]) -> None:
        """One line of parts, each with its style."""
        self._print(self._console, Text.assemble(*parts))

    def pairs(self, rows: Iterable[tuple[str, str]]) -> None:
        """Names and values, one pair a line."""
        for name, value in rows:
            self._print(self._console, Text.assemble((f"  {name:<10}", "dim"), (value, "bold")))

    def log(self, name: str, line: str) -> None:
        """A line that one of the processes has written."""
        self._print(self._console, Text.assemble((f"{name:<{NAME_WIDTH}} | ", COLOURS.get(name, "dim")), line))

    def _print(self, console: Console, text: Text) -> None:
        try:
            console.print(text)
        except OSError:  # the terminal is gone
            console.quiet = True
