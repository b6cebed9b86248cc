"""The commands for operators: doctor, status, replay, workspace erase."""

import asyncio
import os
from contextlib import suppress
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

import typer

from cli import doctor as examining
from cli import erase as erasing
from cli import replay as replaying
from cli import status as looking
from cli import up as upping
from cli.data_folder import DataFolder
from cli.opening import (
    Data,
    Json,
    find_workspace,
    print_result,
    require_migrated,
    said,
    settings_of,
    unambiguous_environment,
)
from cli.output import Output
from cli.replay import Wanted
from domain import unit
from domain.settings import Settings
from domain.tables import Workspace
from domain.vocabulary import DeliveryStatus


class Ended(StrEnum):
    """Deliveries that can be sent again are those that have ended."""

    SUCCEEDED = DeliveryStatus.SUCCEEDED.value
    FAILED = DeliveryStatus.FAILED.value
    CANCELLED = DeliveryStatus.CANCELLED.value


def register(app: typer.Typer, workspaces: typer.Typer) -> None:
    """Add these commands to the others."""
    for command in (doctor, status, replay):
        app.command()(command)
    workspaces.command("erase")(erase_workspace)


def doctor(data: Data = None, as_json: Json = False) -> None:
    """Check settings, servers and tables, and say what is wrong and what to do. Changes nothing permanently."""
    with said():
        environ = dict(os.environ)
        if data is not None:
            folder = DataFolder(data)
            environ = upping.replaced(unambiguous_environment(folder), folder.listening())
        well = asyncio.run(examining.run(environ, Output(), as_json=as_json))
    raise typer.Exit(0 if well else 1)


def status(
    watch: Annotated[bool, typer.Option(help="Keep refreshing until Ctrl-C.")] = False,
    every: Annotated[float, typer.Option(min=0.5, max=3600, help="Seconds between updates.")] = 2.0,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Show what is due and for how long, how the last hour went, and which webhooks are in trouble."""
    with said(), suppress(KeyboardInterrupt):
        settings = settings_of(data)
        if watch:
            asyncio.run(looking.watch(settings, Output(), timedelta(seconds=every), as_json=as_json))
        else:
            asyncio.run(looking.run(settings, Output(), as_json=as_json))


def replay(
    *,
    webhook: Annotated[str, typer.Option(help="The id of the webhook, as the API and `hookline status` show it.")],
    since: Annotated[str, typer.Option(help="Deliveries made since then: 90m, 2h, 3d, 1w or 2026-05-01T08:00:00Z.")],
    until: Annotated[str | None, typer.Option(help="And made before then; now by default.")] = None,
    only: Annotated[list[Ended] | None, typer.Option(help="Only deliveries with this status. Can be repeated.")] = None,
    wait: Annotated[bool, typer.Option(help="Show how far it has come, until it has ended.")] = True,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Send finished deliveries of one webhook again: the failed ones, unless --only names others."""
    wanted = Wanted(webhook, tuple(DeliveryStatus(each) for each in only or (Ended.FAILED,)), since, until)
    with said():
        settings = settings_of(data)
        asyncio.run(replaying.run(settings, wanted, Output(), wait=wait, as_json=as_json))


def erase_workspace(
    workspace: Annotated[str, typer.Argument(help="The name or the id of the workspace.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Remove a workspace and everything in it, for good: webhooks, posts, tokens, every delivery. It asks first."""

    async def erase(settings: Settings) -> int:
        async with unit.opened(settings) as domain:
            await require_migrated()
            found = await find_workspace(workspace)
            confirm(found, asked=not yes)
            return await erasing.run(domain, found)

    with said():
        removed = asyncio.run(erase(settings_of(data)))
        print_result("removed", removed if as_json else f"Gone: {removed:,} rows.", as_json=as_json)


def confirm(workspace: Workspace, *, asked: bool) -> None:
    """Ask a person to type the name of the workspace that will be erased. Raises Exit if they do not."""
    if asked:
        typer.echo(f"Everything in the workspace {workspace.name!r} will be gone for good.", err=True)
        if typer.prompt("Type its name to go on", err=True) != workspace.name:
            typer.echo("That is not its name; nothing was done.", err=True)
            raise typer.Exit(1)
