"""Processes that root starts as another user."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cli.processes import CAP_DAC_OVERRIDE, spawn, unprivileged


@contextmanager
def in_a_group_of_root() -> Iterator[None]:
    """Put us in root's group, as a login does and a container may not. Does nothing if we are not root."""
    before = os.getgroups()
    if os.geteuid() == 0:
        os.setgroups([0])
    yield
    if os.geteuid() == 0:
        os.setgroups(before)


def test_a_server_reaches_a_folder_that_only_its_starter_may_enter_and_has_nothing_else_of_root(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    program = closed / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    # By access(2), as initdb checks its own programs: that demands more than opening them does.
    look = (
        f"import os, re; print(os.access({str(program)!r}, os.R_OK | os.X_OK))\n"
        "print(os.getuid(), os.getgid(), *os.getgroups())\n"
        "print(re.search('CapEff:(.*)', open('/proc/self/status').read())[1] if os.path.exists('/proc') else '')"
    )

    user = unprivileged(closed)
    with in_a_group_of_root():
        process = spawn([sys.executable, "-c", look], user=user, output=subprocess.PIPE)
    told, _ = process.communicate(timeout=60)

    reached, ids, *capabilities = told.decode().splitlines()
    assert reached == "True"
    if user is not None:
        assert "0" not in ids.split()
        assert [int(found, 16) for found in capabilities if found] in ([], [1 << CAP_DAC_OVERRIDE])
