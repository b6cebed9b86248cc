"""A full run with planted values: real processes, and then a search of all that they answered, sent and wrote."""

import base64
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from domain import workspaces
from tests.e2e.client import calling
from tests.e2e.system import KEY, System
from tests.waiting import until

FIRST_SECRET, NEXT_SECRET = "planted-first-secret", "planted-next-secret"
OWN_HEADER = "planted-api-key"
CREDENTIAL = "planted-credential"
PASSWORD = "planted-password"
# Not a secret: the search must find this, or it looks in the wrong places.
FINDABLE = "findable-name"

CREATE = """mutation($new: WebhookCreateInput!) { webhookCreate(input: $new) {
    webhook { id name callbackUrl hasSecret headers { name value } } errors { field code message } } }"""
ROTATE = """mutation($id: ID!, $input: WebhookRotateSecretInput) { webhookRotateSecret(id: $id, input: $input) {
    webhook { id hasSecret } errors { message } } }"""
ADD = """mutation($new: AccountAddInput!) { accountAdd(input: $new) {
    account { id name data authorized } errors { field message } } }"""
POST = """mutation($new: PostCreateInput!) { postCreate(input: $new) { post { id } errors { message } } }"""
EVERYTHING = """{
    webhooks { nodes { name callbackUrl headers { name value } } }
    accounts { nodes { name data } }
    viewer { workspace { tokens { nodes { name } } } }
    auditEvents { nodes { action detail } }
    events { nodes { payload } }
    deliveries { nodes { status attempts { outcome error requestUrl requestHeaders { name value } responseBody
        responseHeaders { name value } } } }
}"""


class Parrot:
    """A receiver that echoes all that it gets, the first time with an error; and a collector of traces."""

    def __init__(self) -> None:
        self.url = ""
        self.heard: list[str] = []
        self.traces = b""

    async def deliver(self, request: web.Request) -> web.Response:
        """Answer with the request."""
        heard = f"{request.path_qs} {dict(request.headers)} {await request.text()}"
        self.heard.append(heard)
        status = 500 if len(self.heard) == 1 else 200
        return web.Response(status=status, text=heard, headers={"X-Again": request.headers["X-Api-Key"]})

    async def collect(self, request: web.Request) -> web.Response:
        """Keep spans as they come."""
        self.traces += await request.read()
        return web.Response()


@asynccontextmanager
async def listening(parrot: Parrot) -> AsyncIterator[None]:
    application = web.Application()
    application.router.add_post("/hook", parrot.deliver)
    application.router.add_post("/traces", parrot.collect)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    parrot.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield
    finally:
        await runner.cleanup()


class Talkative(System):
    """Every process says all that it can, with debug logs and traces."""

    traces = ""

    def variables(self, who: str) -> dict[str, str]:
        """See System."""
        more = {
            "HOOKLINE_LOG_LEVEL": "debug",
            "HOOKLINE_TRACES_ENDPOINT": self.traces,
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }
        return {**super().variables(who), **more}


@dataclass
class Asker:
    """Asks, and keeps every answer as it came."""

    session: aiohttp.ClientSession
    url: str
    answers: list[str] = field(default_factory=list)

    async def ask(self, query: str, token: str = "", **variables: Any) -> Any:
        """The answer's data; None if it has none."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        body = {"query": query, "variables": variables}
        async with self.session.post(f"{self.url}/graphql", json=body, headers=headers) as answer:
            self.answers.append(f"{dict(answer.headers)} {await answer.text()}")
            return (await answer.json(content_type=None)).get("data")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where the whole system writes; the path of a unix socket must be short."""
    made = Path(tempfile.mkdtemp(prefix="hookline-secrets-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


async def test_what_is_secret_stands_in_no_answer_trace_metric_log_or_file_of_a_full_run(folder: Path) -> None:
    parrot, system = Parrot(), Talkative(folder)
    async with listening(parrot):
        system.traces = f"{parrot.url}/traces"
        try:
            await system.start(workers=1)
            _, token = await system.new_workspace()
            stranger = workspaces._generate()
            async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session:
                asker = Asker(session, system.url)
                await run(system, asker, parrot, token, stranger)
                for page in ("/metrics", "/readyz"):
                    async with session.get(f"{system.url}{page}") as answer:
                        asker.answers.append(await answer.text())
            for process in (system.api, *system.workers):
                process.send(signal.SIGTERM)
                await process.gone()
        finally:
            system.stop()

    # If the receiver had not got the header, nothing below would mean anything.
    assert all(OWN_HEADER in heard for heard in parrot.heard)
    secrets = [FIRST_SECRET, NEXT_SECRET, OWN_HEADER, CREDENTIAL, PASSWORD, token, stranger]
    planted = [secret.encode() for secret in (*secrets, base64.urlsafe_b64encode(KEY).decode())]
    answers = "\n".join(asker.answers).encode()
    files = written(folder)
    assert FINDABLE.encode() in answers
    assert any(FINDABLE.encode() in content for name, content in files.items() if name.startswith("postgres/"))
    assert b"deliver" in b"".join(content for name, content in files.items() if name.startswith("redis/"))
    assert b"request_id" in files["api.log"]
    assert b"attempt" in files["worker-0.log"]
    assert b"webhookCreate" in parrot.traces
    found = {
        (secret, place)
        for place, content in {**files, "an answer": answers, "a trace": parrot.traces}.items()
        for secret in planted
        if secret in content
    }
    assert not found


def written(folder: Path) -> dict[str, bytes]:
    """PostgreSQL's and Redis's files with their logs of all writes, and the output of every process."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def run(system: System, asker: Asker, parrot: Parrot, token: str, stranger: str) -> None:
    """Put every secret to its use, and to some misuse."""
    new = {
        "name": FINDABLE,
        "callbackUrl": f"{parrot.url}/hook",
        "secret": FIRST_SECRET,
        "headers": [{"name": "X-Api-Key", "value": OWN_HEADER}],
        "events": ["POST_CREATED"],
    }
    made = await asker.ask(CREATE, new=new)
    hook = made["webhookCreate"]["webhook"]["id"]
    await asker.ask(ROTATE, id=hook, input={"secret": NEXT_SECRET})
    account = await asker.ask(ADD, new={"provider": "SANDBOX", "server": "ok", "credential": CREDENTIAL})
    async with calling(system.url, token) as client, client.subscribed(hook) as changes:
        post = {"body": "Hello", "accountIds": [account["accountAdd"]["account"]["id"]]}
        await asker.ask(POST, new=post)
        await until(lambda: any(change["status"] == "RETRYING" for change in changes), what="a failure")
        await system.sql("UPDATE delivery SET due_at = now() WHERE status = 'retrying'")
        await until(lambda: changes[-1]["status"] == "SUCCEEDED", what="a success")
        asker.answers.append(str(changes))

    wrong = {**new, "callbackUrl": f"http://somebody:{PASSWORD}@example.com/"}
    await asker.ask(CREATE, new=wrong)
    for mistake in ({"secret": [NEXT_SECRET]}, {"secrets": NEXT_SECRET}, {"active": OWN_HEADER}, {"name": None}):
        assert await asker.ask(CREATE, new={**new, **mistake}) is None
    await asker.ask(f'mutation {{ webhookCreate(input: {{ secret "{NEXT_SECRET}" }}) {{ errors {{ code }} }} }}')
    await asker.ask(f'mutation {{ webhookCreate(input: {{ secret: {{ a: "{NEXT_SECRET}" }} }}) {{ secret }} }}')
    await asker.ask(EVERYTHING, token=stranger)
    assert (await asker.ask(EVERYTHING))["deliveries"]["nodes"][0]["attempts"]
    await until(lambda: b"webhookCreate" in parrot.traces, what="spans")
