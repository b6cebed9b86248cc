"""The supervisor, over small processes."""

import asyncio
import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from cli.output import Output
from cli.private_server import ServerFailedError
from cli.processes import spawn
from cli.supervisor import Part, PartFailedError, Patience, Supervisor
from tests.waiting import until

IMPATIENT = Patience(most_deaths=2, shortest_pause=timedelta(milliseconds=10))
# No death counts as one at once.
FORGIVING = replace(IMPATIENT, at_once=timedelta(0))
LOOP = "import signal\nwhile True: signal.pause()"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('deaf', flush=True)\n" + LOOP


class Script:
    """A part that runs a few lines of Python, and is ready once it has written something to its file."""

    stop_signal = signal.SIGTERM
    hurried_signal = signal.SIGKILL
    patience = timedelta(seconds=20)
    process: subprocess.Popen[bytes] | None = None

    def __init__(self, name: str, code: str, folder: Path) -> None:
        self.name = name
        self.code = code
        self.journal = folder / name
        self.journal.touch()

    def launch(self) -> "subprocess.Popen[bytes]":
        code = f"open({str(self.journal)!r}, 'a').write('started ')\n{self.code}"
        self.process = spawn([sys.executable, "-S", "-c", code], output=subprocess.PIPE)
        return self.process

    def is_ready(self) -> bool:
        return self.starts > 0

    def tidy(self) -> None:
        with self.journal.open("a") as journal:
            journal.write("ended ")

    @property
    def starts(self) -> int:
        return self.journal.read_text().count("started")

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid


async def test_a_part_that_dies_is_started_again(tmp_path: Path) -> None:
    supervisor = Supervisor(Output(), IMPATIENT)
    part = Script("part", LOOP, tmp_path)
    await supervisor.start(part)
    os.kill(part.pid, signal.SIGKILL)
    await until(lambda: part.starts == 2)
    await supervisor.stop()
    assert part.process is None


async def test_a_part_that_keeps_dying_is_given_up(tmp_path: Path) -> None:
    # Longer than `at_once`, which counts from the latest start, however long ago the first was.
    longer = timedelta(milliseconds=300)
    supervisor = Supervisor(Output(), Patience(timedelta(milliseconds=250), 2, longer, longer))
    part = Script("part", "raise SystemExit(3)", tmp_path)
    await supervisor.start(part)
    with pytest.raises(PartFailedError, match="part keeps ending as soon as it is started, the last time with 3"):
        await asyncio.wait_for(supervisor.watch(), 60)
    # More than 3 only if one lived longer than `at_once`, which begins the count anew.
    assert part.starts >= 3
    await supervisor.stop()


async def test_a_part_that_dies_once_in_a_while_is_never_given_up(tmp_path: Path) -> None:
    supervisor = Supervisor(Output(), FORGIVING)
    part = Script("part", LOOP, tmp_path)
    await supervisor.start(part)
    for death in range(1, IMPATIENT.most_deaths + 3):
        os.kill(part.pid, signal.SIGKILL)
        await until(lambda: part.starts == death + 1)  # noqa: B023
    await supervisor.stop()


async def test_a_part_that_died_is_not_started_again_before_its_pause(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    long = timedelta(hours=1)
    supervisor = Supervisor(Output(), replace(IMPATIENT, shortest_pause=long, longest_pause=long))
    part = Script("part", LOOP, tmp_path)
    await supervisor.start(part)
    dead = part.pid
    os.kill(dead, signal.SIGKILL)
    await until(lambda: "part has ended (-9); it starts again in 3600 s." in capsys.readouterr().out)
    assert part.pid == dead
    await supervisor.stop()


async def test_a_part_that_cannot_be_started_again_for_once_is_tried_again(tmp_path: Path) -> None:
    supervisor = Supervisor(Output(), FORGIVING)
    hindrances = [ServerFailedError(), OSError()]

    class Hindered(Script):
        def launch(self) -> "subprocess.Popen[bytes]":
            if self.starts and hindrances:
                raise hindrances.pop()
            return super().launch()

    part = Hindered("part", LOOP, tmp_path)
    await supervisor.start(part)
    os.kill(part.pid, signal.SIGKILL)
    await until(lambda: part.starts == 2)
    await supervisor.stop()


async def test_what_was_started_beside_a_part_that_failed_ends_as_well(tmp_path: Path) -> None:
    supervisor = Supervisor(Output(), IMPATIENT)

    class Failing(Script):
        def is_ready(self) -> bool:
            raise ServerFailedError

    part = Script("part", LOOP, tmp_path)
    with pytest.raises(ServerFailedError):
        await supervisor.start(part, Failing("failing", LOOP, tmp_path))
    process = part.process
    await supervisor.stop()
    assert process is not None
    assert process.poll() == -signal.SIGTERM


async def test_a_part_that_never_becomes_ready_is_a_sentence_and_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.supervisor.START_DEADLINE", timedelta(0))
    supervisor = Supervisor(Output(), IMPATIENT)

    class Never(Script):
        def is_ready(self) -> bool:
            return False

    part = Never("part", LOOP, tmp_path)
    with pytest.raises(PartFailedError, match="part did not become ready within 0 s"):
        await asyncio.wait_for(supervisor.start(part), 10)
    await supervisor.stop()
    assert part.process is None


async def test_layers_end_in_the_reverse_order_of_their_start(tmp_path: Path) -> None:
    supervisor = Supervisor(Output(), IMPATIENT)
    ended: list[str] = []

    class Recorded(Script):
        def tidy(self) -> None:
            ended.append(self.name)

    await supervisor.start(Recorded("server", LOOP, tmp_path))
    await supervisor.start(Recorded("program", LOOP, tmp_path))
    await supervisor.stop()
    assert ended == ["program", "server"]


@pytest.mark.parametrize(
    ("hurried", "ended_by"),
    [
        pytest.param(signal.SIGUSR1, signal.SIGUSR1, id="but for the hurried signal"),
        pytest.param(signal.SIGTERM, signal.SIGKILL, id="not even that"),
    ],
)
async def test_a_stop_in_a_hurry_does_not_wait_for_a_part_that_hears_nothing(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    hurried: signal.Signals,
    ended_by: signal.Signals,
) -> None:
    if ended_by is signal.SIGKILL:
        monkeypatch.setattr("cli.supervisor.HURRY", timedelta(milliseconds=100))
    supervisor = Supervisor(Output(), IMPATIENT)
    part = Script("part", STUBBORN, tmp_path)
    part.hurried_signal = hurried
    await supervisor.start(part)
    process = part.process
    assert process is not None
    shown = ""

    def is_deaf() -> bool:
        nonlocal shown
        shown += capsys.readouterr().out
        return "part   | deaf" in shown

    await until(is_deaf)
    stopping = asyncio.create_task(supervisor.stop())
    await asyncio.wait({stopping}, timeout=0.2)
    assert not stopping.done()
    supervisor.hurry()
    await asyncio.wait_for(stopping, 15)
    assert part.process is None
    assert process.returncode == -ended_by
    assert "part does not finish; ending it." in capsys.readouterr().out


async def test_lines_of_any_length_are_shown_with_the_name_of_who_wrote_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    supervisor = Supervisor(Output(), IMPATIENT)
    journal = tmp_path / "worker"
    code = (
        "import os, signal\nsignal.signal(signal.SIGTERM, lambda *_: os._exit(os.write(1, b'\\nlast')))\n"
        "os.write(1, b'\\xff\\n'); print('ü', 'x' * 300_000, sep='\\n', end='', flush=True)\n"
        f"open({str(journal)!r}, 'a').write('written ')\n{LOOP}"
    )
    await supervisor.start(Script("worker", code, tmp_path))
    shown = ""

    def is_shown() -> bool:
        nonlocal shown
        shown += capsys.readouterr().out
        return "worker | x" in shown and "written" in journal.read_text()

    # A line that has no end yet is shown without waiting for its end.
    await until(is_shown)
    await supervisor.stop()
    shown += capsys.readouterr().out
    assert shown.startswith("worker | \ufffd\nworker | ü\nworker | x")
    assert shown.endswith("x\nworker | last\n")
    assert shown.count("x") == 300_000


def test_pauses_grow_and_do_not_grow_for_ever() -> None:
    pauses = [Patience().pause(deaths).total_seconds() for deaths in (1, 2, 3, 7)]
    assert pauses == [0.2, 0.4, 0.8, 10.0]


def test_a_script_is_a_part(tmp_path: Path) -> None:
    part: Part = Script("part", LOOP, tmp_path)
    assert not part.is_ready()
