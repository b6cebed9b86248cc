"""What the private servers have in common: a process on a data folder, and a folder for its unix socket."""

import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from cli.processes import User, spawn, wait_until
from domain.errors import HooklineError

START_DEADLINE = timedelta(seconds=60)
STOP_DEADLINE = timedelta(seconds=20)
# Linux allows 107 bytes, macOS 103.
LONGEST_SOCKET_PATH = 100
LARGEST_LOG_BYTES = 10 * 1024 * 1024
LAST_LINES = 5
# The longer of the two sockets' names.
POSTGRES_SOCKET = ".s.PGSQL.5432"


class ServerFailedError(HooklineError):
    """A private server did not start."""


class PrivateServer:
    """A server process on a data folder of its own. Use `with`, or `start` and `stop`.

    `launch` and `is_ready` do the same for a caller that must not wait (cli/supervisor.py).
    """

    name: str
    url: str
    # `stop_signal` ends either server cleanly; `hurried_signal` may cost a recovery at the next start.
    stop_signal: signal.Signals
    hurried_signal: signal.Signals
    patience = STOP_DEADLINE
    process: subprocess.Popen[bytes] | None = None

    def __init__(self, data: Path) -> None:
        self.data = data.absolute()
        self.log = self.data.with_name(f"{self.data.name}.log")

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the process, after ending what an earlier run has left. It can be used once `is_ready`.

        Raises ServerFailedError if its data folder cannot be made or used.
        """
        raise NotImplementedError

    def is_ready(self) -> bool:
        """Whether the process that was launched last answers. Raises ServerFailedError if it has ended."""
        if self.process is None:
            return False
        if (code := self.process.poll()) is not None:
            raise ServerFailedError(f"{self.name} ended at once ({code}). The end of {self.log}:\n{self._last_words()}")
        return self._answers()

    def start(self) -> Self:
        """Launch and wait until the server answers, at most 60 s. Raises ServerFailedError."""
        self.launch()
        if not wait_until(self.is_ready, START_DEADLINE):
            self.stop()
            raise ServerFailedError(f"{self.name} did not answer within {START_DEADLINE.seconds} s; see {self.log}")
        return self

    def stop(self) -> None:
        """End the process: cleanly, after 20 s in a hurry, and then by force. Does nothing if none runs."""
        if (process := self.process) is None:
            return
        for end in (self.stop_signal, self.hurried_signal, signal.SIGKILL):
            process.send_signal(end)
            with suppress(subprocess.TimeoutExpired):
                process.wait(self.patience.total_seconds())
                break
        self.process = None
        self.tidy()

    def tidy(self) -> None:
        """Remove the folder in the temporary directory that a long data path needs. The process must have ended."""
        folder = socket_folder(self.data)
        if folder != self.data:
            shutil.rmtree(folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _answers(self) -> bool:
        raise NotImplementedError

    def _spawn(self, command: list[str], user: User | None = None) -> subprocess.Popen[bytes]:
        with self._open_log() as log:
            if log.tell() > LARGEST_LOG_BYTES:
                log.truncate(0)
            self.process = spawn(command, dies_with_parent=self.stop_signal, user=user, output=log)
        return self.process

    def _open_log(self) -> IO[bytes]:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.touch(mode=0o600)
        return self.log.open("ab")

    def _last_words(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-LAST_LINES:])


def socket_folder(data: Path) -> Path:
    """The data folder itself, or a short one in the temporary directory if its path is too long for a socket."""
    if len(os.fsencode(data / POSTGRES_SOCKET)) <= LONGEST_SOCKET_PATH:
        return data
    name = f"hookline-{hashlib.sha256(os.fsencode(data)).hexdigest()[:16]}"
    short = Path(tempfile.gettempdir()) / name
    # make_socket_folder checks that it is ours.
    return short if len(os.fsencode(short / POSTGRES_SOCKET)) <= LONGEST_SOCKET_PATH else Path("/tmp") / name  # noqa: S108


def make_socket_folder(data: Path, user: User | None) -> Path:
    """Make that folder for its owner alone. Raises ServerFailedError if someone else made it first."""
    folder = socket_folder(data)
    if folder == data:
        return folder
    owner = user.uid if user is not None else os.geteuid()
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
        if user is not None:
            os.chown(folder, user.uid, user.gid)
    found = folder.lstat()
    if folder.is_symlink() or found.st_uid != owner or found.st_mode & 0o077:
        raise ServerFailedError(f"{folder} belongs to someone else; remove it, or set TMPDIR to a folder of your own.")
    return folder
