"""What the API says of itself: whether it is alive, and whether it can work."""

import asyncio
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.requests import Request

from api.app import create
from api.health import readyz
from domain.live_scripts import SERVED
from domain.settings import Settings
from tests.api.conftest import Api, running
from tests.databases import connected, put_out_others
from tests.waiting import until


@pytest.fixture
def patient_health(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait up to a minute for PostgreSQL and Redis: on a busy machine, one may not run for seconds."""
    monkeypatch.setattr("api.health.ANSWER_SECONDS", 60.0)


@pytest.mark.usefixtures("patient_health")
async def test_it_is_alive_and_ready(api: Api) -> None:
    assert await get(api, "/healthz") == (200, {"status": "ok"})
    assert await get(api, "/readyz") == (200, {"status": "ok", "database": "ok", "redis": "ok"})


async def get(api: Api, path: str) -> tuple[int, dict[str, str]]:
    """Status and JSON."""
    async with api.http.get(f"{api.url}{path}") as answer:
        # A cache would go on giving an old answer.
        assert answer.headers["cache-control"] == "no-store"
        return answer.status, await answer.json()


@pytest.mark.usefixtures("patient_health")
async def test_without_redis_it_is_ready_and_says_so(settings: Settings) -> None:
    async with running(replace(settings, redis_url="unix:///nowhere/redis.sock")) as api:
        assert await get(api, "/readyz") == (200, {"status": "ok", "database": "ok", "redis": "out of reach"})
        async with api.socket() as socket:
            await socket.subscribe("1", "subscription { deliveryStatusChanged { cursor } }")
            message = await socket.receive()
            assert (message["type"], message["payload"][0]["extensions"]["code"]) == ("error", "UNAVAILABLE")


@pytest.mark.usefixtures("patient_health")
async def test_a_redis_that_serves_another_hookline_is_as_good_as_none(api: Api) -> None:
    await api.process.domain.redis.set(SERVED, "another")
    answer = {"status": "ok", "database": "ok", "redis": "another Hookline's"}
    assert await get(api, "/readyz") == (200, answer)
    _, refused = await api.post("{ liveCursor }")
    assert refused["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
    await api.process.domain.redis.delete(SERVED)
    assert await get(api, "/readyz") == (200, {**answer, "redis": "ok"})


async def test_without_tables_it_is_not_ready(settings: Settings, empty_database_url: str) -> None:
    app: Any = create(replace(settings, database_url=empty_database_url))
    async with app.router.lifespan_context(app) as state:
        scope = {"type": "http", "state": state, "method": "GET", "path": "/readyz", "headers": []}
        answer = await readyz(Request(scope))
    assert (answer.status_code, b"not migrated" in bytes(answer.body)) == (503, True)


async def test_while_it_ends_it_is_not_ready(api: Api) -> None:
    api.process.connections.stopping = True
    assert await get(api, "/readyz") == (503, {"status": "stopping"})


async def test_neither_a_database_nor_a_redis_that_says_nothing_holds_up_what_asks_whether_it_is_ready(
    settings: Settings, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.health.ANSWER_SECONDS", 0.2)
    async with running(settings) as api, connected(database_url) as connection, connection.transaction():
        await connection.execute("LOCK TABLE tortoise_migrations IN ACCESS EXCLUSIVE MODE")
        redis = api.process.domain.redis
        await redis.client_pause(60_000, all=False)
        answer = {"status": "unavailable", "database": "out of reach", "redis": "out of reach"}
        try:
            async with asyncio.timeout(10):
                assert await get(api, "/readyz") == (503, answer)
        finally:
            await redis.client_unpause()


async def test_with_a_database_that_takes_no_changes_it_is_ready_to_read_and_says_so(settings: Settings) -> None:
    name = urlsplit(settings.database_url).path.strip("/")
    async with connected(settings.database_url) as owner, running(settings) as api:
        await owner.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        await put_out_others(owner)
        # It takes a moment until the pool notices that its sessions were ended.
        await until(lambda: says_of_the_database(api, "takes no changes"))
        await until(lambda: is_read(api))
        status, _ = await api.post('mutation { tokenCreate(input: {name: "x", role: VIEWER}) { errors { message } } }')
        assert status == 503
        await owner.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only", timeout=5)
        await until(lambda: says_of_the_database(api, "ok"))


async def says_of_the_database(api: Api, state: str) -> bool:
    """Whether the API is ready, and says that its database is in this state."""
    status, found = await get(api, "/readyz")
    return (status, found["status"], found["database"]) == (200, "ok", state)


async def is_read(api: Api) -> bool:
    """Whether a query with a token is answered."""
    status, answer = await api.post("{ accounts { nodes { id } } }")
    return status == 200 and answer["data"] == {"accounts": {"nodes": []}}
