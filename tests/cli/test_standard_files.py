"""Commands whose standard files are closed, full or unread, and a signal that comes before they have begun."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from io import StringIO
from pathlib import Path

import psutil
import pytest
from rich.console import Console
from typer.testing import CliRunner

from cli.__main__ import ended_by_ctrl_c
from cli.main import app
from cli.output import Output, columns
from cli.programs import CHECKOUT
from tests.cli.test_commands import run, variables
from tests.running import HOOKLINE, environment, hookline

SHELL = "/bin/sh"
CONTAINER = ("unshare", "--user", "--map-root-user", "--pid", "--fork")
# A process that takes itself for PID 1, if the system does not let us make a container.
PRETENDING = "import os, runpy; os.getpid = lambda: 1; runpy.run_module('cli', run_name='__main__')"
FULL = Path("/dev/full")
NOWHERE = "postgresql://hookline@127.0.0.1:1/hookline"


def sh(redirection: str, arguments: Sequence[str], **told: str) -> subprocess.CompletedProcess[str]:
    """Run one command with its files redirected by a shell."""
    return subprocess.run(
        [SHELL, "-c", f'"$@" {redirection}', SHELL, *HOOKLINE, *arguments],
        cwd=CHECKOUT,
        env=environment(**told),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def told_of_loading(command: Sequence[str], stdout: int | None = None) -> "subprocess.Popen[str]":
    """A command that reports each import to a small pipe, so it imports only as far as we read."""
    return subprocess.Popen(command, cwd=CHECKOUT, stdout=stdout, stderr=subprocess.PIPE, text=True, pipesize=4096)


def test_a_ctrl_c_while_the_libraries_load_ends_it_without_a_traceback() -> None:
    command = [sys.executable, "-X", "importtime", *HOOKLINE[1:], "keys", "generate"]
    with told_of_loading(command, stdout=subprocess.DEVNULL) as process:
        assert process.stderr is not None
        # One of the first modules to be loaded.
        next(line for line in process.stderr if line.rstrip().endswith("| typer"))
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == -signal.SIGINT
    assert "Traceback" not in rest


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_process_of_a_container_ends_too_while_the_libraries_load(number: signal.Signals) -> None:
    python = (sys.executable, "-X", "importtime")
    if shutil.which(CONTAINER[0]) and subprocess.run([*CONTAINER, "true"], check=False).returncode == 0:
        command = [*CONTAINER, *python, *HOOKLINE[1:], "worker"]
    else:
        command = [*python, "-c", PRETENDING, "worker"]
    with told_of_loading(command) as process:
        assert process.stderr is not None
        next(line for line in process.stderr if line.rstrip().endswith("| typer"))
        started = psutil.Process(process.pid)
        (first,) = started.children() or [started]
        first.send_signal(number)
        rest = process.stderr.read()
    assert process.returncode == 128 + number
    # It had not yet come to the settings that it lacks.
    assert "HOOKLINE_" not in rest


def test_who_was_started_with_ctrl_c_ignored_goes_on_ignoring_it() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with ended_by_ctrl_c():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&-"])
def test_a_standard_file_that_is_closed_is_no_reason_to_break(closed: str) -> None:
    told = sh(closed, ["doctor"], **variables(NOWHERE))
    assert (told.returncode, told.stderr) == (1, "")


@pytest.mark.skipif(not FULL.exists(), reason="only Linux has a file that is always full")
@pytest.mark.parametrize(
    "arguments", [("keys", "generate"), ("--version",), ("doctor", "--json")], ids=["a result", "a version", "lines"]
)
def test_what_could_not_be_written_is_a_sentence(arguments: tuple[str, ...]) -> None:
    told = sh(f">{FULL}", arguments, **variables(NOWHERE))
    assert (told.returncode, told.stderr) == (1, "The result could not be written: No space left on device.\n")


@pytest.mark.skipif(not FULL.exists(), reason="only Linux has a file that is always full")
def test_what_goes_on_and_what_is_no_result_stop_at_no_file_that_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    with FULL.open("w") as results, FULL.open("w") as notes:
        monkeypatch.setattr(sys, "stdout", results)
        monkeypatch.setattr(sys, "stderr", notes)
        output = Output(goes_on=True)
        output.say("a line")
        assert not output.is_read
        Output().note("a note")


def test_a_terminal_that_is_gone_is_a_reader_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    near, far = os.openpty()
    os.close(near)
    with os.fdopen(far, "w") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        output = Output()
        output.say("a line")
        assert not output.is_read


def test_what_goes_to_two_files_arrives_in_the_order_in_which_it_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    near, far = os.pipe()
    with os.fdopen(near) as told, os.fdopen(far, "w") as results, os.fdopen(os.dup(far), "w") as notes:
        monkeypatch.setattr(sys, "stdout", results)
        monkeypatch.setattr(sys, "stderr", notes)
        output = Output(aside=True)
        for _ in range(20):
            output.say("a line")
            output.note("a note")
        assert [told.readline() for _ in range(40)] == ["a line\n", "a note\n"] * 20


def read_by_nobody(*arguments: str, **told: str) -> subprocess.CompletedProcess[str]:
    """Run one command whose reader is gone before it begins, as `head` is after it has seen enough."""
    near, far = os.pipe()
    os.close(near)
    with os.fdopen(far, "w") as closed:
        return subprocess.run(
            [*HOOKLINE, *arguments],
            cwd=CHECKOUT,
            env=environment(**told),
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )


def test_a_reader_that_has_seen_enough_is_no_fault() -> None:
    assert read_by_nobody("doctor", "--json", **variables(NOWHERE)).stderr == ""


def test_a_result_that_nobody_read_is_said_to_be_lost() -> None:
    assert read_by_nobody("keys", "generate").stderr == "The result could not be shown: the output was closed.\n"


def test_what_watches_ends_once_nobody_reads(database_url: str) -> None:
    told = sh("| head -1", ["status", "--watch", "--json", "--every", "0.5"], **variables(database_url))
    assert (told.returncode, told.stdout.count("\n"), told.stderr) == (0, 1, "")


def test_a_name_that_the_terminal_has_no_letters_for_is_written_out(database_url: str) -> None:
    assert run(database_url, "workspace", "create", "日本").exit_code == 0
    listed = hookline("workspace", "list", PYTHONIOENCODING="latin-1", **variables(database_url))
    assert (listed.returncode, listed.stderr) == (0, "")
    assert r"\u65e5\u672c" in listed.stdout


def test_a_table_shows_ids_and_times_whole_on_a_terminal_of_eighty_columns() -> None:
    table = columns("id", "begins", "role", "name", "created", "last_used", "expires", "revoked")
    table.add_row("VG9rZW46MTIzNDU2", "hl_Oq5bnS", "viewer", "deploy bot for the dashboard", *["2026-11-29 11:07"] * 4)
    page = StringIO()
    Console(file=page, width=80).print(table)
    assert "VG9rZW46MTIzNDU2" in page.getvalue()
    assert "…" not in page.getvalue()


def test_what_a_server_says_is_nothing_that_a_terminal_obeys(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output()
    for tell in (output.say, output.note, output.fail, partial(output.log, "api")):
        tell("The server says: \x1b[2J")
    output.line(("\x1b[2J", ""))
    written = capsys.readouterr()
    assert (written.out + written.err).count(r"\x1b[2J") == 5


def test_what_was_typed_is_not_obeyed_when_it_is_said_again() -> None:
    told = CliRunner().invoke(app, ["signin", "--data", "/\x9b2J"])
    assert told.stderr == "/\\x9b2J is not the data folder of a `hookline up`.\n"
