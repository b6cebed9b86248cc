"""The `hookline` command."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli import access, operating, rotation, welcome
from cli import listen as listening
from cli import up as upping
from cli.data_folder import DataFolder, new_key
from cli.loading import load
from cli.opening import Data, Json, folder, print_result, require_migrated, said, settings_of
from cli.output import Output
from domain import database, logs
from domain.settings import Settings
from domain.version import VERSION
from workers import main as worker_process

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=True)
workspace_commands = typer.Typer(no_args_is_help=True)
token_commands = typer.Typer(no_args_is_help=True)
key_commands = typer.Typer(no_args_is_help=True)
app.add_typer(workspace_commands, name="workspace", help="Create, list and erase workspaces.")
app.add_typer(token_commands, name="token", help="Create, list and revoke tokens, which give access to a workspace.")
app.add_typer(key_commands, name="keys", help="Create and rotate the keys that encrypt secrets at rest.")


def show_version(asked: bool) -> None:
    """Print the version, and end."""
    if asked:
        with said():
            Output().say(VERSION)
        raise typer.Exit


@app.callback()
def hookline(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Signed, realtime webhooks for social publishing workspaces, over GraphQL."""
    # Each command itself reports what it cannot reach.
    logs.hush()


@app.command()
def up(
    data: Annotated[Path, folder("Where the private servers, the key and the token are kept.")] = Path("var"),
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0 for a free one.")] = 8000,
) -> None:
    """Run everything on this machine: PostgreSQL, Redis, API and worker. Ctrl-C stops it all."""
    output = Output(goes_on=True, aside=True)
    raise typer.Exit(upping.run(upping.Place(data, host, port), os.environ, output))


@app.command()
def signin(
    data: Annotated[Path, folder("The folder that `hookline up` runs with.")] = Path("var"),
    as_json: Json = False,
) -> None:
    """Print a link that opens the dashboard of a running `hookline up`, signed in: once, within 15 minutes."""
    with said():
        kept = DataFolder(data).opened()
        # The settings of `hookline up` itself: it may use other servers than those in the folder.
        settings = Settings.from_environment(upping.environment_of(kept, os.environ))
        print_result("url", asyncio.run(welcome.another_link(settings, kept)), as_json=as_json)


@app.command()
def api() -> None:
    """Serve GraphQL over HTTP and WebSocket, configured by HOOKLINE_* variables."""
    with said():
        settings = Settings.from_environment()
        finish_well()
        # Loaded only here: a worker would spend a third of its start and 18 MiB on libraries for GraphQL.
        load("api.main").run(settings)


@app.command()
def worker() -> None:
    """Deliver and publish what is due."""
    with said():
        worker_process.run(Settings.from_environment())


@app.command()
def migrate(data: Data = None, as_json: Json = False) -> None:
    """Bring the tables of the database up to date."""
    with said():
        tell = (lambda _: None) if as_json else Output().note
        asyncio.run(database.migrate(settings_of(data), tell))
        if as_json:
            print_result("migrated", True, as_json=True)


@key_commands.command("generate")
def generate_key(as_json: Json = False) -> None:
    """Create a key for HOOKLINE_SECRET_KEYS and print it."""
    with said():
        print_result("key", new_key(), as_json=as_json)


@key_commands.command("rotate")
def rotate_keys(data: Data = None, as_json: Json = False) -> None:
    """Re-encrypt all secrets with the first of HOOKLINE_SECRET_KEYS, so the others can go. Safe while Hookline runs."""

    async def rotate(settings: Settings) -> bool:
        async with database.connected(settings):
            await require_migrated()
            return await rotation.rotate(settings, Output(), as_json=as_json)

    with said():
        raise typer.Exit(0 if asyncio.run(rotate(settings_of(data))) else 1)


@app.command()
def listen(
    *,
    forward_to: Annotated[str, typer.Option(help="Your receiver, for example http://localhost:3000/hook.")],
    # Variables for clients, not settings (docs/settings.md).
    url: Annotated[str | None, typer.Option(envvar="HOOKLINE_URL", help="The URL of Hookline.")] = None,
    token: Annotated[str | None, typer.Option(envvar="HOOKLINE_TOKEN", help="An admin's token.")] = None,
    data: Annotated[Path, folder("Folder of a `hookline up` to read URL and token from, if not given.")] = Path("var"),
    events: Annotated[
        list[str] | None, typer.Option(help="Only these, for example post.published,post.created.")
    ] = None,
    webhook: Annotated[str | None, typer.Option(help="Only deliveries to the webhook with this id.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Relay live deliveries, exactly as they were sent, to a receiver on this machine. Ctrl-C ends it."""
    with said():
        source = listening.source_of(url, token, DataFolder(data).access, events or (), webhook)
        listening.run(source, listening.receiver_of(forward_to), Output(goes_on=True), as_json=as_json)


def finish_well() -> None:
    """Make a stop signal exit with 0: once everything is closed, uvicorn raises the signal that it got again."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))


access.register(workspace_commands, token_commands)
operating.register(app, workspace_commands)
