"""Everything but GraphQL: health, metrics, pages, headers."""

from tests.api.conftest import Api


async def test_a_query_is_answered(api: Api) -> None:
    answer = await api.ask("{ viewer { workspace { name } token { role } } }")
    assert answer == {"viewer": {"workspace": {"name": "Test"}, "token": {"role": "ADMIN"}}}


async def test_it_is_alive_and_ready(api: Api) -> None:
    async with api.http.get(f"{api.url}/healthz") as alive:
        assert (alive.status, await alive.json()) == (200, {"status": "ok"})
    async with api.http.get(f"{api.url}/readyz") as ready:
        assert (ready.status, await ready.json()) == (200, {"status": "ok", "database": "ok", "redis": "ok"})
