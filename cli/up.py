"""`hookline up`: everything on one machine, in one command."""

import asyncio
import errno
import json
import math
import shlex
import signal
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from redis.exceptions import RedisError

from cli import ailments, sealed, sentences, welcome
from cli.data_folder import DataFolder
from cli.output import Output
from cli.private_server import PrivateServer
from cli.programs import Program, api_answers, reachable, try_port, worker_answers
from cli.receiver import Receiver
from cli.servers import PrivatePostgres, PrivateRedis
from cli.supervisor import Supervisor
from domain import database, tasks, unit, workspaces
from domain.addresses import check_url
from domain.errors import HooklineError, Misconfigured, Refused, Unauthenticated, Unavailable
from domain.live import ForeignRedis
from domain.settings import Settings
from domain.tables import Workspace
from domain.unit import Actor, Domain
from domain.vocabulary import Role
from domain.workspaces import NewToken

FIRST_WORKSPACE = "My workspace"
TOKEN_NAME = "hookline up"  # noqa: S105
NETWORKS = "HOOKLINE_ALLOWED_NETWORKS"
KEYS = "HOOKLINE_SECRET_KEYS"
LOOPBACK = "127.0.0.0/8,::1/128"
# The callback URL in the command that we print: on this machine, unless deliveries may not go there.
HERE, ELSEWHERE = "http://127.0.0.1:9000/", "https://receiver.example/"
# After a kill -9, the processes of the previous instance may take a moment to release the port.
PORT_PATIENCE_SECONDS = 1.0
# A signal may come twice: once because it is sent to the whole process group, and once from `make`.
ECHO_SECONDS = 1.0


class PortRefusedError(HooklineError):
    """The API cannot listen where it should."""


@dataclass(frozen=True)
class Place:
    """Where to keep the data and where to listen."""

    data: Path
    host: str
    port: int


def run(place: Place, environ: Mapping[str, str], output: Output) -> int:
    """Run until SIGINT or SIGTERM, or until something fails for good. Returns the exit code."""
    try:
        folder = DataFolder(place.data)
        with folder.held():
            there = replace(place, port=free_port(place.host, place.port))
            asyncio.run(_Instance(there, folder, environ, output).run())
    except HooklineError as error:
        output.fail(str(error))
        return 1
    except OSError as error:
        output.fail(f"{error.filename or place.data}: {error.strerror or error}.")
        return 1
    output.say("Stopped.")
    return 0


class _Instance:
    """One run of `hookline up`."""

    def __init__(self, place: Place, folder: DataFolder, environ: Mapping[str, str], output: Output) -> None:
        self._place = place
        self._folder = folder
        self._environ = environ
        self._output = output
        self._supervisor = Supervisor(output)
        self._receiver = Receiver(output)

    async def run(self) -> None:
        """Start everything, watch it, and end it all when told to. Raises HooklineError if a part fails for good."""
        work = asyncio.create_task(self._work())
        told = asyncio.Event()
        clock = asyncio.get_running_loop().time
        told_at = math.inf

        def stop() -> None:
            nonlocal told_at
            told_at = min(told_at, clock())
            if clock() - told_at > ECHO_SECONDS:
                self._supervisor.hurry()
            told.set()

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # Under `nohup` we ignore a terminal that goes away.
            if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                asyncio.get_running_loop().add_signal_handler(number, stop)
        stopping = asyncio.create_task(told.wait())
        try:
            await asyncio.wait({work, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if told.is_set():
                self._output.say("Stopping. Press Ctrl-C again to stop at once.")
            await tasks.end(work, stopping)
        finally:
            await self._supervisor.stop()
            # Last, so that deliveries which the worker still finishes arrive.
            await self._receiver.close()
        with suppress(asyncio.CancelledError):
            work.result()

    async def _work(self) -> None:
        if not is_given(KEYS, self._environ):
            self._folder.make_key()
        listening = {"HOOKLINE_HOST": self._place.host, "HOOKLINE_PORT": str(self._place.port)}
        environment = replaced(environment_of(self._folder, self._environ), listening)
        settings = Settings.from_environment(environment)
        if settings.metrics_port == settings.port:
            # The worker may listen there first, and its answer would look like a ready API.
            raise Misconfigured("HOOKLINE_METRICS_PORT must not be the port that the API listens on.")
        servers = self._servers()
        for server in servers:
            self._output.say(f"Starting {server.name} in {near(server.data)}", "dim")
        await self._supervisor.start(*servers)
        with sentences.of_the_database():
            await database.migrate(settings)
            async with unit.opened(settings) as domain:
                await sealed.require(domain.vault, self._output)
                await self._claim_redis(domain)
                workspace, token = await entrance(domain, self._folder.known_token())
                receives = await self._receives(domain, workspace)
                callback = ELSEWHERE if check_url(HERE, domain.policy) else HERE
        await self._supervisor.start(*self._programs(environment, settings))
        await self._announce(settings, token, callback, receives=receives)
        await self._supervisor.watch()

    async def _claim_redis(self, domain: Domain) -> None:
        try:
            await domain.hub.live.claim()
        except ForeignRedis:
            if is_given("HOOKLINE_REDIS_URL", self._environ):
                self._output.say(". ".join(ailments.FOREIGN), "yellow")
            else:
                # It was kept with another database, so nothing in it belongs to this one.
                await domain.redis.flushall()
        except (RedisError, OSError):
            pass  # it may come later

    async def _receives(self, domain: Domain, workspace: Workspace) -> bool:
        try:
            return await welcome.receive(domain, workspace, self._folder, self._receiver)
        except Refused as refused:
            self._output.say(f"The built-in receiver is left out: {refused}", "dim")
            return False

    def _servers(self) -> list[PrivateServer]:
        """The private servers that are needed: those for which the environment names no other server."""
        servers: list[PrivateServer] = []
        if not is_given("HOOKLINE_DATABASE_URL", self._environ):
            servers.append(PrivatePostgres(self._folder.postgres))
        if not is_given("HOOKLINE_REDIS_URL", self._environ):
            servers.append(PrivateRedis(self._folder.redis, self._output.note))
        return servers

    def _programs(self, environment: Mapping[str, str], settings: Settings) -> tuple[Program, Program]:
        ready_file = self._folder.ready_file
        api = Program("api", environment, settings.shutdown_deadline, api_answers(settings.host, settings.port))
        told = replaced(environment, {"HOOKLINE_READY_FILE": str(ready_file)})
        return api, Program("worker", told, settings.shutdown_deadline, worker_answers(ready_file))

    async def _announce(self, settings: Settings, token: str, callback: str, *, receives: bool) -> None:
        url = address(settings.host, settings.port)
        self._folder.write_access(url, token)
        self._output.say("Hookline is ready.", "bold green")
        await self._invite(settings, url, token)
        if receives:
            self._output.say(
                f'Publish a post there: a built-in receiver shows its delivery here, the webhook "{welcome.WEBHOOK}" '
                "shows it there, live."
            )
        self._output.say("")
        another = f"{command()} signin --data {shlex.quote(str(self._place.data))}"
        self._output.pairs([("URL", url), ("GraphiQL", f"{url}/graphiql"), ("Token", token), ("New link", another)])
        self._output.say(f"The URL and token are also in {near(self._folder.access)}, readable only by you.")
        if callback == HERE and not is_given(NETWORKS, self._environ):
            self._output.say(f"Deliveries may go to this machine itself ({LOOPBACK}); set {NETWORKS} to change that.")
        yours = "" if callback == HERE else f", with the URL of your receiver in place of {ELSEWHERE}"
        self._output.say(f"\nTo make a webhook of your own, paste this into another terminal{yours}:")
        self._output.say(example(url, token, callback), "bold")
        self._output.say(f"\nCtrl-C stops everything. The data stays in {near(self._folder.path)} for the next start.")

    async def _invite(self, settings: Settings, url: str, token: str) -> None:
        try:
            link = await welcome.link(settings, url, token)
        except Unavailable as error:
            self._output.say(str(error), "yellow")
            return
        self._output.say("\nOpen the dashboard, signed in; this link works once, within 15 minutes:")
        self._output.say(link, "bold")


def command() -> str:
    """How to run `hookline` from here: as this process was run, if that was by the name `hookline`."""
    return shlex.quote(sys.argv[0]) if Path(sys.argv[0]).name == "hookline" else "hookline"


def is_given(name: str, environ: Mapping[str, str]) -> bool:
    """Whether a setting is given: by its variable, or by NAME_FILE. An empty variable counts for the networks only."""
    return bool(environ.get(name) or environ.get(f"{name}_FILE")) or (name == NETWORKS and name in environ)


def near(path: Path) -> str:
    """A path as one would type it from here."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def environment_of(folder: DataFolder, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment of our processes: our own, and for what it does not give, what is in the data folder.

    Raises FolderRefusedError if the folder's key is lost.
    """
    ours: dict[str, Callable[[], str]] = {
        "HOOKLINE_LOG_FORMAT": lambda: "text",
        NETWORKS: lambda: LOOPBACK,
        "HOOKLINE_DATABASE_URL": lambda: PrivatePostgres(folder.postgres).url,
        "HOOKLINE_REDIS_URL": lambda: PrivateRedis(folder.redis).url,
        KEYS: folder.secret_key,
    }
    return {**environ, **{name: value() for name, value in ours.items() if not is_given(name, environ)}}


def replaced(environ: Mapping[str, str], variables: Mapping[str, str]) -> dict[str, str]:
    """The environment with these variables set. They replace what it gives itself, also by NAME_FILE."""
    files = {f"{name}_FILE" for name in variables}
    return {**{name: environ[name] for name in environ if name not in files}, **variables}


def free_port(host: str, port: int) -> int:
    """The port, after a check that we can listen on it; a free one for 0. Raises PortRefusedError."""
    end = time.monotonic() + PORT_PATIENCE_SECONDS
    while True:
        try:
            return try_port(host, port)
        except (OSError, UnicodeError) as error:
            if time.monotonic() < end and isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
                time.sleep(0.1)
                continue
            raise PortRefusedError(_why_not(host, port, error)) from None


def _why_not(host: str, port: int, error: OSError | UnicodeError) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return f"Port {port} of {host} is taken by another program; `{command()} up --port 0` takes a free one."
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return f"Cannot listen on port {port} of {host}: {reason}."


async def entrance(domain: Domain, known: str | None) -> tuple[Workspace, str]:
    """The known token and its workspace; if it is not valid, the first workspace and a new token of an admin."""
    if known is not None:
        with suppress(Unauthenticated):
            return (await workspaces.authenticate(known, datetime.now(UTC))).workspace, known
    workspace = await Workspace.all().order_by("id").first() or await workspaces.create(FIRST_WORKSPACE)
    async with domain.unit(Actor(workspace, None, Role.ADMIN)) as opened:
        _, secret = await workspaces.create_token(opened, NewToken(TOKEN_NAME, Role.ADMIN))
    return workspace, secret


def address(host: str, port: int) -> str:
    """The URL under which a browser on this machine finds the API."""
    found = reachable(host)
    return f"http://[{found}]:{port}" if ":" in found else f"http://{found}:{port}"


def example(url: str, token: str, callback: str) -> str:
    """A mutation to paste into a shell."""
    query = (
        f'mutation {{ webhookCreate(input: {{name: "First", callbackUrl: "{callback}", '
        "events: [ACCOUNT_ADDED, POST_PUBLISHED], generateSecret: true}) "
        "{ webhook { id } secret errors { field message } } }"
    )
    body = json.dumps({"query": query})
    headers = ["-H", f"Authorization: Bearer {token}", "-H", "Content-Type: application/json"]
    return shlex.join(["curl", "-s", f"{url}/graphql", *headers, "-d", body])
