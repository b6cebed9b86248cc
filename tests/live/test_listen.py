"""`hookline listen`, as a process between a real API, a real worker and a real receiver."""

import asyncio
import json
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.forward import Relayed
from cli.listen import Listener, receiver_of, source_of
from cli.main import app
from cli.output import Output
from cli.programs import CHECKOUT
from domain import ids, workspaces
from domain.errors import HooklineError
from domain.tables import Attempt
from domain.vocabulary import ContentType, EventType, HttpMethod, Role
from domain.workspaces import NewToken
from tests.domain.doing import happen, listen
from tests.e2e.system import System
from tests.live.network import breaking
from tests.live.world import EVENT, World
from tests.receiver import Received, Receiver, receiving
from tests.running import environment, hookline
from tests.waiting import until

# Allows for a busy machine.
SECONDS = 90.0
SECRET = "whsec_" + "A" * 40 + "="


class Listening:
    """A `hookline listen` that runs."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.lines: list[str] = []
        self.notes: list[str] = []
        assert process.stdout is not None
        assert process.stderr is not None
        self._reading = [
            asyncio.create_task(self._read(process.stdout, self.lines)),
            asyncio.create_task(self._read(process.stderr, self.notes)),
        ]

    async def _read(self, stream: asyncio.StreamReader, into: list[str]) -> None:
        while line := await stream.readline():
            into.append(line.decode().rstrip("\n"))

    async def says(self, words: str) -> None:
        """Returns once a note has these words."""
        await until(lambda: any(words in note for note in self.notes), SECONDS, f"{words!r} in {self.notes}")

    async def told(self, count: int) -> list[str]:
        """Returns the lines once there are this many."""
        await until(lambda: len(self.lines) >= count, SECONDS, f"{count} lines: {self.lines} {self.notes}")
        return self.lines

    async def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send Ctrl-C, or another signal; returns the exit code."""
        self.process.send_signal(number)
        async with asyncio.timeout(SECONDS):
            code = await self.process.wait()
            await asyncio.gather(*self._reading)
        return code


@asynccontextmanager
async def listening(*arguments: str, **variables: str) -> AsyncIterator[Listening]:
    """Start it; it is killed at the end of the block if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "cli", "listen", *arguments, cwd=CHECKOUT, env=environment(**variables),
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    running = Listening(process)
    try:
        yield running
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await asyncio.gather(*running._reading)


@pytest.fixture
async def local() -> AsyncIterator[Receiver]:
    """The receiver on a person's own machine."""
    async with receiving() as receiver:
        yield receiver


def told_of(world: World) -> dict[str, str]:
    return {"HOOKLINE_URL": world.system.url, "HOOKLINE_TOKEN": world.token}


def of_hookline(request: Received) -> list[tuple[str, str]]:
    """The headers without those of the connection."""
    return [(name, value) for name, value in request.headers.items() if name not in {"Host", "Content-Length"}]


async def test_the_exact_body_and_headers_of_the_first_attempt_are_forwarded(
    world: World, local: Receiver, receiver: Receiver
) -> None:
    shapes = set(product((HttpMethod.POST, HttpMethod.PUT), ContentType))
    own = (("Authorization", "Bearer abc"), ("X-Team", "a"))
    for method, content_type in shapes:
        details = {"method": method, "content_type": content_type, "secret": SECRET, "headers": own}
        await listen(world.domain, world.admin, EVENT, callback_url=receiver.url_of("/in"), **details)
    async with listening("--forward-to", local.url_of("/hook?a=b"), **told_of(world)) as running:
        await running.says("Listening to Test")
        await happen(world.domain, world.admin, EVENT)
        lines = await running.told(len(shapes))
        assert await running.end() == 0
    assert {(request.method, request.headers["Content-Type"]) for request in receiver.requests} == shapes
    assert len(local.requests) == len(lines) == len(shapes)
    sent_as = {request.headers["X-Hookline-Delivery"]: request for request in receiver.requests}
    for forwarded in local.requests:
        sent = sent_as.pop(forwarded.headers["X-Hookline-Delivery"])
        assert (forwarded.method, forwarded.path, forwarded.body) == (sent.method, "/hook?a=b", sent.body)
        # Nothing else differs: the worker adds these for its connection.
        added = {"Accept", "Accept-Encoding", "Connection"}
        assert of_hookline(forwarded) == [header for header in of_hookline(sent) if header[0] not in added]
        assert forwarded.headers["X-Signature"]
    for line in lines:
        assert "post.created" in line
        assert " 200 " in line
        assert "\x1b" not in line


async def test_only_the_first_attempt_of_what_was_asked_for_is_forwarded(
    world: World, local: Receiver, receiver: Receiver
) -> None:
    wanted = await listen(world.domain, world.admin, callback_url=receiver.url_of("/wanted"), max_attempts=2)
    await listen(world.domain, world.admin, callback_url=receiver.url_of("/other"))
    receiver.answer(500, 500, path="/wanted")
    local.answer(500)
    narrow = ("--webhook", ids.make("Webhook", wanted.id), "--events", "post.created,ACCOUNT_ADDED", "--json")
    async with listening("--forward-to", local.url, *narrow, **told_of(world)) as running:
        await running.says("Listening to the webhook Hook")
        await happen(world.domain, world.admin, EventType.POST_DELETED)
        await happen(world.domain, world.admin, EventType.POST_CREATED)
        await until(lambda: attempted(world, 4), SECONDS, "the first attempts")
        await world.system.sql("UPDATE delivery SET due_at = now() WHERE status = 'retrying'")
        await receiver.wait_for(6)
        await happen(world.domain, world.admin, EventType.ACCOUNT_ADDED)
        told = [json.loads(line) for line in await running.told(2)]
        assert await running.end() == 0
    assert [(each["event"], each["status"], each["error"]) for each in told] == [
        ("post.created", 500, None),
        ("account.added", 200, None),
    ]
    assert set(told[0]) == {"time", "event", "delivery", "status", "durationMs", "error"}
    assert len(local.requests) == 2


async def attempted(world: World, count: int) -> bool:
    return await Attempt.filter(delivery__workspace_id=world.workspace_id).count() >= count


async def test_each_delivery_is_forwarded_once_though_the_network_breaks_and_the_api_is_killed(
    world: World, local: Receiver
) -> None:
    await world.listen(5)
    system: System = world.system
    async with breaking(system.port, [3_000 * number for number in range(1, 16)]) as network:
        told = told_of(world) | {"HOOKLINE_URL": network.url}
        async with listening("--forward-to", local.url, **told) as running:
            await running.says("Listening to")
            await world.happen(20)
            await world.all_finished(100, SECONDS)
            system.api.kill()
            await world.happen(20)
            system.api.launch()
            await system.api.ready()
            await world.happen(20)
            lines = await running.told(300)
            assert await running.end() == 0
    assert network.made == 15
    deliveries = [request.headers["X-Hookline-Delivery"] for request in local.requests]
    assert len(deliveries) == len(lines) == 300
    assert set(deliveries) == set(await world.statuses())
    assert any("Connecting again" in note for note in running.notes)


async def test_an_expired_cursor_is_said_and_listening_goes_on(world: World, local: Receiver) -> None:
    await world.listen(1)
    async with listening("--forward-to", local.url, **told_of(world)) as running:
        await running.says("Listening to")
        await world.happen(1)
        await running.told(1)
        await world.domain.redis.flushall()
        await running.says("no longer kept")
        await world.happen(2)
        await running.told(3)
        assert await running.end() == 0
    assert len(local.requests) == 3


async def test_a_receiver_that_is_down_costs_no_more_than_its_deliveries(world: World, closed_port: str) -> None:
    await world.listen(1)
    async with listening("--forward-to", closed_port, **told_of(world)) as running:
        await running.says("Listening to")
        await world.happen(2)
        lines = await running.told(2)
        assert await running.end() == 0
    assert all("failed" in line and "The receiver refused the connection." in line for line in lines)


async def test_what_followed_an_attempt_whose_worker_died_is_forwarded(world: World, local: Receiver) -> None:
    system = world.system
    await world.listen(1)
    world.receivers.behaviours["/0"].until = asyncio.Event()
    async with listening("--forward-to", local.url, **told_of(world)) as running:
        await running.says("Listening to")
        await world.happen(1)
        await until(lambda: len(world.receivers.arrivals) == 1)
        system.kill_workers()
        world.receivers.behaviours["/0"].until = None
        await system.end_leases()
        system.add_worker()
        await running.told(1)
    assert await Attempt.filter(delivery__workspace_id=world.workspace_id).count() == 2
    (request,) = local.requests
    assert request.headers["X-Hookline-Attempt"] == "2"


async def test_a_token_that_may_not_see_requests_is_refused(world: World) -> None:
    async with world.domain.unit(world.admin) as unit:
        _, token = await workspaces.create_token(unit, NewToken("viewer", Role.VIEWER))
    refused = await asyncio.to_thread(
        hookline, "listen", "--forward-to", "localhost:1", "--url", world.system.url, "--token", token
    )
    sentence = "Listening shows what deliveries carry: that takes the token of an admin.\n"
    assert (refused.returncode, refused.stdout, refused.stderr) == (1, "", sentence)


@pytest.mark.parametrize(
    ("path", "token", "webhook", "words"),
    [
        pytest.param("", "hl_nonsense", None, "refuses this token", id="a wrong token"),
        pytest.param("/elsewhere", None, None, "Is that Hookline's address?", id="a wrong path"),
        pytest.param("", None, "V2ViaG9vazo5OTk5", "There is no webhook with the id", id="an unknown webhook"),
    ],
)
async def test_what_the_server_refuses_is_a_sentence(
    world: World, tmp_path: Path, path: str, token: str | None, webhook: str | None, words: str
) -> None:
    source = source_of(world.system.url + path, token or world.token, tmp_path / "none", (), webhook)
    taken: asyncio.Queue[Relayed] = asyncio.Queue()
    async with asyncio.timeout(SECONDS):
        with pytest.raises(HooklineError, match=re.escape(words)) as refused:
            await Listener(source, receiver_of("localhost:1"), taken.put, Output()).listen()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(("--url", "http://127.0.0.1:1", "--token", "t"), "cannot be reached", id="nobody there"),
        pytest.param(("--url", "http://nowhere.invalid", "--token", "t"), "cannot be", id="an unknown host"),
        pytest.param(("--url", "ftp://x", "--token", "t"), "is not a URL of Hookline", id="no address"),
        pytest.param(("--data", "/nonexistent"), "Say where to listen, with --url and --token", id="no address at all"),
        pytest.param(("--url", "x", "--token", "t", "--events", "a.b"), "There is no event a.b", id="an unknown event"),
        pytest.param(
            ("--url", "x", "--token", "t", "--forward-to", "ftp://x"), "is not a URL to forward to", id="no receiver"
        ),
    ],
)
def test_what_cannot_be_listened_to_is_a_sentence(arguments: tuple[str, ...], words: str) -> None:
    unset = {"HOOKLINE_URL": None, "HOOKLINE_TOKEN": None}
    refused = CliRunner().invoke(app, ["listen", "--forward-to", "http://127.0.0.1:1", *arguments], env=unset)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert words in refused.stderr
    assert refused.stderr.count("\n") == 1


async def test_address_and_token_are_those_that_up_has_left(world: World, local: Receiver, tmp_path: Path) -> None:
    (tmp_path / "hookline.json").write_text(json.dumps({"url": world.system.url, "token": world.token}))
    await world.listen(1)
    async with listening("--forward-to", local.url, "--data", str(tmp_path)) as running:
        await running.says("Listening to")
        await world.happen(1)
        await running.told(1)
        assert await running.end(signal.SIGTERM) == 0
