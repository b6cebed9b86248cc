"""Where, and by which user, a private PostgreSQL can be made: systems that lack what most have."""

import os
import pwd
import tempfile
from pathlib import Path

import pytest

from cli.private_server import ServerFailedError
from cli.servers import PrivatePostgres


def test_the_data_folder_is_the_only_place_that_must_take_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with PrivatePostgres(tmp_path / "p", {"fsync": "off"}) as postgres:
        assert postgres.is_ready()


def test_a_user_without_a_name_is_told_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody: dict[int, pwd.struct_passwd] = {}
    monkeypatch.setattr(pwd, "getpwuid", nobody.__getitem__)
    data = tmp_path / "p"
    data.mkdir()
    if os.geteuid() == 0:
        # PostgreSQL is made by the owner of the folder.
        os.chown(data, 54321, 54321)
    uid = data.stat().st_uid
    with pytest.raises(
        ServerFailedError, match=rf"{uid} has none: add a line `hookline:x:{uid}:\d+::/:` to /etc/passwd"
    ):
        PrivatePostgres(data).start()


def test_where_it_cannot_be_made_its_last_words_are_said_and_nothing_counts_as_made(tmp_path: Path) -> None:
    postgres = PrivatePostgres(tmp_path / "p")
    postgres.locale = ("--locale=of no country",)
    with pytest.raises(
        ServerFailedError, match=r"PostgreSQL could not make .*/p\. The end of .*/p\.log:\n(?s:.*)locale"
    ):
        postgres.start()
    assert not postgres.data.exists()
