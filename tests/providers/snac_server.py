"""snac, a real server with the Mastodon API, written by others and built from Debian's sources, for tests.

It needs apt-get, a C compiler, make and libcurl on the machine, but neither root nor anything installed: sources and
headers are fetched with an apt of our own state and kept under var/. `make test-providers` insists on it.
"""

import fcntl
import json
import platform
import re
import secrets
import shutil
import socket
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp

from cli.processes import wait_until
from cli.programs import CHECKOUT

VERSION = "2.75"
# The release of Debian whose sources have this version.
RELEASE = "trixie"
BUILT = CHECKOUT / "var" / "snac" / VERSION
PROGRAMS = ("apt-get", "dpkg-deb", "make", "cc")
LIBRARIES = ("libcurl.so.4", "libcrypto.so.3")
FETCHES_WITHIN = 300
# snac sends each status to its own inbox, by HTTP. With its default of four threads, all would wait for the answer, for
# six seconds, and none would be left to give it, or to answer us.
THREADS = 64
STARTS_WITHIN = timedelta(seconds=20)
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob"


class CannotBuild(Exception):
    """This machine lacks what building snac needs."""


def snac_program() -> Path:
    """The server's program, which is built if it is not there yet. Raises CannotBuild."""
    BUILT.mkdir(parents=True, exist_ok=True)
    built = BUILT / "snac"
    # Two test runs at once must not build in the same folder.
    with (BUILT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not built.exists():
            _check_machine()
            try:
                shutil.copy2(_compile(_fetch()), built)
            except (OSError, subprocess.SubprocessError) as error:
                raise CannotBuild(str(error)) from error
            finally:
                shutil.rmtree(BUILT / "build", ignore_errors=True)
    return built


def _check_machine() -> None:
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    missing += [] if "cc" in missing else [name for name in LIBRARIES if _library(name) is None]
    if missing:
        raise CannotBuild(f"it lacks {', '.join(missing)}")


def _library(name: str) -> Path | None:
    found = subprocess.run(
        ["cc", f"-print-file-name={name}"], capture_output=True, text=True, check=True
    ).stdout.strip()
    return Path(found) if Path(found).is_absolute() else None


def _fetch() -> Path:
    """The sources, and the headers of the libraries that this machine has, in one folder."""
    folder = BUILT / "build"
    for name in ("lists/partial", "cache/archives/partial", "state"):
        (folder / name).mkdir(parents=True)
    trusted = f" [signed-by={KEYRING}]" if KEYRING.exists() else ""
    mirror, codename = _mirror(), platform.freedesktop_os_release()["VERSION_CODENAME"]
    lines = [f"deb-src{trusted} {mirror} {RELEASE} main\n", f"deb{trusted} {mirror} {codename} main\n"]
    (folder / "sources.list").write_text("".join(lines))
    options = {
        "Dir::Etc::SourceList": folder / "sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State": folder / "state",
        "Dir::State::Lists": folder / "lists",
        "Dir::State::Status": "/var/lib/dpkg/status",
        "Dir::Cache": folder / "cache",
        "APT::Sandbox::User": "root",
    }
    apt = ["apt-get", "-q", *(f"-o{name}={value}" for name, value in options.items())]
    for command in (
        ["update"],
        ["source", "--download-only", "snac2"],
        ["download", "libcurl4-openssl-dev", "libssl-dev"],
    ):
        subprocess.run([*apt, *command], cwd=folder, check=True, timeout=FETCHES_WITHIN, stdout=subprocess.DEVNULL)
    return folder


def _mirror() -> str:
    """The archive that this machine is set up to use."""
    command = ["apt-get", "indextargets", "--format", "$(REPO_URI)"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    mirrors = [line for line in lines if "security" not in line]
    if not mirrors:
        raise CannotBuild("apt knows no archive of Debian's")
    return mirrors[0]


def _compile(folder: Path) -> Path:
    [archive] = folder.glob("snac2_*.orig.tar.*")
    with tarfile.open(archive) as sources:
        sources.extractall(folder, filter="data")
    for package in folder.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, folder / "root"], check=True)
    # Linked with the libraries of the machine: those of the development packages are links that lead nowhere here.
    libraries = folder / "lib"
    libraries.mkdir()
    for name in LIBRARIES:
        (libraries / name).with_suffix("").symlink_to(_library(name) or name)
    include = folder / "root" / "usr" / "include"
    headers = " ".join(f"-I{path}" for path in (include, *include.glob("*-linux-gnu*")))
    [source] = folder.glob("snac2-*/")
    flags = [f"CFLAGS=-O1 -w {headers}", f"LDFLAGS=-L{libraries}"]
    subprocess.run(["make", "-j2", *flags], cwd=source, check=True, stdout=subprocess.DEVNULL)
    return source / "snac"


@dataclass(frozen=True)
class Snac:
    """A running snac."""

    url: str
    data: Path

    def add_user(self) -> tuple[str, str]:
        """A new user's name and password."""
        name = f"user_{secrets.token_hex(4)}"
        said = _run("adduser", self.data, name)
        found = re.search(r"password is (\S+)", said)
        assert found, said
        return name, found.group(1)

    async def access_token(self, name: str, password: str) -> str:
        """The token that a person gets by logging in through an application."""
        asked = {"client_name": "hookline", "redirect_uris": OUT_OF_BAND, "scopes": "read write"}
        app = json.loads(await self._post("/api/v1/apps", asked))
        login = {"login": name, "passwd": password, "redir": OUT_OF_BAND, "cid": app["client_id"]}
        page = await self._post("/oauth/x-snac-login", login)
        found = re.search(r">\s*([0-9a-f]{32})\s*<", page) or re.search(r"\b([0-9a-f]{32})\b", page)
        assert found, page
        exchange = {"grant_type": "authorization_code", "code": found.group(1), "redirect_uri": OUT_OF_BAND}
        owner = {"client_id": app["client_id"], "client_secret": app["client_secret"]}
        token: str = json.loads(await self._post("/oauth/token", exchange | owner))["access_token"]
        return token

    async def statuses(self, account_id: str) -> list[dict[str, Any]]:
        """All statuses of an account, newest first, as anybody may read them."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{self.url}/api/v1/accounts/{account_id}/statuses") as answer,
        ):
            statuses: list[dict[str, Any]] = json.loads(await answer.text())
            return statuses

    async def _post(self, path: str, form: dict[str, str]) -> str:
        async with aiohttp.ClientSession() as session, session.post(self.url + path, data=form) as answer:
            text = await answer.text()
            assert answer.ok, f"{path}: {answer.status} {text}"
            return text


def _run(*arguments: str | Path, given: str = "") -> str:
    command = [snac_program(), *arguments]
    return subprocess.run(command, input=given, capture_output=True, text=True, check=True, timeout=60).stdout


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running_snac(folder: Path) -> Iterator[Snac]:
    """A snac that keeps its data under this folder and ends with the block."""
    data, port = folder / "data", _free_port()
    host = f"localhost:{port}"
    # It asks for address, port, host name, prefix and the administrator's address.
    _run("init", data, given=f"127.0.0.1\n{port}\n{host}\n\n\n")
    settings = data / "server.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"protocol": "http", "num_threads": THREADS}))
    log = folder / "snac.log"
    with log.open("wb") as output:
        process = subprocess.Popen([snac_program(), "httpd", data], stdout=output, stderr=output)
    try:
        assert wait_until(lambda: _listens(port) or process.poll() is not None, STARTS_WITHIN), log.read_text()
        assert process.poll() is None, log.read_text()
        yield Snac(f"http://{host}", data)
    finally:
        process.terminate()
        process.wait(STARTS_WITHIN.total_seconds())


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
