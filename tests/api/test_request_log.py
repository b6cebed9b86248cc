"""The log line of each request: what was asked, and what became of it."""

from collections.abc import MutableMapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from api.pages import Pages
from domain.settings import Settings
from tests.api.conftest import GRAPHQL, Api, running
from tests.api.sockets import NAME
from tests.api.test_pages import mounted
from tests.waiting import until

Line = MutableMapping[str, Any]


async def line_of(api: Api, body: Any, path: str = "/graphql", **headers: str) -> Line:
    """The log line of one POST."""
    sent = api.bearer | {"accept": GRAPHQL} | headers
    with capture_logs() as lines:
        async with api.http.post(f"{api.url}{path}", json=body, headers=sent) as answer:
            await answer.read()
        # The line is written once the answer has left.
        await until(lambda: [line for line in lines if line["event"] == "request"])
    (found,) = [line for line in lines if line["event"] == "request"]
    assert (found["method"], found["path"], found["address"]) == ("POST", path, "127.0.0.1")
    assert found["request_id"] == answer.headers["x-request-id"]
    assert found["status"] == answer.status
    assert None not in found.values()
    return found


async def test_it_tells_who_asked_for_what(api: Api) -> None:
    line = await line_of(api, {"query": f"query Names{'x' * 100} {NAME}"})
    assert api.actor.token is not None
    assert (line["status"], line["token_id"], line["kind"]) == (200, api.actor.token.id, "query")
    assert line["operation"] == "Names" + "x" * 55
    assert line["cost"] > 0
    assert "codes" not in line


@pytest.mark.parametrize("accept", [GRAPHQL, "text/event-stream"])
@pytest.mark.parametrize("query", ["{ nothing }", "{ webhooks(first: -1) { nodes { id } } }"])
async def test_it_tells_the_codes_of_an_answer(api: Api, accept: str, query: str) -> None:
    assert (await line_of(api, {"query": query}, accept=accept))["codes"] == ["BAD_USER_INPUT"]


@pytest.mark.usefixtures("patient_rates")
async def test_it_tells_why_a_request_was_refused(settings: Settings) -> None:
    async with running(replace(settings, requests_per_minute=1)) as api:
        assert (await line_of(api, {"query": NAME}, authorization="Bearer hl_x"))["codes"] == ["UNAUTHENTICATED"]
        assert (await line_of(api, {"query": ""}))["codes"] == ["BAD_USER_INPUT"]
        assert (await line_of(api, {"query": NAME}))["codes"] == ["RATE_LIMITED"]
        assert (await line_of(api, {"code": "x"}, "/session"))["codes"] == ["UNAUTHENTICATED"]


async def test_what_machines_ask_for_all_the_time_and_the_files_of_a_page_have_none_unless_they_are_refused(
    tmp_path: Path, api: Api
) -> None:
    (tmp_path / "assets").mkdir()
    for name in ("index.html", "favicon.svg", "assets/a.js"):
        (tmp_path / name).write_text("built")
    mounted(api).app = Pages(tmp_path)
    with capture_logs() as lines:
        for path in ("/healthz", "/assets/a.js", "/favicon.svg", "/assets/gone.js", "/"):
            async with api.http.get(f"{api.url}{path}") as answer:
                await answer.read()
        await until(lambda: [line for line in lines if line.get("path") == "/"])
    assert [(line["path"], line["status"]) for line in lines] == [("/assets/gone.js", 404), ("/", 200)]
