"""Who is let in, how often, and that a flood of bad tokens changes nothing for the others."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from api.rates import Rates, network_of
from domain import ids, workspaces
from domain.settings import Settings
from domain.tables import Token
from tests.api.conftest import JSON, Api, running
from tests.databases import connected
from tests.waiting import until

NAME = "{ viewer { workspace { name } } }"


async def statuses(api: Api, *authorizations: str | None) -> list[int]:
    """The status of the same query with each of these Authorization headers."""
    found = []
    for authorization in authorizations:
        headers = {"authorization": authorization} if authorization is not None else {}
        async with api.http.post(api.graphql, json={"query": NAME}, headers=headers) as answer:
            found.append(answer.status)
            body = await answer.json()
            if answer.status == 401:
                assert answer.headers["www-authenticate"].startswith("Bearer")
                assert body["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    return found


async def test_a_request_needs_a_token_that_is_valid(api: Api) -> None:
    good = api.token
    wrong = good[:-1] + ("a" if good[-1] != "a" else "b")
    refused = (
        None,
        "",
        "Bearer",
        f"Basic {good}",
        f"Bearer {wrong}",
        "Bearer hl_",
        f"Bearer {good} {good}",
        "Bearer \xff",
    )
    assert await statuses(api, *refused) == [401] * len(refused)
    assert await statuses(api, f"Bearer {good}", f"bearer  {good} ") == [200, 200]


async def test_revoked_and_expired_tokens_are_refused_at_once(api: Api) -> None:
    revoked_id, revoked = await api.new_token()
    expired_id, expired = await api.new_token()
    assert await statuses(api, f"Bearer {revoked}", f"Bearer {expired}") == [200, 200]
    await Token.filter(id=expired_id).update(expires_at=datetime.now(UTC) - timedelta(seconds=1))
    await api.ask("mutation($id: ID!) { tokenRevoke(id: $id) { errors { code } } }", id=ids.make("Token", revoked_id))
    assert await statuses(api, f"Bearer {revoked}", f"Bearer {expired}") == [401, 401]
    # Both are forgotten as good, so neither passes from a blocked address: only the token that revoked is remembered.
    assert len(api.process.gate._good) == 1


async def test_a_token_that_expires_is_refused_at_once_though_it_was_good_a_moment_ago(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.gate.BELIEVED_SECONDS", 3600.0)
    _, secret = await api.new_token(expires_at=datetime.now(UTC) + timedelta(hours=1))
    assert await statuses(api, f"Bearer {secret}") == [200]
    ((believed, _),) = api.process.gate._believed.values()
    assert believed.token is not None
    # In the database as well, because the gate asks it next.
    believed.token.expires_at = datetime.now(UTC)
    await believed.token.save()
    assert await statuses(api, f"Bearer {secret}") == [401]


async def test_a_token_that_is_revoked_while_it_is_looked_up_is_not_believed(api: Api) -> None:
    gate = api.process.gate
    looked_up = asyncio.create_task(gate.authenticate(f"Bearer {api.token}", "local"))
    await asyncio.sleep(0)
    gate.forget_tokens()
    await looked_up
    assert not gate._believed


async def test_where_the_database_does_not_answer_nobody_waits_long(
    api: Api, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.gate.ANSWER_SECONDS", 0.2)
    async with connected(database_url) as connection, connection.transaction():
        await connection.execute("LOCK TABLE token IN ACCESS EXCLUSIVE MODE")
        async with asyncio.timeout(10):
            assert await statuses(api, f"Bearer {api.token}") == [503]


async def test_no_more_tokens_are_remembered_than_shall_be_and_the_latest_stay(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.gate.KEPT_GOOD", 2)
    # Look each token up every time.
    monkeypatch.setattr("api.gate.BELIEVED_SECONDS", -1.0)
    first, second, third = [secret for _, secret in [await api.new_token() for _ in range(3)]]
    used = [f"Bearer {secret}" for secret in (first, second, first, third)]
    assert await statuses(api, *used) == [200, 200, 200, 200]
    latest = [hashlib.sha256(secret.encode()).digest() for secret in (first, third)]
    gate = api.process.gate
    assert (list(gate._good), list(gate._believed)) == (latest, latest)


async def test_a_token_that_was_good_a_moment_ago_is_not_looked_up_again(
    api: Api, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.gate.BELIEVED_SECONDS", 3600.0)
    gate = api.process.gate
    admitted = await gate.authenticate(f"Bearer {api.token}", "local")
    async with connected(database_url) as connection, connection.transaction():
        await connection.execute("LOCK TABLE token IN ACCESS EXCLUSIVE MODE")
        assert await gate.authenticate(f"Bearer {api.token}", "local") == admitted


async def test_a_token_that_another_process_revoked_is_refused_within_seconds(api: Api) -> None:
    token_id, revoked = await api.new_token()
    assert await statuses(api, f"Bearer {revoked}") == [200]
    async with api.process.domain.unit(api.actor) as unit:
        await workspaces.revoke_token(unit, token_id)

    async def is_refused() -> bool:
        return await statuses(api, f"Bearer {revoked}") == [401]

    await until(is_refused)


@pytest.mark.usefixtures("patient_rates")
async def test_failed_logins_are_limited_by_address_and_good_tokens_pass(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Look each token up every time.
    monkeypatch.setattr("api.gate.BELIEVED_SECONDS", -1.0)
    async with running(replace(settings, failed_logins_per_minute=3)) as api:
        assert await statuses(api, f"Bearer {api.token}") == [200]
        # A request without a token is no guess, and is not counted.
        assert await statuses(api, *[None] * 4) == [401] * 4
        assert await statuses(api, *["Bearer hl_nonsense"] * 5) == [401, 401, 401, 429, 429]
        # A token that was good lately passes from the same address.
        assert await statuses(api, f"Bearer {api.token}") == [200]
        _, unknown = await api.new_token()
        assert await statuses(api, f"Bearer {unknown}") == [429]
        async with api.http.post(api.graphql, json={"query": NAME}, headers={"authorization": "Bearer hl_x"}) as answer:
            wait = int(answer.headers["retry-after"])
            assert 0 < wait <= 60
            # Apollo Client and Relay pass an answer's errors to the application, but not its headers.
            assert (await answer.json())["errors"][0]["extensions"] == {"code": "RATE_LIMITED", "retryAfter": wait}


@pytest.mark.usefixtures("patient_rates")
async def test_requests_are_limited_by_token_over_all_processes_and_transports(settings: Settings) -> None:
    few = replace(settings, requests_per_minute=4)
    async with running(few) as api:
        _, other = await api.new_token()
        assert await statuses(api, *[f"Bearer {api.token}"] * 2) == [200, 200]
        async with with_the_memory_of_another_process(few, api):
            assert await statuses(api, *[f"Bearer {api.token}"] * 3) == [200, 200, 429]
        async with api.socket() as socket:
            await socket.subscribe("1", NAME)
            message = await socket.receive()
            assert (message["type"], message["payload"][0]["extensions"]["code"]) == ("error", "RATE_LIMITED")
            assert message["payload"][0]["extensions"]["retryAfter"] > 0
        assert await statuses(api, f"Bearer {other}") == [200]


@asynccontextmanager
async def with_the_memory_of_another_process(settings: Settings, api: Api) -> AsyncIterator[None]:
    """Let the API count as another process would: in the same Redis, with an empty memory of its own."""
    gate = api.process.gate
    own, gate.rates = gate.rates, Rates(settings)
    try:
        yield
    finally:
        await gate.rates.close()
        gate.rates = own


async def test_thousands_of_bad_tokens_leave_it_responsive_and_stand_in_no_log(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    # Half are junk, half look like real tokens.
    tokens = [f"hl_{number:049}" for number in range(2_000)] + [workspaces._generate() for _ in range(2_000)]
    good, bad = Pour(api, [api.token] * 200), [Pour(api, tokens[start::50]) for start in range(50)]
    cost_of_good = await cpu_seconds(good.out()) / 200
    overtaken: list[int] = []
    cost_of_bad = await cpu_seconds(asking_beside(api, bad, overtaken)) / len(tokens)
    assert {frozenset(each.statuses) for each in bad} <= {frozenset({429}), frozenset({401, 429})}
    # While one query is served, each of the fifty is served some ten times, on a slow machine too.
    assert max(overtaken) < len(tokens) / 2
    assert cost_of_bad < 2 * cost_of_good
    logged = "".join(capsys.readouterr())
    assert not [token for token in tokens if token in logged]
    assert api.token not in logged


@dataclass
class Pour:
    """Sends a query with each of these tokens, one after the other."""

    api: Api
    tokens: list[str]
    statuses: list[int] = field(default_factory=list)

    async def out(self) -> None:
        for token in self.tokens:
            headers = {"authorization": f"Bearer {token}", "content-type": JSON}
            async with self.api.http.post(self.api.graphql, data=b"{}", headers=headers) as answer:
                self.statuses.append(answer.status)


async def asking_beside(api: Api, pours: list[Pour], overtaken: list[int]) -> None:
    """Send queries until the flood ends, and note for each how many requests of the flood were answered meanwhile."""

    def answered() -> int:
        return sum(len(pour.statuses) for pour in pours)

    flood = asyncio.gather(*(pour.out() for pour in pours))
    while not flood.done():
        before = answered()
        await api.ask(NAME)
        overtaken.append(answered() - before)
        await asyncio.sleep(0.02)
    await flood


async def cpu_seconds(work: Coroutine[None, None, None]) -> float:
    """The CPU time that the work takes in this process."""
    started = time.process_time()
    await work
    return time.process_time() - started


async def test_a_dead_redis_locks_nobody_out_and_lifts_no_limit(settings: Settings) -> None:
    dead = replace(settings, redis_url="unix:///nowhere/redis.sock", failed_logins_per_minute=2, requests_per_minute=5)
    async with running(dead) as api:
        assert await statuses(api, *[f"Bearer {api.token}"] * 6) == [200] * 5 + [429]
        assert await statuses(api, *["Bearer hl_nonsense"] * 3) == [401, 401, 429]


@pytest.mark.alone
async def test_a_redis_that_never_answers_holds_up_no_request(settings: Settings) -> None:
    held = []
    silent = await asyncio.start_server(lambda _, writer: held.append(writer), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    try:
        async with running(replace(settings, redis_url=f"redis://127.0.0.1:{port}/0")) as api:
            mutation = "mutation($n: String!) { tokenCreate(input: {name: $n, role: VIEWER}) { errors { code } } }"
            for name in "abc":
                started = time.perf_counter()
                assert (await api.ask(mutation, n=name))["tokenCreate"]["errors"] == []
                assert time.perf_counter() - started < 2
    finally:
        silent.close()
        for writer in held:
            writer.close()


async def test_a_token_of_another_workspace_sees_its_own_alone(api: Api) -> None:
    assert await (await api.elsewhere()).ask(NAME) == {"viewer": {"workspace": {"name": "Elsewhere"}}}


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("local", "local"),
        # A proxy may pass on whatever a client claims.
        ("x" * 65, "x" * 64),
    ],
)
def test_a_person_of_ipv6_is_counted_by_network_and_one_of_ipv4_by_address(address: str, network: str) -> None:
    assert network_of(address) == network
