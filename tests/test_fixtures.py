"""The fixtures and helpers of the tests."""

import asyncio
from datetime import UTC, datetime, timedelta

import aiohttp
import asyncpg
import pytest
from redis.asyncio import Redis

from domain import database, workspaces
from domain.settings import Settings
from domain.tables import Workspace
from domain.unit import Actor, Domain
from domain.vocabulary import Role
from domain.workspaces import NewToken
from tests.conftest import Servers
from tests.databases import connected
from tests.receiver import Answer, Receiver
from tests.schema.counting import Counter

NEW_WORKSPACE = "INSERT INTO workspace (uuid, name, created_at) VALUES (gen_random_uuid(), 'w', now()) RETURNING id"
A_SETTING = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = 64', current_database()); END $$"
MANY_SWEEPS = "INSERT INTO sweep (name) SELECT 'sweep ' || number FROM generate_series(1, 2000) AS number"


@pytest.mark.parametrize("turn", ["first", "second"])
async def test_every_test_has_a_migrated_database_and_a_redis_of_its_own(settings: Settings, turn: str) -> None:
    async with database.connected(settings):
        assert await database.is_migrated()
    async with connected(settings.database_url) as connection:
        assert await connection.fetchval("SELECT count(*) FROM workspace") == 0
        await connection.execute(NEW_WORKSPACE)
    async with Redis.from_url(settings.redis_url) as redis:
        assert await redis.dbsize() == 0
        await redis.set(turn, 1)


async def test_a_database_that_is_used_again_has_what_the_migrations_made_and_no_more(servers: Servers) -> None:
    async with servers.databases.migrated() as url:
        left_open = await asyncpg.connect(url)
        sweeps = await left_open.fetch("SELECT * FROM sweep ORDER BY name")
        await left_open.execute(f"DELETE FROM sweep; {NEW_WORKSPACE}")
    async with servers.databases.migrated() as again, connected(again) as connection:
        assert again == url
        with pytest.raises(asyncpg.InterfaceError):
            await left_open.execute("SELECT 1")
        assert sweeps == await connection.fetch("SELECT * FROM sweep ORDER BY name")
        assert len(sweeps) > 0
        assert await connection.fetchval(NEW_WORKSPACE) == 1


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE webhook RENAME TO elsewhere",
        "ALTER TABLE webhook ADD CHECK (name <> '')",
        "ALTER TABLE webhook ALTER name SET DEFAULT 'none'",
        "CREATE INDEX late ON webhook (name)",
        "ALTER TABLE webhook DROP name",
        "CREATE TABLE more (id int)",
        A_SETTING,
        MANY_SWEEPS,
    ],
)
async def test_a_database_that_cannot_be_made_good_is_given_to_no_other_test(servers: Servers, change: str) -> None:
    async with servers.databases.migrated() as url, connected(url) as connection:
        await connection.execute(change)
    async with servers.databases.migrated() as other:
        assert other != url


async def test_the_receiver_records_requests_and_answers_from_its_script(receiver: Receiver) -> None:
    held = asyncio.Event()
    receiver.answer(500, Answer(429, {"Retry-After": "7"}, "slow down"), path="/hook")
    receiver.answer(Answer(201, after=held))
    async with aiohttp.ClientSession() as session:
        statuses = [
            (await session.post(receiver.url_of("/hook"), data=b"x", headers={"X-A": "1"})).status for _ in "abc"
        ]
        waiting = asyncio.create_task(session.put(receiver.url))
        requests = await receiver.wait_for(4)
        held.set()
        assert (await waiting).status == 201
    assert statuses == [500, 429, 200]
    assert [(r.method, r.path) for r in requests] == [("POST", "/hook")] * 3 + [("PUT", "/")]
    assert (requests[0].body, requests[0].headers["x-a"]) == (b"x", "1")


async def test_waiting_for_requests_that_never_come_fails_in_time(receiver: Receiver) -> None:
    with pytest.raises(AssertionError, match="0 of 1 requests came"):
        await receiver.wait_for(1, within=timedelta(milliseconds=20))


async def test_the_admin_of_the_fixtures_acts_in_a_workspace_that_exists(domain: Domain, admin: Actor) -> None:
    async with domain.unit(admin) as opened:
        token, secret = await workspaces.create_token(opened, NewToken("t", Role.VIEWER))
    assert (await workspaces.authenticate(secret, datetime.now(UTC))).token == token


async def test_statements_are_counted_where_they_are_asked_for_and_not_those_of_the_background(
    workspace: Workspace,
) -> None:
    begin = asyncio.Event()

    async def open_a_stream() -> None:
        await begin.wait()
        await database.committed_until()

    background = asyncio.create_task(open_a_stream())
    with Counter() as counter:
        begin.set()
        await asyncio.gather(background, database.now())
    assert counter.statements == ["SELECT clock_timestamp() AS now: ()"]
