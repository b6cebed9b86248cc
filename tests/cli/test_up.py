"""`hookline up`, as a person runs it: real processes, real servers."""

import asyncio
import base64
import os
import re
import shlex
import signal
import stat
import subprocess
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import asyncpg
import psutil
import pytest
from redis import Redis

from cli.output import Output
from cli.processes import wait_until
from cli.programs import CHECKOUT, api_answers
from cli.servers import PrivatePostgres
from cli.up import ECHO_SECONDS, ELSEWHERE, HERE, Place, run
from domain import sign_in
from domain.database import rows
from domain.live_scripts import SERVED
from domain.unit import Actor, Domain
from tests.conftest import SECRET_KEY
from tests.domain.doing import listen
from tests.running import GONE, HOOKLINE, READY, Up, environment, hookline, setpriv_without_capabilities, up

PARTS = {"api", "worker", "postgres", "valkey-server"}


def is_up(running: Up) -> bool:
    address = urlsplit(running.access["url"])
    assert address.hostname
    assert address.port
    return api_answers(address.hostname, address.port)()


async def workspaces_in(database_url: str) -> list[str]:
    connection = await asyncpg.connect(database_url)
    names = [row["name"] for row in await connection.fetch("SELECT name FROM workspace ORDER BY id")]
    await connection.close()
    return names


async def paste(output: str) -> dict[str, Any]:
    """Send the request of the curl command that `up` prints; again after a 503, which a busy machine may answer."""
    line = next(line for line in output.splitlines() if line.startswith("curl "))
    _, _, url, _, authorization, _, content_type, _, body = shlex.split(line)
    headers = dict(header.split(": ", 1) for header in (authorization, content_type))
    async with aiohttp.ClientSession() as session, asyncio.timeout(GONE.total_seconds()):
        while True:
            async with session.post(url, headers=headers, data=body) as answer:
                found: dict[str, Any] = await answer.json(content_type=None)
                if answer.status != 503:
                    return found


async def test_one_command_starts_everything_and_once_more_on_the_same_data_after_it_was_killed(tmp_path: Path) -> None:
    data = tmp_path / "var"
    with up(data) as first:
        first.until_ready()
        access = first.access
        assert set(first.parts()) == PARTS
        assert is_up(first)
        assert access["url"] in first.output
        assert access["token"] in first.output
        assert "Deliveries may go to this machine itself" in first.output
        assert stat.S_IMODE(data.stat().st_mode) == 0o700
        for name in ("hookline.json", "secret.key"):
            assert stat.S_IMODE((data / name).stat().st_mode) == 0o600
        created = (await paste(first.output))["data"]["webhookCreate"]
        assert created["errors"] == []
        assert created["secret"].startswith("whsec_")
        assert await workspaces_in(PrivatePostgres(data / "postgres").url) == ["My workspace"]
        first.process.kill()
        assert wait_until(lambda: not first.left(), GONE), first.left()

    with up(data) as second:
        second.until_ready()
        assert second.access["token"] == access["token"]
        assert await workspaces_in(PrivatePostgres(data / "postgres").url) == ["My workspace"]
        assert second.stop(signal.SIGTERM) == 0
        assert not second.left()


async def test_each_part_that_is_killed_comes_back_and_a_second_one_on_the_same_data_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "var"
    # The patience with each part is longer than this test waits for all of them to be gone.
    with up(data, {"HOOKLINE_SHUTDOWN_DEADLINE": str(2 * GONE.seconds)}) as running:
        before = running.until_ready().parts()
        second = hookline("up", "--data", str(data), "--port", "0")
        assert second.returncode == 1
        assert second.stdout == ""
        already = f"Hookline already runs on {data} (process {running.process.pid}), at {running.access['url']}. "
        assert already in second.stderr
        port = running.access["url"].rpartition(":")[2]
        other = hookline("up", "--data", str(tmp_path / "other"), "--port", port)
        assert other.returncode == 1
        assert other.stderr.strip() == (
            f"Port {port} of 127.0.0.1 is taken by another program; `hookline up --port 0` takes a free one."
        )

        for name in PARTS:
            os.kill(before[name].pid, signal.SIGKILL)
        assert wait_until(lambda: _came_back(running, before) and is_up(running), READY), running.output
        assert "worker has ended (-9); it starts again" in running.output
        token = hookline("token", "create", "--workspace", "My workspace", "--role", "viewer", "--data", str(data))
        assert re.fullmatch(r"hl_\w+\n", token.stdout), token.stderr

        # A part that hears nothing holds up the first Ctrl-C, and the second one does not wait for it.
        os.kill(running.parts()["worker"].pid, signal.SIGSTOP)
        running.process.send_signal(signal.SIGINT)
        assert wait_until(lambda: "Stopping. Press Ctrl-C again" in running.output, GONE)
        assert running.process.poll() is None
        await asyncio.sleep(ECHO_SECONDS)
        assert running.stop(signal.SIGINT) == 0
        assert not running.left()


def _came_back(running: Up, before: dict[str, psutil.Process]) -> bool:
    now = running.parts()
    return set(now) == PARTS and all(now[name].pid != before[name].pid for name in PARTS)


async def test_named_servers_are_used_instead_of_private_ones_and_a_token_that_opens_nothing_is_replaced(
    tmp_path: Path, empty_database_url: str, redis_url: str
) -> None:
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "hookline.json").write_text('{"url": "http://127.0.0.1:1", "token": "hl_junk"}')
    (tmp_path / "database").write_text(empty_database_url)
    (tmp_path / "keys").write_text("A" * 43 + "=\n")
    (tmp_path / "host").write_text("192.0.2.1")
    variables = {
        "HOOKLINE_HOST_FILE": str(tmp_path / "host"),
        "HOOKLINE_READY_FILE_FILE": str(tmp_path / "host"),
        "HOOKLINE_DATABASE_URL_FILE": str(tmp_path / "database"),
        "HOOKLINE_REDIS_URL": redis_url,
        "HOOKLINE_ALLOWED_NETWORKS": "",
        "HOOKLINE_SECRET_KEYS_FILE": str(tmp_path / "keys"),
    }
    with Redis.from_url(redis_url) as redis:
        redis.set(SERVED, "another")
        with up(tmp_path / "var", variables) as running:
            running.until_ready()
            assert redis.get(SERVED) == b"another"
            assert "live updates stop. Have HOOKLINE_REDIS_URL name one of its own" in running.output
            assert set(running.parts()) == {"api", "worker"}
            assert await workspaces_in(empty_database_url) == ["My workspace"]
            assert "Deliveries may go to this machine itself" not in running.output
            assert running.access["token"] != "hl_junk"
            assert f"with the URL of your receiver in place of {ELSEWHERE}:" in running.output
            assert (await paste(running.output))["data"]["webhookCreate"]["errors"] == []
            faults = (await paste(running.output.replace(ELSEWHERE, HERE)))["data"]["webhookCreate"]["errors"]
            assert [fault["field"] for fault in faults] == [["input", "callbackUrl"]]
            assert {path.name for path in (tmp_path / "var").iterdir()} == {
                "hookline.json",
                "hookline.lock",
                "worker.ready",
            }
            assert running.stop() == 0


def test_it_goes_on_when_nobody_reads_its_output_any_more(tmp_path: Path, database_url: str, redis_url: str) -> None:
    told = environment(HOOKLINE_DATABASE_URL=database_url, HOOKLINE_REDIS_URL=redis_url)
    command = [*HOOKLINE, "up", "--data", str(tmp_path / "var"), "--port", "0"]
    with subprocess.Popen(command, env=told, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        running = Up(process, tmp_path / "var", tmp_path / "none")
        try:
            assert wait_until((tmp_path / "var" / "hookline.json").exists, READY)
            assert wait_until(lambda: is_up(running), READY)
            assert running.stop() == 0
        finally:
            process.kill()
        assert process.stderr is not None
        assert process.stderr.read() == b""
    assert not running.left()


def test_a_ctrl_c_that_a_library_swallows_stops_everything_all_the_same(
    tmp_path: Path, database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def swallow(*_: object) -> str:
        """As `asyncio.wait_for` did until Python 3.12 if a cancellation came just as Redis answered."""
        os.kill(os.getpid(), signal.SIGINT)
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(READY.total_seconds())
        return "code"

    monkeypatch.setattr(sign_in, "make", swallow)
    told = environment(HOOKLINE_DATABASE_URL=database_url, HOOKLINE_REDIS_URL=redis_url)
    second = threading.Timer(GONE.total_seconds(), os.kill, (os.getpid(), signal.SIGINT))
    second.start()
    try:
        assert run(Place(tmp_path / "var", "127.0.0.1", 0), told, Output()) == 0
        assert second.is_alive(), "it took a second Ctrl-C"
    finally:
        second.cancel()


def test_a_data_folder_that_may_not_be_written_is_a_sentence(tmp_path: Path) -> None:
    data = tmp_path / "var"
    data.mkdir(mode=0o500)
    with up(data, under=setpriv_without_capabilities()) as running:
        assert running.process.wait(READY.total_seconds()) == 1
        assert running.output.strip() == f"The data folder {data} cannot be written: Permission denied."


def test_what_the_system_refuses_on_the_way_is_a_sentence(
    tmp_path: Path, database_url: str, redis_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    in_the_way = tmp_path / "var" / "worker.ready"
    in_the_way.mkdir(parents=True)
    told = environment(HOOKLINE_DATABASE_URL=database_url, HOOKLINE_REDIS_URL=redis_url)
    assert run(Place(tmp_path / "var", "127.0.0.1", 0), told, Output()) == 1
    assert capsys.readouterr().err == f"{in_the_way}: Is a directory.\n"


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"HOOKLINE_LEASE": "soon"}, "HOOKLINE_LEASE: 'soon' is not a number."),
        ({"HOOKLINE_DATABASE_URL": "postgresql://127.0.0.1:1/none"}, "The database cannot be used: "),
        ({"HOOKLINE_DATABASE_URL": "mysql://x/y"}, "HOOKLINE_DATABASE_URL must look like"),
    ],
    ids=["a setting that is no number", "a database out of reach", "a database of another kind"],
)
def test_settings_that_cannot_work_are_a_sentence(
    tmp_path: Path, variables: dict[str, str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = environment(HOOKLINE_REDIS_URL="redis://127.0.0.1:1") | variables
    assert run(Place(tmp_path / "var", "127.0.0.1", 0), told, Output()) == 1
    shown = capsys.readouterr()
    assert (shown.out, shown.err.count("\n")) == ("", 1)
    assert shown.err.startswith(sentence)


async def test_up_is_not_ready_with_keys_that_open_nothing_of_what_is_sealed(
    tmp_path: Path, domain: Domain, admin: Actor, database_url: str, redis_url: str
) -> None:
    await listen(domain, admin, secret="s3cret")
    told = {"HOOKLINE_DATABASE_URL": database_url, "HOOKLINE_REDIS_URL": redis_url}
    with up(tmp_path / "new", told) as running:
        assert running.process.wait(READY.total_seconds()) == 1
        assert running.output.strip().endswith(
            "None of the keys opens what is sealed in the database: other keys sealed it. Put those back, as "
            "secret.key in the data folder or in HOOKLINE_SECRET_KEYS, or name another database."
        )
    key = base64.urlsafe_b64encode(SECRET_KEY).decode()
    await rows("UPDATE webhook SET sealed_headers = 'x'")
    with up(tmp_path / "newer", told | {"HOOKLINE_SECRET_KEYS": key}) as running:
        running.until_ready()
        assert not (tmp_path / "newer" / "secret.key").exists()
        assert "sealed values that open with none of the keys: 1, the first is webhook " in running.output
        assert running.stop() == 0


@pytest.mark.parametrize(
    "host", ["192.0.2.1", "no.such.host.invalid", "h" * 80], ids=["not of this machine", "unknown", "impossible"]
)
def test_a_host_that_cannot_be_listened_on_is_a_sentence(
    tmp_path: Path, host: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(Place(tmp_path / "var", host, 0), environment(), Output()) == 1
    assert capsys.readouterr().err.startswith(f"Cannot listen on port 0 of {host}: ")
