"""The folder of `hookline up`: one instance at a time, a key, and the address and token for programs that use it."""

import base64
import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from domain.errors import HooklineError
from domain.settings import KEY_BYTES, keys_of


class FolderRefusedError(HooklineError):
    """The data folder cannot be used."""


@dataclass(frozen=True)
class KnownReceiver:
    """What the built-in receiver (cli/receiver.py) must know: its webhook's uuid, and the signing secret."""

    webhook: str
    secret: str = field(repr=False)


class DataFolder:
    """The folder of one machine's private servers and key. Raises FolderRefusedError if its path cannot be used."""

    def __init__(self, path: Path) -> None:
        self.path = _absolute(path)
        self.postgres = self.path / "postgres"
        self.redis = self.path / "redis"
        self.key = self.path / "secret.key"
        self.access = self.path / "hookline.json"
        self.receiver = self.path / "receiver.json"
        self.ready_file = self.path / "worker.ready"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Make the folder if it is missing, and hold its lock for the block, which keeps other instances out.

        Raises FolderRefusedError if it cannot be written, or another instance holds it. The kernel releases the lock
        when the process ends, however it ends.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = (self.path / "hookline.lock").open("a+")
        except OSError as error:
            raise FolderRefusedError(f"The data folder {self.path} cannot be written: {error.strerror}.") from None
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                where = f", at {url}" if (url := self.known_url()) else ""
                raise FolderRefusedError(
                    f"Hookline already runs on {self.path} (process {lock.read().strip() or 'unknown'}){where}. "
                    "Stop it first, or give another folder with --data."
                ) from None
            lock.truncate(0)
            lock.write(f"{os.getpid()}\n")
            lock.flush()
            yield

    def opened(self) -> Self:
        """This folder. Raises FolderRefusedError if `hookline up` was never ready with it, or if it cannot be read."""
        try:
            # From Python 3.14 on, `exists` does not distinguish a path that is forbidden from one that is missing.
            self.access.stat()
        except (FileNotFoundError, NotADirectoryError):
            raise FolderRefusedError(f"{self.path} is not the data folder of a `hookline up`.") from None
        except OSError as error:
            raise FolderRefusedError(f"The data folder {self.path} cannot be read: {error.strerror}.") from None
        return self

    def make_key(self) -> None:
        """Make the key that seals secrets at rest, unless something may have been sealed here with another one."""
        if not (self.key.exists() or self.postgres.exists() or self.access.exists()):
            _write_private(self.key, new_key() + "\n")

    def secret_key(self) -> str:
        """That key, in the form of HOOKLINE_SECRET_KEYS. Raises FolderRefusedError if it is missing or unusable."""
        try:
            text = self.key.read_text().strip()
            keys_of(text)
        except FileNotFoundError:
            raise FolderRefusedError(
                f"{self.key} is missing, and what was kept with {self.path} was sealed with a key. Put the file back, "
                "set HOOKLINE_SECRET_KEYS to the key that was used, or start fresh with another --data."
            ) from None
        except (OSError, ValueError) as error:
            why = (
                error.strerror
                if isinstance(error, OSError)
                else "it must contain a key, or several separated by commas"
            )
            raise FolderRefusedError(
                f"{self.key} cannot be used: {why}. Make it readable, put it back from a backup, or set "
                "HOOKLINE_SECRET_KEYS to the key that was used."
            ) from None
        return text

    def known_token(self) -> str | None:
        """The token that an earlier start has left here."""
        return _texts(self.access, "token").get("token")

    def known_url(self) -> str | None:
        """Where the instance of this folder listens, or did."""
        return _texts(self.access, "url").get("url")

    def listening(self) -> dict[str, str]:
        """Where the API listens, as HOOKLINE_HOST and HOOKLINE_PORT; empty if that cannot be read."""
        try:
            place = urlsplit(self.known_url() or "")
            return {"HOOKLINE_HOST": place.hostname, "HOOKLINE_PORT": str(place.port or 80)} if place.hostname else {}
        except ValueError:
            return {}

    def write_access(self, url: str, token: str) -> None:
        """Tell programs of this user where Hookline is and how to get in: {"url", "token"}.

        Raises FolderRefusedError if the folder cannot be written, as do `make_key` and `write_receiver`.
        """
        _write_private(self.access, json.dumps({"url": url, "token": token}) + "\n")

    def known_receiver(self) -> KnownReceiver | None:
        """The webhook of the built-in receiver, if there has been one."""
        found = _texts(self.receiver, "webhook", "secret")
        return KnownReceiver(**found) if len(found) == 2 else None

    def write_receiver(self, known: KnownReceiver) -> None:
        """Keep what the built-in receiver must know: {"webhook", "secret"}."""
        _write_private(self.receiver, json.dumps({"webhook": known.webhook, "secret": known.secret}) + "\n")


def _absolute(path: Path) -> Path:
    try:
        # For an absolute path too: PostgreSQL's programs need a working directory that exists.
        found = Path.cwd() / path
        # The path becomes part of the servers' URLs, which are text.
        str(found).encode()
    except FileNotFoundError:
        raise FolderRefusedError("The folder that this was started in is gone; start it in another one.") from None
    except UnicodeEncodeError:
        raise FolderRefusedError(f"The data folder {path} has a name that is not UTF-8.") from None
    return found


def new_key() -> str:
    """A fresh key, in the form of HOOKLINE_SECRET_KEYS."""
    return base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def _texts(path: Path, *names: str) -> dict[str, str]:
    """The strings that a JSON file has under these names; empty if there is no such file."""
    try:
        found: Any = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {name: found[name] for name in names if isinstance(found.get(name), str)}


def _write_private(path: Path, text: str) -> None:
    """Write a file that its owner alone may read, whole or not at all. Raises FolderRefusedError."""
    fresh = path.with_name(f"{path.name}.new")
    try:
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        # Within a transaction, an OSError would be taken for one of the database.
        raise FolderRefusedError(f"{path} cannot be written: {error.strerror}.") from None
