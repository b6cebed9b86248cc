"""Everything but GraphQL: metrics, pages, headers, and servers that are away."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from api import metrics
from domain import database
from domain.settings import Settings
from tests.api.changes import announce, some_changes
from tests.api.conftest import Api, running
from tests.api.test_health import get
from tests.away import close, fall_silent, gated, reopen
from tests.databases import connected


async def test_a_query_is_answered(api: Api) -> None:
    answer = await api.ask("{ viewer { workspace { name } token { role } } }")
    assert answer == {"viewer": {"workspace": {"name": "Test"}, "token": {"role": "ADMIN"}}}


@pytest.mark.parametrize("table", ["token", "account"])
async def test_a_table_that_is_missing_is_a_503_and_a_line_that_says_so(
    api: Api, settings: Settings, table: str
) -> None:
    async with connected(settings.database_url) as owner:
        await owner.execute(f"ALTER TABLE {table} RENAME TO apart")
        with capture_logs() as lines:
            status, answer = await api.post("{ accounts { nodes { id } } }")
        await owner.execute(f"ALTER TABLE apart RENAME TO {table}")
    assert (status, answer["errors"][0]["extensions"]["code"]) == (503, "UNAVAILABLE")
    assert [line["error"] for line in lines if line["log_level"] == "warning"] == ["UndefinedTableError"]


async def test_a_database_that_goes_away_is_a_503_and_never_an_acknowledgement(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.gate.BELIEVED_SECONDS", 3600.0)
    mutation = "mutation($n: String!) { tokenCreate(input: {name: $n, role: VIEWER}) { token { name } } }"
    async with gated(settings) as gates, running(gates.settings) as api:
        assert (await api.post(mutation, n="before"))[0] == 200
        close(gates.postgres)
        for looked_up in (False, False, True):
            if looked_up:
                api.process.gate.forget_tokens()
            async with api.http.post(
                api.graphql, json={"query": mutation, "variables": {"n": "meanwhile"}}, headers=api.bearer
            ) as answer:
                body = await answer.json()
                assert (answer.status, answer.headers["retry-after"]) == (503, "1")
                assert body["errors"][0]["extensions"]["code"] == "UNAVAILABLE"
                assert "token" not in str(body.get("data"))
        away = {"status": "unavailable", "database": "out of reach", "redis": "unknown"}
        assert await get(api, "/readyz") == (503, away)
        assert (await get(api, "/healthz"))[0] == 200
        async with api.http.get(f"{api.url}/metrics") as answer:
            assert (answer.status, answer.headers["content-type"]) == (200, metrics.CONTENT_TYPE)
        reopen(gates.postgres)
        status, body = await api.post(mutation, n="after")
        assert (status, "errors" in body) == (200, False), body
        answer_ = await api.ask("{ viewer { workspace { tokens { nodes { name } } } } }")
        names = {token["name"] for token in answer_["viewer"]["workspace"]["tokens"]["nodes"]}
        assert names == {"test", "before", "after"}


async def test_a_database_that_says_nothing_is_a_503_in_time(settings: Settings) -> None:
    quick = replace(settings, query_timeout=timedelta(seconds=0.5))
    async with gated(quick) as gates, running(gates.settings) as api:
        assert (await api.post("{ viewer { token { id } } }"))[0] == 200
        fall_silent(gates.postgres)
        started = asyncio.get_running_loop().time()
        status, body = await api.post("{ webhooks { nodes { id } } }")
        # Which of the two depends on whether the token had to be looked up again.
        assert (status, body["errors"][0]["extensions"]["code"] in {"UNAVAILABLE", "TIMED_OUT"}) == (503, True)
        assert asyncio.get_running_loop().time() - started < 25
        reopen(gates.postgres)


async def test_metrics_have_labels_that_nobody_chooses(api: Api) -> None:
    await api.post("query Secret { viewer { token { id } } }")
    await api.post("query { hidden: __typename }")
    await api.post("{ viewer { nothing } }")
    async with api.http.get(f"{api.url}/nobody/knows"):
        pass
    async with api.socket() as socket:
        await socket.subscribe("1", "subscription { deliveryStatusChanged { cursor } }")
        await api.until_watched_by(1)
        await announce(api.process.domain, some_changes(api.actor.workspace.id, 2))
        await socket.next("1")
        await socket.next("1")
        async with api.http.get(f"{api.url}/metrics") as answer:
            page = await answer.text()
    assert 'hookline_http_requests_total{path="/graphql",status="200"} 2.0' in page
    assert 'hookline_graphql_operations_total{field="introspection"' in page
    assert 'hookline_graphql_errors_total{code="BAD_USER_INPUT"} 1.0' in page
    assert 'hookline_http_requests_total{path="other",status="404"} 1.0' in page
    assert 'hookline_graphql_operations_total{field="viewer",kind="query",result="ok",transport="http"} 1.0' in page
    assert "hookline_connections 1.0" in page
    assert "hookline_live_feeds 1.0" in page
    assert "hookline_live_subscriptions 1.0" in page
    assert "hookline_live_changes_total 2.0" in page
    assert "hookline_live_frames_total 2.0" in page
    assert 'hookline_graphql_cost_count{kind="query"} 2.0' in page
    assert 'hookline_graphql_seconds_count{kind="query"} 2.0' in page
    assert "Secret" not in page
    assert "hidden" not in page
    assert "nobody" not in page


async def test_every_answer_has_safe_headers(api: Api) -> None:
    for path in ("/", "/graphiql/", "/graphql", "/healthz", "/metrics", "/nowhere", "/../etc/passwd"):
        async with api.http.get(f"{api.url}{path}") as answer:
            policy = answer.headers["content-security-policy"]
            assert "default-src 'none'" in policy
            assert "script-src 'self';" in policy
            assert "frame-ancestors 'none'" in policy
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert len(answer.headers["x-request-id"]) == 16
            assert "server" not in answer.headers
            assert "strict-transport-security" not in answer.headers


async def test_even_what_nobody_expected_is_answered_with_safe_headers_and_masked(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def break_down() -> bool:
        raise RuntimeError("the secret of the inside")

    monkeypatch.setattr(database, "is_migrated", break_down)
    async with api.http.get(f"{api.url}/readyz") as answer:
        error = (await answer.json())["errors"][0]
        assert (answer.status, error["extensions"]["code"]) == (500, "INTERNAL")
        assert answer.headers["x-request-id"] in error["message"]
        assert "secret" not in str(error)
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]


async def test_pages_of_other_origins_may_ask_only_where_the_settings_name_them(settings: Settings) -> None:
    async with running(replace(settings, allowed_origins=("https://app.example",))) as api:
        wish = {"access-control-request-method": "POST", "access-control-request-headers": "authorization,content-type"}
        for origin, allowed in (("https://app.example", True), ("https://evil.example", False)):
            async with api.http.options(api.graphql, headers={"origin": origin, **wish}) as answer:
                assert (answer.headers.get("access-control-allow-origin") == origin) is allowed
            async with api.http.post(
                api.graphql, json={"query": "{ viewer { token { id } } }"}, headers=api.bearer | {"origin": origin}
            ) as answer:
                assert (answer.headers.get("access-control-allow-origin") == origin) is allowed


async def test_pages_of_allowed_origins_may_send_the_headers_that_their_clients_add(settings: Settings) -> None:
    """Apollo Client sends its own name with `clientAwareness`, and a browser that traces its requests `traceparent`."""
    added = ("authorization", "apollographql-client-name", "traceparent")
    async with running(replace(settings, allowed_origins=("https://app.example",))) as api:
        wish = {"access-control-request-method": "POST", "access-control-request-headers": ",".join(added)}
        async with api.http.options(api.graphql, headers={"origin": "https://app.example", **wish}) as answer:
            assert answer.status == 200
            assert set(added) <= {name.strip() for name in answer.headers["access-control-allow-headers"].split(",")}
        async with api.http.options(api.graphql, headers={"origin": "https://evil.example", **wish}) as answer:
            assert (answer.status, "access-control-allow-origin" in answer.headers) == (400, False)


async def test_over_tls_browsers_are_told_to_stay_there(api: Api) -> None:
    async with api.http.get(f"{api.url}/", headers={"x-forwarded-proto": "https"}) as answer:
        assert answer.headers["strict-transport-security"].startswith("max-age=")


@pytest.mark.parametrize("path", ["/graphql/", "/api/graphql", "/graphq"])
async def test_who_asks_beside_the_api_is_told_where_it_is(api: Api, path: str) -> None:
    async with api.http.post(f"{api.url}{path}", json={"query": "{ __typename }"}, headers=api.bearer) as answer:
        assert answer.status in {404, 405}
        (error,) = (await answer.json())["errors"]
    assert error["message"].endswith("GraphQL is at /graphql.")
