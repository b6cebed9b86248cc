"""`hookline doctor` on a Redis that answers but is of little use."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis

from cli import ailments, doctor
from cli.doctor import Finding, Verdict
from domain.settings import Settings

ENOUGH = ["~hookline:*", "~arq:*", "~LIMITS:*", "+@all", "-@admin", "-@dangerous", "+info"]


async def findings(settings: Settings) -> list[Finding]:
    return [finding async for finding in doctor.redis(settings)]


@asynccontextmanager
async def user(settings: Settings, *rights: str) -> AsyncIterator[Settings]:
    """Settings that name a user with these rights."""
    async with Redis.from_url(settings.redis_url) as redis:
        await redis.execute_command("ACL", "SETUSER", "few", "on", ">s3cret", *rights)
        try:
            at = urlsplit(settings.redis_url)
            yield replace(settings, redis_url=at._replace(netloc="few:s3cret@").geturl())
        finally:
            await redis.execute_command("ACL", "DELUSER", "few")


async def test_a_user_with_the_rights_that_it_names_is_well(settings: Settings) -> None:
    assert all(right in ailments.ALLOW_IT for right in ENOUGH)
    async with user(settings, *ENOUGH) as few:
        answered, hidden = await findings(few)
    assert (answered.verdict, hidden.verdict) == (Verdict.OK, Verdict.OK)
    async with Redis.from_url(settings.redis_url) as redis:
        stay = [await redis.pttl(f"{place}doctor") for place in ailments.REDIS_PLACES]
        assert not await redis.exists("hookline:doctor:none", "arq:doctor:none")
    # In milliseconds, so a second at most; -2 if the key is gone already.
    assert all(left == -2 or 0 <= left <= 1000 for left in stay)
    assert hidden.says.startswith("it does not show its configuration")


@pytest.mark.parametrize("missing", ["-info", "-dbsize", "-evalsha", "-xadd", "-xread", "-zadd"])
async def test_a_user_who_may_not_do_what_is_needed(settings: Settings, missing: str) -> None:
    async with user(settings, *ENOUGH, missing) as few:
        (found,) = await findings(few)
    assert (found.verdict, found.remedy) == (Verdict.FAULT, ailments.ALLOW_IT)
    assert f"'{missing[1:]}' command" in found.says
    assert found.says.endswith("deliveries are delayed, and live updates stop")


@pytest.mark.parametrize(
    "rights",
    [[right for right in ENOUGH if right != place] for place in ("~hookline:*", "~arq:*", "~LIMITS:*")]
    + [[*ENOUGH, right] for right in ("-@write", "-@stream", "-@sortedset")],
    ids=["not live", "not the queue", "not the limits", "nowhere", "no streams", "no sets in an order"],
)
async def test_a_user_who_may_not_write_where_it_is_needed(settings: Settings, rights: list[str]) -> None:
    async with user(settings, *rights) as few:
        (found,) = await findings(few)
    assert (found.verdict, found.remedy) == (Verdict.FAULT, ailments.ALLOW_IT)
    assert found.says.startswith("Redis refuses what is needed (")


async def test_a_replica(settings: Settings) -> None:
    async with Redis.from_url(settings.redis_url) as redis:
        await redis.replicaof("127.0.0.1", "1")
        try:
            (found,) = await findings(settings)
        finally:
            await redis.replicaof("NO", "ONE")
    assert (found.verdict, found.remedy) == (Verdict.FAULT, "Have HOOKLINE_REDIS_URL name the primary.")


async def test_one_that_misses_its_replicas(settings: Settings) -> None:
    async with Redis.from_url(settings.redis_url) as redis:
        await redis.config_set("min-replicas-to-write", 1)
        try:
            (found,) = await findings(settings)
        finally:
            await redis.config_set("min-replicas-to-write", 0)
    assert (found.verdict, found.remedy) == (Verdict.FAULT, "Bring them back, or lower min-replicas-to-write.")


async def test_one_that_is_full(settings: Settings) -> None:
    async with Redis.from_url(settings.redis_url) as redis:
        await redis.config_set("maxmemory", 1024 * 1024)
        try:
            (found,) = await findings(settings)
        finally:
            await redis.config_set("maxmemory", 0)
    assert found.verdict is Verdict.FAULT
    assert found.says == "Redis is full (1 MiB): deliveries are delayed, and live updates stop"
    assert found.remedy == "Raise its maxmemory; docs/scaling.md says how much Hookline needs."


WELL = {"role": "master", "cluster_enabled": 0, "redis_version": "6.2.14"}


def test_a_cluster() -> None:
    says, remedy = ailments.of_redis(WELL | {"cluster_enabled": 1}) or ("", "")
    assert says.startswith("Redis is a cluster: ")
    assert remedy.startswith("Use a Redis without cluster mode")
    assert ailments.of_redis(WELL) is None


@pytest.mark.parametrize("status", ["aof_last_write_status", "rdb_last_bgsave_status"])
def test_one_whose_disk_is_full(status: str) -> None:
    says, remedy = ailments.of_redis(WELL | {status: "err"}) or ("", "")
    assert says.startswith("Redis cannot write to its disk and takes no changes: ")
    assert remedy == "Make room; its log says more."
    assert ailments.of_redis(WELL | {status: "ok"}) is None


@pytest.mark.parametrize(
    ("differs", "is_full"),
    [
        ({}, True),
        ({"mem_not_counted_for_evict": 3}, False),
        ({"maxmemory": 0}, False),
        ({"maxmemory_policy": "allkeys-lru"}, False),
    ],
    ids=["full", "with room", "without a limit", "that evicts"],
)
def test_only_one_that_takes_no_more_is_full(differs: dict[str, object], is_full: bool) -> None:
    memory = {"maxmemory_policy": "noeviction", "maxmemory": 100, "used_memory": 100, "mem_not_counted_for_evict": 2}
    assert (ailments.of_redis(WELL | memory | differs) is not None) == is_full


@pytest.mark.parametrize("version", ["5.0.7", "6.0.16", "6"])
def test_one_that_is_too_old(version: str) -> None:
    assert ailments.of_redis(WELL | {"redis_version": version}) == (
        f"Redis {version} is too old: live updates come to an end",
        "Upgrade it to 6.2 or later.",
    )


@pytest.mark.parametrize("version", ["6.2.0", "7.0.15", "7.2.4", "10.0.1"])
def test_one_that_is_not(version: str) -> None:
    assert ailments.of_redis(WELL | {"redis_version": version}) is None


async def test_what_answers_is_called_by_its_own_name_and_version(settings: Settings) -> None:
    async with Redis.from_url(settings.redis_url) as redis:
        about = await redis.info("server")
    name = "Valkey" if "valkey_version" in about else "Redis"
    answered, *_ = await findings(settings)
    assert answered.says == f"{name} {about[f'{name.lower()}_version']} answers"
    assert ailments.name_of_redis(WELL) == "Redis 6.2.14"
