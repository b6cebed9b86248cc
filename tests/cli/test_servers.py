"""The private servers, with real processes."""

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import asyncpg
import psutil
import pytest
from redis import Redis

from cli.private_server import LARGEST_LOG_BYTES, STOP_DEADLINE, PrivateServer, ServerFailedError, socket_folder
from cli.processes import package_folder, wait_until
from cli.programs import CHECKOUT
from cli.servers import PrivatePostgres, PrivateRedis
from domain.errors import Misconfigured

FAST = {"fsync": "off"}


async def write(postgres: PrivatePostgres, redis: PrivateRedis) -> None:
    connection = await asyncpg.connect(postgres.url)
    await connection.execute("CREATE TABLE kept (word text)")
    await connection.execute("INSERT INTO kept VALUES ('Grüße')")
    await connection.close()
    with Redis.from_url(redis.url) as client:
        client.set("kept", "1")


async def read(postgres: PrivatePostgres, redis: PrivateRedis) -> tuple[str, bytes]:
    connection = await asyncpg.connect(postgres.url)
    word = await connection.fetchval("SELECT word FROM kept")
    await connection.close()
    with Redis.from_url(redis.url) as client:
        return word, client.get("kept")


def pid_of(server: PrivateServer) -> int:
    assert server.process is not None
    return server.process.pid


def runs(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


async def test_the_servers_keep_what_was_written_over_a_restart(tmp_path: Path) -> None:
    with PrivatePostgres(tmp_path / "p", FAST) as postgres, PrivateRedis(tmp_path / "r") as redis:
        await write(postgres, redis)
        pids = [pid_of(postgres), pid_of(redis)]
    assert not any(runs(pid) for pid in pids)
    os.truncate(redis.log, LARGEST_LOG_BYTES + 1)
    with postgres, redis:
        assert await read(postgres, redis) == ("Grüße", b"1")
        assert redis.log.stat().st_size < LARGEST_LOG_BYTES


async def test_the_servers_keep_what_was_written_when_they_are_killed(tmp_path: Path) -> None:
    with PrivatePostgres(tmp_path / "p") as postgres, PrivateRedis(tmp_path / "r") as redis:
        await write(postgres, redis)
        for server in (postgres, redis):
            os.kill(pid_of(server), signal.SIGKILL)
            assert server.process is not None
            server.process.wait()
        # PostgreSQL's own children take a moment to notice; until then its shared memory is in use.
        assert wait_until(lambda: not _holders_of(postgres), STOP_DEADLINE)
        postgres.start()
        redis.start()
        assert await read(postgres, redis) == ("Grüße", b"1")


def _holders_of(postgres: PrivatePostgres) -> list[int]:
    return [
        process.pid
        for process in psutil.process_iter(["name", "cwd"])
        if process.info["name"] == "postgres" and process.info["cwd"] == str(postgres.data)
    ]


def fill(redis: PrivateRedis) -> None:
    with Redis.from_url(redis.url) as client:
        for number in range(100):
            client.set(f"kept:{number}", "x" * 50)


def overwrite(data: Path, pattern: str, old: bytes, new: bytes) -> None:
    (file,) = (data / "appendonlydir").glob(pattern)
    content = file.read_bytes()
    assert old in content
    file.write_bytes(content.replace(old, new, 1))


@pytest.mark.parametrize(
    ("pattern", "old", "new"),
    [
        ("*.incr.aof", b"kept:50", b"\xff" * 70),
        ("*.incr.aof", b"SET", b"S\xffT"),
        ("*.base.rdb", b"valkey-ver", b"\xff" * 10),
        ("*.manifest", b"file", b"fine"),
    ],
    ids=["what no command is", "a command that nobody knows", "the snapshot", "the manifest"],
)
def test_a_redis_that_cannot_read_what_it_has_kept_sets_that_aside_and_starts_empty(
    tmp_path: Path, pattern: str, old: bytes, new: bytes
) -> None:
    said: list[str] = []
    redis = PrivateRedis(tmp_path / "r", said.append)
    (tmp_path / "r.broken").mkdir()
    (tmp_path / "r.broken" / "older").touch()
    with redis:
        fill(redis)
    overwrite(redis.data, pattern, old, new)
    with redis, Redis.from_url(redis.url) as client:
        assert client.dbsize() == 0
    assert said == [
        "Redis could not start on what it had kept, and started empty: no delivery is lost. What it had kept is "
        f"{tmp_path / 'r.broken'} now; {tmp_path / 'r.log'} says what was wrong."
    ]
    assert (redis.broken / "appendonlydir").is_dir()
    assert not (redis.broken / "older").exists()
    with redis:
        fill(redis)
    with redis, Redis.from_url(redis.url) as client:
        assert client.dbsize() == 100
    assert len(said) == 1


def test_what_redis_has_kept_stays_where_it_lies_where_it_is_not_to_blame(tmp_path: Path) -> None:
    said: list[str] = []
    redis = PrivateRedis(tmp_path / ("long" * 30) / "r", said.append)
    with redis:
        fill(redis)
    in_the_way = redis.socket / "in the way"
    in_the_way.mkdir(parents=True)
    redis.socket.parent.chmod(0o700)
    with pytest.raises(ServerFailedError, match="Redis ended at once"):
        redis.start()
    assert not redis.broken.exists()
    in_the_way.rmdir()
    redis.socket.rmdir()
    killed = redis.launch()
    killed.kill()
    killed.wait()
    with pytest.raises(ServerFailedError, match=r"Redis ended at once \(-9\)"):
        redis.is_ready()
    assert not redis.broken.exists()
    with redis, Redis.from_url(redis.url) as client:
        assert client.dbsize() == 100
    assert not said


async def test_a_data_path_too_long_for_a_socket_works_all_the_same(tmp_path: Path) -> None:
    data = tmp_path / ("long" * 30)
    with PrivatePostgres(data / "p", FAST) as postgres, PrivateRedis(data / "r") as redis:
        await write(postgres, redis)
        folder = socket_folder(postgres.data)
        assert not folder.is_relative_to(tmp_path)
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()


def test_a_socket_folder_that_someone_else_made_first_is_refused(tmp_path: Path) -> None:
    postgres = PrivatePostgres(tmp_path / ("long" * 30), FAST)
    folder = socket_folder(postgres.data)
    folder.mkdir()
    folder.chmod(0o777)
    try:
        with pytest.raises(ServerFailedError, match="belongs to someone else"):
            postgres.start()
        if os.geteuid() == 0:  # root made it, and the server runs as another user
            folder.chmod(0o700)
            with pytest.raises(ServerFailedError, match="belongs to someone else"):
                postgres.start()
    finally:
        folder.rmdir()


def test_where_the_temporary_directory_has_a_long_name_as_well_sockets_lie_in_tmp(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/" + "long" * 30)
    assert socket_folder(Path("/", "long" * 30)).parent == Path("/tmp")


def test_a_server_that_hears_nothing_ends_all_the_same(tmp_path: Path) -> None:
    with PrivateRedis(tmp_path / "r") as redis:
        redis.patience = timedelta(milliseconds=100)
        pid = pid_of(redis)
        os.kill(pid, signal.SIGSTOP)
        redis.stop()
        assert not runs(pid)


def test_a_server_that_does_not_answer_in_time_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.private_server.START_DEADLINE", timedelta(0))
    monkeypatch.setattr(PrivateRedis, "_answers", lambda _: False)
    redis = PrivateRedis(tmp_path / "r")
    with pytest.raises(ServerFailedError, match="Redis did not answer within"):
        redis.start()
    assert redis.process is None


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(["postgres"], id="another program's"),
        pytest.param(
            ["postgres", "-D", "/copied/from{data}", "-D", "{data}2"], id="the original of a copy, or a neighbour"
        ),
    ],
)
def test_a_stale_pid_file_with_the_number_of_a_stranger_does_no_harm(tmp_path: Path, words: list[str]) -> None:
    with PrivatePostgres(tmp_path / "p", FAST) as postgres:
        lines = (postgres.data / "postmaster.pid").read_text().splitlines()
    command = [sys.executable, "-c", "input(print(flush=True))", *(word.format(data=postgres.data) for word in words)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as stranger:
        # Until it runs, its command line may not be there to read.
        assert stranger.stdout is not None
        stranger.stdout.readline()
        stale = [str(stranger.pid), *lines[1:]]
        (postgres.data / "postmaster.pid").write_text("\n".join(stale) + "\n")
        (postgres.data / ".s.PGSQL.5432.lock").write_text("\n".join(stale[:6]) + "\n")
        with postgres:
            pass
        stranger.communicate(b"\n")
    # It ended when it got its line, and not by a signal.
    assert stranger.returncode == 0


@pytest.mark.parametrize("kind", [PrivatePostgres, PrivateRedis])
def test_a_server_that_was_left_running_is_ended_by_the_next_start(
    tmp_path: Path, kind: type[PrivatePostgres] | type[PrivateRedis]
) -> None:
    with kind(tmp_path / "s") as left, kind(tmp_path / "s") as next_one:
        assert left.process is not None
        assert left.process.wait(STOP_DEADLINE.total_seconds()) == 0
        assert next_one.is_ready()
        left.process = None


def test_a_folder_whose_making_was_interrupted_is_made_anew(tmp_path: Path) -> None:
    half = tmp_path / "p.new"
    half.mkdir()
    (half / "PG_VERSION").write_text("18\n")
    with PrivatePostgres(tmp_path / "p", FAST) as postgres:
        assert postgres.is_ready()
    assert not half.exists()


def test_the_servers_are_out_of_reach_of_the_terminals_ctrl_c_and_listen_on_no_port(tmp_path: Path) -> None:
    with PrivatePostgres(tmp_path / "p", FAST) as postgres, PrivateRedis(tmp_path / "r") as redis:
        for server in (postgres, redis):
            pid = pid_of(server)
            assert os.getsid(pid) == pid
            assert not (server.data.stat().st_mode | server.log.stat().st_mode) & 0o077
            assert not psutil.Process(pid).net_connections(kind="inet")


def test_postgresql_does_not_run_as_root(tmp_path: Path) -> None:
    with PrivatePostgres(tmp_path / "p", FAST) as postgres:
        assert 0 not in psutil.Process(pid_of(postgres)).uids()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_no_server_outlives_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from cli.servers import *\n"
        "data = Path(sys.argv[1])\n"
        "with PrivatePostgres(data / 'p') as p, PrivateRedis(data / 'r') as r:\n"
        "    print(p.process.pid, r.process.pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    parent = subprocess.run(
        [sys.executable, "-c", script, tmp_path], cwd=CHECKOUT, capture_output=True, text=True, check=False
    )
    pids = [int(pid) for pid in parent.stdout.split()]
    assert len(pids) == 2, parent.stderr
    wait_until(lambda: not any(runs(pid) for pid in pids), STOP_DEADLINE)
    left = [pid for pid in pids if runs(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert not left
    with PrivatePostgres(tmp_path / "p") as postgres, PrivateRedis(tmp_path / "r") as redis:
        assert postgres.is_ready()
        assert redis.is_ready()


def test_a_server_that_cannot_start_says_where_to_read_why(tmp_path: Path) -> None:
    postgres = PrivatePostgres(tmp_path / "p", {"shared_buffers": "nonsense"})
    with pytest.raises(ServerFailedError, match=r"(?s)PostgreSQL ended at once.*p\.log:.*nonsense"):
        postgres.start()


def test_a_machine_without_the_wheels_is_told_what_to_do() -> None:
    with pytest.raises(Misconfigured, match="make setup, or set HOOKLINE_DATABASE_URL"):
        package_folder("no_such_package")
