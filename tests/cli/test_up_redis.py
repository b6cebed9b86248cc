"""The Redis that `hookline up` runs: what it has kept matters little, and never stands in the way of a start."""

from pathlib import Path

from redis import Redis

from cli.processes import wait_until
from cli.servers import PrivateRedis
from domain.live_scripts import SERVED, stream_of
from tests.running import READY, hookline, up


def test_a_redis_that_is_killed_and_cannot_read_its_file_comes_back_empty(tmp_path: Path, database_url: str) -> None:
    data = tmp_path / "var"
    with up(data, {"HOOKLINE_DATABASE_URL": database_url}) as running:
        before = running.until_ready().parts()
        (file,) = (data / "redis" / "appendonlydir").glob("*.incr.aof")
        file.write_bytes(b"\xff" * 100)
        before["valkey-server"].kill()
        assert wait_until(lambda: "and started empty: no delivery is lost" in running.output, READY), running.output
        assert (data / "redis.broken").is_dir()
        assert running.parts()["valkey-server"].pid != before["valkey-server"].pid
        assert "keeps ending" not in running.output
        assert running.stop() == 0


def test_a_redis_of_its_own_that_served_another_database_is_emptied(tmp_path: Path, database_url: str) -> None:
    data = tmp_path / "var"
    with PrivateRedis(data / "redis") as kept, Redis.from_url(kept.url) as redis:
        redis.mset({SERVED: "another", "left": "1"})
        redis.xadd(stream_of(1), {"of": "another"})
    with up(data, {"HOOKLINE_DATABASE_URL": database_url}) as running:
        running.until_ready()
        with Redis.from_url(kept.url) as redis:
            assert redis.get(SERVED) not in {None, b"another"}
            assert not redis.exists("left")
            assert b"another" not in [fields.get(b"of") for _, fields in redis.xrange(stream_of(1))]
        assert "serves another Hookline" not in running.output
        assert running.stop() == 0


def test_no_link_is_made_in_a_redis_that_the_running_one_knows_nothing_of(
    tmp_path: Path, database_url: str, redis_url: str
) -> None:
    data, variables = tmp_path / "var", {"HOOKLINE_DATABASE_URL": database_url}
    with up(data, variables) as running, Redis.from_url(redis_url) as stray:
        running.until_ready()
        for served in (None, "another"):
            if served:
                stray.set(SERVED, served)
            refused = hookline("signin", "--data", str(data), **variables, HOOKLINE_REDIS_URL=redis_url)
            assert (refused.returncode, refused.stdout) == (1, "")
            assert refused.stderr.startswith("The Redis that HOOKLINE_REDIS_URL names is not the one")
            assert stray.keys("hookline:signin:*") == []
        assert hookline("signin", "--data", str(data), **variables).returncode == 0
        assert running.stop() == 0
