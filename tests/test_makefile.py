"""`make` on machines with other Pythons, or none."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from cli.programs import CHECKOUT


def make(folder: Path, **pythons: str) -> subprocess.CompletedProcess[str]:
    """`make run` in a copy of the files that it begins with. These programs are the only Pythons on the PATH."""
    for name in ("Makefile", "pyproject.toml", "requirements-dev.lock"):
        shutil.copy(CHECKOUT / name, folder)
    programs = folder / "programs"
    programs.mkdir()
    for name in ("make", "sh", "find", "getconf"):
        (programs / name).symlink_to(shutil.which(name) or name)
    for name, script in pythons.items():
        (programs / name.replace("_", ".")).write_text(f"#!/bin/sh\n{script}\n")
        (programs / name.replace("_", ".")).chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if name != "PYTHON" and not name.startswith("MAKE")}
    return subprocess.run(
        ["make", "run"], cwd=folder, env=kept | {"PATH": str(programs)}, capture_output=True, text=True, check=False
    )


OLD = 'test "$1" = --version && echo Python 3.10.12'
# It passes the check of its version, and fails at the next step.
GOOD = 'case "$1" in -c) exit 0 ;; *) echo "$0 $*"; exit 1 ;; esac'


def test_where_no_python_fits_it_says_so_and_begins_nothing(tmp_path: Path) -> None:
    done = make(tmp_path, python3=OLD)
    assert done.returncode != 0
    assert done.stdout.splitlines() == [
        "Hookline needs Python 3.11 to 3.14; python3 is Python 3.10.12.",
        "Name another one: make run PYTHON=/path/to/python3",
    ]
    assert not (tmp_path / ".venv").exists()


def test_where_there_is_none_it_says_so(tmp_path: Path) -> None:
    assert make(tmp_path).stdout.startswith("Hookline needs Python 3.11 to 3.14; python3 is not there.\n")


def test_where_another_than_python3_fits_that_one_is_taken(tmp_path: Path) -> None:
    done = make(tmp_path, python3=OLD, python3_12=GOOD)
    assert f"{tmp_path}/programs/python3.12 -m venv .venv" in done.stdout


def test_a_python_that_gives_an_environment_no_pip_lends_its_own(tmp_path: Path) -> None:
    # As on Debian without python3-venv.
    (tmp_path / "sitecustomize.py").write_text('import sys\nsys.modules["ensurepip"] = None\n')
    without = (
        f'export PYTHONPATH="{tmp_path}"; case "$1" in -c) exec {sys.executable} "$@" ;; *) echo "$*"; exit 1 ;; esac'
    )
    assert "\n-m venv --without-pip .venv\n" in make(tmp_path, python3=without).stdout


def test_it_wants_the_versions_that_the_project_says() -> None:
    project = (CHECKOUT / "pyproject.toml").read_text()
    assert 'requires-python = ">=3.11,<3.15"' in project
    assert "not (3, 11) <= sys.version_info < (3, 15)" in (CHECKOUT / "Makefile").read_text()
