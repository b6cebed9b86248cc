"""Our own processes, as parts that the supervisor runs: the API and the worker."""

import errno
import http.client
import os
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

from cli.processes import spawn
from domain.errors import HooklineError

CHECKOUT = Path(__file__).resolve().parent.parent
# /readyz waits two seconds for a silent server, and is ready without Redis.
ASK_SECONDS = 3.0
# How much longer than its own deadline a process may take to finish.
MARGIN = timedelta(seconds=5)
# Systems do not assign these ports by themselves (Linux starts at 32768), so a free one stays free until the API
# listens on it.
KEPT_PORTS = range(20_000, 32_000)


class ProgramFailedError(HooklineError):
    """The API or the worker ended before it was ready."""


class Program:
    """`hookline NAME` as a part (cli/supervisor.py). Its output comes through a pipe."""

    stop_signal = signal.SIGTERM
    hurried_signal = signal.SIGKILL
    process: subprocess.Popen[bytes] | None = None

    def __init__(
        self, name: str, environment: Mapping[str, str], deadline: timedelta, answers: Callable[[], bool]
    ) -> None:
        """`deadline` is how long the process gives itself to finish; `answers` tells whether it can be used."""
        self.name = name
        self.patience = deadline + MARGIN
        self._environment = dict(environment)
        self._answers = answers

    def launch(self) -> subprocess.Popen[bytes]:
        """See Part."""
        # The modules are those of the checkout, not of a folder `cli` in the current folder (-P). Relative paths in
        # settings still start from the current folder.
        command = [sys.executable, "-P", "-m", "cli", self.name]
        path = os.pathsep.join(filter(None, (str(CHECKOUT), self._environment.get("PYTHONPATH"))))
        told = {**self._environment, "PYTHONPATH": path}
        self.process = spawn(command, environment=told, output=subprocess.PIPE)
        return self.process

    def is_ready(self) -> bool:
        """See Part."""
        if self.process is None or (code := self.process.poll()) is not None:
            raise ProgramFailedError(f"{self.name} ended before it was ready ({code}); its last lines say why.")
        return self._answers()

    def tidy(self) -> None:
        """See Part; there is nothing to remove."""


def try_port(host: str, port: int) -> int:
    """Listen there for a moment; returns the port, a free one for 0. Raises OSError, or UnicodeError for a bad host."""
    while port == 0:
        try:
            return try_port(host, random.choice(KEPT_PORTS))  # noqa: S311
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    family, _, _, _, address = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        # Two sockets may be bound to one port as long as neither listens.
        listener.listen(1)
    return port


def api_answers(host: str, port: int) -> Callable[[], bool]:
    """Asks the API whether it is ready; blocks while one of its servers is silent, for three seconds at most."""

    def answers() -> bool:
        status, body = _answer(host, port, "/readyz")
        # Another program may have taken the port since it was tried, and may answer in place of our API.
        return status == 200 and body.startswith(b'{"status":"ok","database":"ok"')

    return answers


def is_our_api(host: str, port: int) -> bool:
    """Whether a Hookline listens there, ready or not; blocks for three seconds at most."""
    return _answer(host, port, "/healthz") == (200, b'{"status":"ok"}')


def _answer(host: str, port: int, path: str) -> tuple[int, bytes]:
    """The status, and how the body begins; (0, b"") if there is no answer."""
    connection = http.client.HTTPConnection(reachable(host), port, timeout=ASK_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read(100)
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def worker_answers(ready_file: Path) -> Callable[[], bool]:
    """Tells whether the worker has touched its file (HOOKLINE_READY_FILE). Removes the file of an earlier worker."""
    ready_file.unlink(missing_ok=True)
    return ready_file.exists


def reachable(host: str) -> str:
    """Where a program that listens on `host` is reached from this machine."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104
