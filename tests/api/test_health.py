"""Whether it can work, as it says itself; more of that is in test_app.py."""

from urllib.parse import urlsplit

from domain.settings import Settings
from tests.api.conftest import Api, running
from tests.databases import connected, put_out_others
from tests.waiting import until


async def test_with_a_database_that_takes_no_changes_it_is_ready_to_read_and_says_so(settings: Settings) -> None:
    name = urlsplit(settings.database_url).path.strip("/")
    async with connected(settings.database_url) as owner, running(settings) as api:
        await owner.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        await put_out_others(owner)
        # Those that the pool has are told that they are no more.
        await until(lambda: says_of_the_database(api, "takes no changes"))
        await until(lambda: is_read(api))
        status, _ = await api.post('mutation { tokenCreate(input: {name: "x", role: VIEWER}) { errors { message } } }')
        assert status == 503
        await owner.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only", timeout=5)
        await until(lambda: says_of_the_database(api, "ok"))


async def says_of_the_database(api: Api, state: str) -> bool:
    """Whether it is ready and tells this of its database."""
    async with api.http.get(f"{api.url}/readyz") as answer:
        found: dict[str, str] = await answer.json()
        return (answer.status, found["status"], found["database"]) == (200, "ok", state)


async def is_read(api: Api) -> bool:
    """Whether somebody who has a token is answered."""
    status, answer = await api.post("{ accounts { nodes { id } } }")
    return status == 200 and answer["data"] == {"accounts": {"nodes": []}}
