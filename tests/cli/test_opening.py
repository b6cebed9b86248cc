"""Commands with --data: what they work on, and what keeps them from it, in a sentence."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli import up as upping
from cli.data_folder import DataFolder, new_key
from cli.main import app
from cli.output import Output
from cli.programs import CHECKOUT
from cli.servers import PrivatePostgres, PrivateRedis
from cli.up import Place, free_port
from tests.running import HOOKLINE, environment, setpriv_without_capabilities


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    """A data folder as `hookline up` leaves it."""
    folder = DataFolder(tmp_path)
    folder.make_key()
    folder.write_access("http://127.0.0.1:1", "hl_x")
    return folder


def test_a_private_file_is_its_owners_alone_whatever_is_left_of_one_that_was_not_written_whole(
    folder: DataFolder,
) -> None:
    half = folder.path / "hookline.json.new"
    half.touch(0o644)
    folder.write_access("http://127.0.0.1:2", "hl_y")
    assert (folder.known_token(), folder.access.stat().st_mode & 0o777) == ("hl_y", 0o600)
    assert not half.exists()


def test_a_folder_that_up_never_ran_with_is_a_sentence(tmp_path: Path) -> None:
    refused = CliRunner().invoke(app, ["signin", "--data", str(tmp_path)])
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr == f"{tmp_path} is not the data folder of a `hookline up`.\n"


NO_KEYS = "it must contain a key, or several separated by commas"


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        pytest.param(Path.mkdir, "Is a directory", id="a folder"),
        pytest.param(lambda key: key.write_bytes(b"\xff\xfe"), NO_KEYS, id="no text"),
        pytest.param(lambda key: key.write_text("\n"), NO_KEYS, id="empty"),
        pytest.param(lambda key: key.write_text(f"{new_key()}\n{new_key()}\n"), NO_KEYS, id="two lines"),
        pytest.param(lambda key: key.write_text("hl_s3cret"), NO_KEYS, id="something else"),
    ],
)
@pytest.mark.parametrize("command", ["status", "doctor", "up"])
def test_a_key_that_cannot_be_read_is_named_with_what_to_do(
    folder: DataFolder, command: str, spoil: Callable[[Path], object], why: str
) -> None:
    folder.key.unlink()
    spoil(folder.key)
    refused = CliRunner().invoke(app, [command, "--data", str(folder.path)], env=environment())
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr == (
        f"{folder.key} cannot be used: {why}. Make it readable, put it back from a backup, or set "
        "HOOKLINE_SECRET_KEYS to the key that was used.\n"
    )


def test_a_key_that_was_lost_is_not_silently_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "var" / "postgres").mkdir(parents=True)
    assert upping.run(Place(tmp_path / "var", "127.0.0.1", 0), environment(), Output()) == 1
    assert capsys.readouterr().err.startswith(f"{tmp_path / 'var' / 'secret.key'} is missing")


def test_a_key_that_was_lost_is_replaced_neither_by_up_nor_by_what_only_looks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], database_url: str, redis_url: str
) -> None:
    data = tmp_path / "var"
    data.mkdir()
    (data / "hookline.json").write_text('{"url": "http://127.0.0.1:1", "token": "hl_junk"}')
    told = {"HOOKLINE_DATABASE_URL": database_url, "HOOKLINE_REDIS_URL": redis_url}
    missing = f"{data / 'secret.key'} is missing"
    assert upping.run(Place(data, "127.0.0.1", 0), environment(**told), Output()) == 1
    assert capsys.readouterr().err.startswith(missing)
    for command in ("doctor", "status", "migrate"):
        refused = CliRunner().invoke(app, [command, "--data", str(data)], env=told)
        assert (refused.exit_code, refused.stderr.startswith(missing)) == (1, True), refused.stderr
    assert not (data / "secret.key").exists()


@pytest.mark.parametrize(
    ("shut", "mode", "says"),
    [
        ("secret.key", 0o000, "{path}/secret.key cannot be used: Permission denied. Make it readable"),
        (".", 0o600, "The data folder {path} cannot be read: Permission denied."),
    ],
    ids=["the key", "the folder"],
)
def test_what_may_not_be_read_is_named(folder: DataFolder, shut: str, mode: int, says: str) -> None:
    (folder.path / shut).chmod(mode)
    refused = subprocess.run(
        [*setpriv_without_capabilities(), *HOOKLINE, "status", "--data", str(folder.path)],
        cwd=CHECKOUT, env=environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    (folder.path / shut).chmod(0o700)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith(says.format(path=folder.path))
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("variable", "own"),
    [
        ("HOOKLINE_DATABASE_URL", "postgres"),
        ("HOOKLINE_DATABASE_URL_FILE", "postgres"),
        ("HOOKLINE_REDIS_URL", "redis"),
    ],
)
@pytest.mark.parametrize("command", [("workspace", "erase", "Acme", "--yes"), ("doctor",)], ids=["erase", "doctor"])
def test_nothing_is_done_where_the_folder_has_a_server_and_a_variable_names_one(
    folder: DataFolder, database_url: str, command: tuple[str, ...], variable: str, own: str
) -> None:
    kept = folder.path / own
    kept.mkdir()
    (folder.path / "url").write_text(database_url)
    value = str(folder.path / "url") if variable.endswith("_FILE") else database_url
    refused = CliRunner().invoke(app, [*command, "--data", str(folder.path)], env={variable: value})
    assert (refused.exit_code, refused.stdout) == (1, "")
    name = variable.removesuffix("_FILE")
    assert refused.stderr == f"{kept} is a server of the folder's own: give --data or {name}, not both.\n"


def test_a_server_that_the_folder_does_not_have_is_the_one_that_a_variable_names(
    folder: DataFolder, database_url: str
) -> None:
    folder.redis.mkdir()
    told = {"HOOKLINE_DATABASE_URL": database_url}
    made = CliRunner().invoke(app, ["workspace", "create", "Acme", "--data", str(folder.path)], env=told)
    assert made.exit_code == 0, made.stderr
    listed = CliRunner().invoke(app, ["workspace", "list", "--data", str(folder.path)], env=told)
    assert "Acme" in listed.stdout


@pytest.mark.parametrize("left", ["", "[]", "{}", '{"url": 1}', '{"url": "http://h:port"}'])
def test_where_an_api_listens_is_not_known_from_a_file_that_does_not_say_it(folder: DataFolder, left: str) -> None:
    folder.access.write_text(left)
    assert folder.listening() == {}


def test_an_empty_variable_names_nothing_but_an_empty_list_of_networks_is_one(folder: DataFolder) -> None:
    told = dict.fromkeys(("HOOKLINE_DATABASE_URL", "HOOKLINE_REDIS_URL", upping.KEYS, upping.NETWORKS), "")
    found = upping.environment_of(folder, told)
    assert found["HOOKLINE_DATABASE_URL"] == PrivatePostgres(folder.postgres).url
    assert found["HOOKLINE_REDIS_URL"] == PrivateRedis(folder.redis).url
    assert found[upping.KEYS] == folder.secret_key()
    assert found[upping.NETWORKS] == ""


@pytest.mark.parametrize("data", ["var", "/var/lib/hookline"])
def test_a_folder_that_is_gone_is_none_to_start_in(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert upping.run(Place(Path(data), "127.0.0.1", 0), environment(), Output()) == 1
    assert capsys.readouterr().err == "The folder that this was started in is gone; start it in another one.\n"


def test_a_name_that_is_no_text_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = tmp_path / os.fsdecode(b"\xff")
    assert upping.run(Place(data, "127.0.0.1", 0), environment(), Output()) == 1
    assert capsys.readouterr().err.endswith("has a name that is not UTF-8.\n")
    assert not data.exists()


def test_a_worker_is_not_given_the_port_of_the_api(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port("127.0.0.1", 0)
    told = environment(HOOKLINE_METRICS_PORT=str(port), HOOKLINE_REDIS_URL="redis://127.0.0.1:1")
    assert upping.run(Place(tmp_path / "var", "127.0.0.1", port), told, Output()) == 1
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "HOOKLINE_METRICS_PORT must not be the port that the API listens on.\n")
