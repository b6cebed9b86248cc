"""A real Bluesky PDS (`@atproto/pds`) with its directory of identities, on loopback, for tests.

The SQLite driver that it depends on would have to be compiled; `pds/sqlite/` replaces it.
"""

import json
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp

from cli.processes import wait_until
from tests.node import NODE, install

FOLDER = Path(__file__).parent / "pds"
STARTS_WITHIN = timedelta(seconds=60)
ENDS_WITHIN = timedelta(seconds=10)


@dataclass(frozen=True)
class PdsAccount:
    """An account on the PDS, with its own password and an app password."""

    did: str
    handle: str
    password: str
    app_password: str


@dataclass(frozen=True)
class Pds:
    """A running PDS."""

    url: str
    admin: str

    async def add_account(self) -> PdsAccount:
        """A new account, with an app password named "hookline"."""
        handle, password = f"user-{secrets.token_hex(4)}.test", secrets.token_urlsafe(16)
        new = {"handle": handle, "password": password, "email": f"{handle}@example.test"}
        created = await self.procedure("com.atproto.server.createAccount", new)
        account = PdsAccount(created["did"], handle, password, "")
        return replace(account, app_password=await self.new_app_password(account))

    async def new_app_password(self, account: PdsAccount) -> str:
        """An app password named "hookline", as the owner makes it in the app's settings."""
        name = {"name": "hookline"}
        made = await self.procedure("com.atproto.server.createAppPassword", name, await self._access(account))
        password: str = made["password"]
        return password

    async def revoke_app_password(self, account: PdsAccount) -> None:
        """As the owner does in the app's settings."""
        await self.procedure("com.atproto.server.revokeAppPassword", {"name": "hookline"}, await self._access(account))

    async def take_down(self, account: PdsAccount) -> None:
        """As the server's moderators do."""
        subject = {"$type": "com.atproto.admin.defs#repoRef", "did": account.did}
        body = {"subject": subject, "takedown": {"applied": True, "ref": "test"}}
        headers = {"Authorization": aiohttp.encode_basic_auth("admin", self.admin)}
        await self._call("POST", "com.atproto.admin.updateSubjectStatus", json=body, headers=headers)

    async def set_profile(self, account: PdsAccount, record: dict[str, Any]) -> None:
        """Write the record that the account's name and picture come from."""
        body = {"repo": account.did, "collection": "app.bsky.actor.profile", "rkey": "self", "record": record}
        await self.procedure("com.atproto.repo.putRecord", body, await self._access(account))

    async def upload(self, account: PdsAccount, content: bytes, media_type: str) -> dict[str, Any]:
        """Store a file; returns its reference."""
        headers = {"Authorization": f"Bearer {await self._access(account)}", "Content-Type": media_type}
        answer = await self._call("POST", "com.atproto.repo.uploadBlob", data=content, headers=headers)
        blob: dict[str, Any] = answer["blob"]
        return blob

    async def posts(self, did: str) -> list[dict[str, Any]]:
        """All posts of an account, newest first: {"uri", "cid", "value"}, as anybody may read them."""
        query = {"repo": did, "collection": "app.bsky.feed.post", "limit": "100"}
        answer = await self._call("GET", "com.atproto.repo.listRecords", params=query)
        records: list[dict[str, Any]] = answer["records"]
        return records

    async def procedure(self, method: str, body: Any, token: str | None = None) -> Any:
        """Call a procedure of the PDS; fails the test unless it succeeds."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return await self._call("POST", method, json=body, headers=headers)

    async def _access(self, account: PdsAccount) -> str:
        login = {"identifier": account.did, "password": account.password}
        token: str = (await self.procedure("com.atproto.server.createSession", login))["accessJwt"]
        return token

    async def _call(self, verb: str, method: str, **options: Any) -> Any:
        async with (
            aiohttp.ClientSession() as session,
            session.request(verb, f"{self.url}/xrpc/{method}", **options) as answer,
        ):
            text = await answer.text()
            assert answer.ok, f"{method}: {answer.status} {text}"
            return json.loads(text) if text else None


@contextmanager
def running_pds(data: Path) -> Iterator[Pds]:
    """A PDS that keeps its data under this folder and ends with the block."""
    install(FOLDER)
    data.mkdir(parents=True, exist_ok=True)
    output, log = data / "output.json", data / "errors.log"
    with output.open("wb") as out, log.open("wb") as errors:
        command = [NODE, FOLDER / "serve.js", data]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=out, stderr=errors)
    try:
        wait_until(lambda: output.read_text().endswith("\n") or process.poll() is not None, STARTS_WITHIN)
        assert process.poll() is None, log.read_text()
        yield Pds(**json.loads(output.read_text()))
    finally:
        # It ends when its standard input closes, so it is not left behind, whatever happens to this process.
        process.communicate(timeout=ENDS_WITHIN.total_seconds())
