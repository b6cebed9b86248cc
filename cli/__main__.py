"""Where a process of Hookline begins: `hookline`, and `python -m cli`."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper

from cli.loading import load

# The exit code that tells a shell that Ctrl-C ended the process.
INTERRUPTED = 128 + signal.SIGINT
# True in a container without an init. Then the kernel drops signals without a handler (pid_namespaces(7)), which would
# end any other process: Kubernetes would wait for its whole grace period, and kill.
IS_FIRST = os.getpid() == 1


def main() -> None:
    """Run the command that the arguments name."""
    prepare_standard_files()
    if IS_FIRST:
        signal.signal(signal.SIGTERM, end_at_once)
    with ended_by_ctrl_c():
        app = load("cli.main").app
    try:
        app(prog_name="hookline")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def prepare_standard_files() -> None:
    """Open standard files that are closed, and let none refuse a name that its encoding cannot write."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        # In this order, each gets back the descriptor that our parent has closed, before a socket does.
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115 - open as long as the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def ended_by_ctrl_c() -> Iterator[None]:
    """Let Ctrl-C end the process as it ends any other: Python would show where in the libraries it was."""
    # If our parent has it ignored, it stays ignored.
    ours = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if ours:
        signal.signal(signal.SIGINT, end_at_once if IS_FIRST else signal.SIG_DFL)
    yield
    if ours:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def end_at_once(number: int, _frame: object) -> None:
    """End the process as a signal without a handler does."""
    os._exit(128 + number)


if __name__ == "__main__":
    main()
