"""Processes that root starts as somebody else."""

import subprocess
import sys
from pathlib import Path

from cli.processes import spawn, unprivileged


def test_a_server_reaches_a_folder_that_only_its_starter_may_enter(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    program = closed / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    # By access(2), as initdb looks for its own programs: it asks for more than opening them does.
    look = f"import os; print(os.getuid(), os.access({str(program)!r}, os.R_OK | os.X_OK))"

    user = unprivileged(closed)
    process = spawn([sys.executable, "-c", look], user=user, output=subprocess.PIPE)
    told, _ = process.communicate(timeout=60)

    assert told.split()[-1] == b"True"
    assert user is None or told.split()[0] != b"0"
