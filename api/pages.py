"""The pages that people look at: built by `make web` into web/dist, served from there and nowhere else."""

from pathlib import Path

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

DIST = Path(__file__).resolve().parent.parent / "web" / "dist"
# Files whose names change with their content (Vite's assets).
FOREVER = "public, max-age=31536000, immutable"

NOT_BUILT = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Hookline</title>
<h1>Hookline is running</h1>
<p>Its pages are not built on this machine: run <code>make web</code>, then load this page again.</p>
<p>The API does not need them. Send GraphQL to <code>/graphql</code>:</p>
<pre>curl http://127.0.0.1:8000/graphql -H 'Authorization: Bearer hl_...' \\
  -H 'Content-Type: application/json' -d '{"query": "{ viewer { workspace { name } } }"}'</pre>
</html>
"""


class Pages:
    """Static files; a plain page if they are not built."""

    def __init__(self, folder: Path = DIST) -> None:
        self.folder = folder
        self._files = StaticFiles(directory=folder, html=True, check_dir=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request for a page or a file."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        response = await self._response(scope)
        await response(scope, receive, send)

    async def _response(self, scope: Scope) -> Response:
        path: str = scope["path"]
        if path == "/graphiql":
            # StaticFiles would redirect too, but only if the pages are built.
            return RedirectResponse("/graphiql/", 308)
        if not (self.folder / "index.html").is_file():
            if path in {"/", "/signin", "/graphiql/"} and scope["method"] in {"GET", "HEAD"}:
                return HTMLResponse(NOT_BUILT)
            raise HTTPException(404)
        response = await self._file(scope)
        response.headers["cache-control"] = FOREVER if "/assets/" in path else "no-cache"
        return response

    async def _file(self, scope: Scope) -> Response:
        try:
            return await self._files.get_response(self._files.get_path(scope), scope)
        except HTTPException as error:
            # The dashboard is one page, which handles paths of its own, such as /webhooks/<id>.
            if error.status_code != 404 or not _asks_for_a_page(scope):
                raise
            return await self._files.get_response("index.html", scope)


def _asks_for_a_page(scope: Scope) -> bool:
    return "text/html" in Headers(scope=scope).get("accept", "") and not scope["path"].startswith("/assets/")
