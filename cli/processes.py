"""Starting a process that outlives the terminal's Ctrl-C but never its parent."""

import ctypes
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import IO

from domain.errors import Misconfigured

# From linux/prctl.h and linux/capability.h.
PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_SET_SECUREBITS = 28
SECBIT_NO_SETUID_FIXUP = 4
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_OVERRIDE = 1
CAPABILITY_VERSION_3 = 0x20080522

POLL_SECONDS = 0.01

LINUX = sys.platform == "linux"
# Loaded before any fork: the child between fork and exec may not load libraries.
_libc = ctypes.CDLL(None, use_errno=True) if LINUX else None


@dataclass(frozen=True)
class User:
    """The user that a process runs as."""

    uid: int
    gid: int


def unprivileged(folder: Path) -> User | None:
    """The user for a server that refuses to run as root; None if we are not root.

    That is the owner of its data folder, or `nobody` if root owns the folder or it does not exist yet.
    """
    if os.geteuid() != 0:
        return None
    if folder.exists() and (owner := folder.stat()).st_uid != 0:
        return User(owner.st_uid, owner.st_gid)
    nobody = pwd.getpwnam("nobody")
    return User(nobody.pw_uid, nobody.pw_gid)


def spawn(
    command: Sequence[str],
    *,
    output: IO[bytes] | int,
    dies_with_parent: signal.Signals = signal.SIGKILL,
    user: User | None = None,
    environment: Mapping[str, str] | None = None,
    source: IO[bytes] | None = None,
    folder: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, so that the terminal's Ctrl-C does not reach it.

    Linux sends it `dies_with_parent` when the calling thread ends, however it ends; so call this from the main thread.
    Standard input is `source` or empty; output and errors go to `output`; `folder` is the working directory.
    Raises OSError if the command cannot be run.
    """
    return subprocess.Popen(  # noqa: S603 (the commands are ours)
        command,
        stdin=subprocess.DEVNULL if source is None else source,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=folder,
        start_new_session=True,
        # This makes only system calls, so it needs nothing that another thread, such as cli/aside.py's, may hold.
        preexec_fn=_preparation(dies_with_parent, user, os.getpid()),  # noqa: PLW1509
    )


def command_of(pid: int) -> str:
    """The command line of a running process; empty if there is none, or only its zombie."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        if LINUX:
            return ""
    command = ["/bin/ps", "-p", str(pid), "-o", "command="]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603


def wait_until(condition: Callable[[], bool], deadline: timedelta) -> bool:
    """Ask again and again until the condition holds; False when the deadline passes first."""
    end = time.monotonic() + deadline.total_seconds()
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(POLL_SECONDS)
    return True


def end_leftover(pid: int, end: signal.Signals, patience: timedelta, *words: str) -> None:
    """End the process with this id if its command line has all these words; otherwise the id is another program's."""

    def is_gone() -> bool:
        command = command_of(pid)
        return not all(word in command for word in words)

    for attempt in (end, signal.SIGKILL):
        if is_gone():
            return
        with suppress(ProcessLookupError):
            os.kill(pid, attempt)
        wait_until(is_gone, patience)


def package_folder(package: str) -> Path:
    """The folder of an installed package. It is not imported: we want its binaries, not what it does on import.

    Raises Misconfigured if it is not installed.
    """
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise Misconfigured(
            f"The private servers are not installed (no package {package}). Run make setup, "
            "or set HOOKLINE_DATABASE_URL and HOOKLINE_REDIS_URL to servers of your own."
        )
    return Path(spec.submodule_search_locations[0])


def _preparation(death: signal.Signals, user: User | None, parent: int) -> Callable[[], None]:
    def prepare() -> None:
        if user is not None:
            _become(user)
        # Last, because a change of user clears it.
        if _libc is not None:
            _libc.prctl(PR_SET_PDEATHSIG, int(death), 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)

    return prepare


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilityData(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def _become(user: User) -> None:
    """Give up root, except for access to files.

    A checkout or a data folder is often under a folder that only root may enter (/root, a mktemp -d). Opening those to
    others would be worse than letting the server, which root has started for itself, pass through them.
    """
    if _libc is not None:
        _libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0)
        # Without this, access(2) ignores the capability, and initdb uses access(2) to find its own programs.
        _libc.prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)
    os.setgroups([])
    os.setgid(user.gid)
    os.setuid(user.uid)
    if _libc is not None:
        reach = 1 << CAP_DAC_OVERRIDE
        data = (_CapabilityData * 2)(_CapabilityData(reach, reach, reach), _CapabilityData(0, 0, 0))
        _libc.capset(ctypes.byref(_CapabilityHeader(CAPABILITY_VERSION_3, 0)), data)
        _libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)
