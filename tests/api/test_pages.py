"""The pages, built and not built, and that nothing beside them is served."""

from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus
from yarl import URL

from api import pages
from tests.api.conftest import Api
from tests.api.protocol import opened


def mounted(api: Api) -> Any:
    """The route that serves the pages."""
    return next(route for route in api.app.routes if isinstance(getattr(route, "app", None), pages.Pages))


async def test_pages_that_are_not_built_say_so(tmp_path: Path, api: Api) -> None:
    mounted(api).app.folder = tmp_path
    for path in ("/", "/signin", "/graphiql", "/graphiql/"):
        async with api.http.get(f"{api.url}{path}") as answer:
            assert answer.status == 200
            assert "make web" in await answer.text()
    for method, path in (("GET", "/other"), ("POST", "/")):
        async with api.http.request(method, f"{api.url}{path}") as answer:
            assert answer.status == 404


async def test_built_pages_are_served_and_nothing_beside_them(tmp_path: Path, api: Api) -> None:
    dist = tmp_path / "dist"
    (dist / "assets").mkdir(parents=True)
    (dist / "graphiql").mkdir()
    (dist / "index.html").write_text("the page")
    (dist / "graphiql" / "index.html").write_text("graphiql")
    (dist / "assets" / "a.js").write_text("1")
    (tmp_path / "secret").write_text("secret")
    mounted(api).app = pages.Pages(dist)
    async with api.http.get(f"{api.url}/") as answer:
        assert (await answer.text(), answer.headers["cache-control"]) == ("the page", "no-cache")
    async with api.http.get(f"{api.url}/graphiql") as answer:
        assert (await answer.text(), answer.url.path) == ("graphiql", "/graphiql/")
    async with api.http.get(f"{api.url}/assets/a.js") as answer:
        assert (await answer.text(), "immutable" in answer.headers["cache-control"]) == ("1", True)
        assert answer.headers["content-type"].startswith("text/javascript")
    for path in ("/../secret", "/%2e%2e/secret", "/..%2fsecret", "//etc/passwd", "/assets/%00"):
        async with api.http.get(URL(f"{api.url}{path}", encoded=True)) as answer:
            assert answer.status == 404, path
    async with api.http.post(f"{api.url}/") as answer:
        assert answer.status == 405


async def test_whoever_looks_for_a_page_gets_the_dashboard_which_has_paths_of_its_own(tmp_path: Path, api: Api) -> None:
    (tmp_path / "index.html").write_text("the page")
    mounted(api).app = pages.Pages(tmp_path)
    for method, path, accept, status in (
        ("GET", "/webhooks/1", "text/html,*/*;q=0.8", 200),
        ("GET", "/webhooks/1", "*/*", 404),
        ("GET", "/assets/old.js", "text/html", 404),
        ("POST", "/webhooks/1", "text/html", 405),
    ):
        async with api.http.request(method, f"{api.url}{path}", headers={"accept": accept}) as answer:
            assert answer.status == status, (method, path, accept)
            assert status != 200 or await answer.text() == "the page"
            # The next version of the page may have the same address.
            assert status != 200 or answer.headers["cache-control"] == "no-cache"


async def test_a_websocket_to_a_page_is_refused(api: Api) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with opened(f"{api.url}/".replace("http", "ws", 1)):
            pass
    assert refused.value.response.status_code == 403
