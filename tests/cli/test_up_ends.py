"""How `hookline up` ends: if its terminal goes away, after its parts have finished. And what does not end it."""

import os
import signal
import sys
from pathlib import Path

from cli.processes import wait_until
from tests.running import GONE, READY, ask, up


def under(disposition: str) -> tuple[str, ...]:
    """A prefix for a command that begins with this disposition of SIGHUP, whatever the tests were started with."""
    begin = f"signal.signal(signal.SIGHUP, signal.{disposition}); os.execv(sys.argv[1], sys.argv[1:])"
    return (sys.executable, "-c", f"import os, signal, sys; {begin}")


def test_a_terminal_that_goes_away_ends_it_as_ctrl_c_does(tmp_path: Path, database_url: str, redis_url: str) -> None:
    variables = {"HOOKLINE_DATABASE_URL": database_url, "HOOKLINE_REDIS_URL": redis_url}
    with up(tmp_path / "var", variables, under("SIG_DFL")) as running:
        running.until_ready()
        assert running.stop(signal.SIGHUP) == 0
        assert "worker.stopped" in running.output
        assert running.output.endswith("Stopped.\n")


def test_under_nohup_it_goes_on_without_its_terminal_and_one_stop_that_comes_twice_is_still_one(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    variables = {"HOOKLINE_DATABASE_URL": database_url, "HOOKLINE_REDIS_URL": redis_url}
    with up(tmp_path / "var", variables, under("SIG_IGN")) as running:
        before = running.until_ready().parts()
        running.process.send_signal(signal.SIGHUP)
        os.kill(before["worker"].pid, signal.SIGKILL)
        assert wait_until(lambda: "worker has ended (-9); it starts again" in running.output, GONE), running.output
        assert wait_until(lambda: running.output.count("worker.started") == 2, READY), running.output
        running.parts()
        # As from `timeout 60 make run`: `timeout` signals its whole group, and `make` its children. Two different
        # signals, because the system may merge two equal ones; both are pending when it goes on.
        running.process.send_signal(signal.SIGSTOP)
        running.process.send_signal(signal.SIGINT)
        running.process.send_signal(signal.SIGTERM)
        running.process.send_signal(signal.SIGCONT)
        assert running.process.wait(GONE.total_seconds()) == 0
        assert "worker.stopped" in running.output
        assert "does not finish" not in running.output


ADD = """mutation($name: String!) {
    accountAdd(input: {provider: SANDBOX, server: "ok", identifier: $name}) { errors { code } }
}"""
COUNT = "{ deliveries(filter: {statuses: [SUCCEEDED]}) { totalCount } }"


def test_whoever_stops_reading_what_it_says_stops_nothing(tmp_path: Path, database_url: str, redis_url: str) -> None:
    """A pager that waits for a key, a terminal after Ctrl-S."""
    variables = {"HOOKLINE_DATABASE_URL": database_url, "HOOKLINE_REDIS_URL": redis_url}
    pager, shown = tmp_path / "pager", bytearray()
    os.mkfifo(pager)
    with os.fdopen(os.open(pager, os.O_RDONLY | os.O_NONBLOCK), "rb", buffering=0) as lines:

        def is_ready() -> bool:
            shown.extend(lines.read() or b"")
            return b"Ctrl-C stops everything" in shown

        with up(tmp_path / "var", variables, ("sh", "-c", 'exec "$@" >"$0" 2>&1', str(pager))) as running:
            assert wait_until(is_ready, READY), shown
            # Each writes some 600 bytes of lines, and a pipe holds 65,536.
            for number in range(200):
                ask(running.access, ADD, name=f"a{number}")
            assert wait_until(lambda: ask(running.access, COUNT)["deliveries"]["totalCount"] == 200, GONE)
            assert running.stop() == 0
