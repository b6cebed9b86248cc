"""What `hookline up` shows: coloured on a terminal, plain lines everywhere else."""

import sys
from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

COLOURS = {"api": "cyan", "worker": "magenta"}
NAME_WIDTH = 6


class Output:
    """Lines on standard output. Once nobody reads them any more they are dropped; that is no reason to stop."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True, markup=False)
        self._errors = Console(highlight=False, soft_wrap=True, markup=False, stderr=True)

    def say(self, text: str, style: str = "") -> None:
        """One sentence of our own."""
        self._print(self._console, Text(text, style))

    def fail(self, text: str) -> None:
        """What went wrong, on standard error."""
        self._print(self._errors, Text(text, "bold red"))

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
            console.file.flush()
        except OSError:
            # Without this the interpreter tries once more as it exits, and complains.
            console.file = open("/dev/null", "w")  # noqa: SIM115, PTH123
            if console is self._console:
                sys.stdout = console.file
