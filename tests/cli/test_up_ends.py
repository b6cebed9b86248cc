"""How `hookline up` ends: when its terminal goes away, and with what its parts have begun."""

import os
import signal
import sys
from pathlib import Path

from cli.processes import wait_until
from tests.running import GONE, READY, up


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


def test_under_nohup_it_goes_on_without_its_terminal(tmp_path: Path, database_url: str, redis_url: str) -> None:
    variables = {"HOOKLINE_DATABASE_URL": database_url, "HOOKLINE_REDIS_URL": redis_url}
    with up(tmp_path / "var", variables, under("SIG_IGN")) as running:
        before = running.until_ready().parts()
        running.process.send_signal(signal.SIGHUP)
        os.kill(before["worker"].pid, signal.SIGKILL)
        assert wait_until(lambda: "worker has ended (-9); it starts again" in running.output, GONE), running.output
        assert wait_until(lambda: running.output.count("worker.started") == 2, READY), running.output
        assert running.stop() == 0
