"""The commands for workspaces, and for the tokens that open them."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.text import Text

from cli.opening import Data, Json, find_workspace, print_result, require_migrated, said, settings_of
from cli.output import Output, columns
from domain import ids, unit, workspaces
from domain.tables import Token, Workspace
from domain.unit import Actor, Domain
from domain.vocabulary import Role
from domain.workspaces import NewToken

TOKEN_NAME = "hookline token create"  # noqa: S105

Whose = Annotated[str, typer.Option("--workspace", help="The name or the id of the workspace.")]
Work = Callable[[Domain], Coroutine[Any, Any, Any]]


def register(workspace_commands: typer.Typer, token_commands: typer.Typer) -> None:
    """Add these commands to the others."""
    workspace_commands.command("create")(create_workspace)
    workspace_commands.command("list")(list_workspaces)
    token_commands.command("create")(create_token)
    token_commands.command("list")(list_tokens)
    token_commands.command("revoke")(revoke_token)


def create_workspace(
    name: Annotated[str, typer.Argument(help="What people call it; no two have the same name.")],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Create a workspace and print its id."""

    async def create(_domain: Domain) -> None:
        made = await workspaces.create(name)
        print_result("id", ids.make("Workspace", made.id), as_json=as_json)

    run(create, data)


def list_workspaces(data: Data = None, as_json: Json = False) -> None:
    """Show all workspaces."""

    async def show(_domain: Domain) -> None:
        found = await Workspace.all().order_by("id")
        names = [
            {"id": ids.make("Workspace", each.id), "name": each.name, "created_at": each.created_at} for each in found
        ]
        _show(names, as_json=as_json)

    run(show, data)


def create_token(
    *,
    workspace: Whose,
    role: Annotated[Role, typer.Option(help="What the token may do.")],
    name: Annotated[str, typer.Option(help="A name by which people recognise the token.")] = TOKEN_NAME,
    expires_in: Annotated[
        int | None, typer.Option(min=1, max=36500, help="Days until it expires; never by default.")
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Create a token and print it. It cannot be shown again."""
    now = datetime.now(UTC)
    new = NewToken(name, role, None if expires_in is None else now + timedelta(days=expires_in))

    async def create(domain: Domain) -> None:
        async with domain.unit(await _somebody(workspace)) as opened:
            _, secret = await workspaces.create_token(opened, new, now)
        print_result("token", secret, as_json=as_json)

    run(create, data)


def list_tokens(workspace: Whose, data: Data = None, as_json: Json = False) -> None:
    """Show a workspace's tokens by how they begin; the tokens themselves are not kept."""

    async def show(_domain: Domain) -> None:
        found = await find_workspace(workspace)
        _show([_told(token) for token in await Token.filter(workspace_id=found.id).order_by("id")], as_json=as_json)

    run(show, data)


def revoke_token(
    token: Annotated[str, typer.Argument(help="Its id, as `hookline token list` shows it.")],
    *,
    workspace: Whose,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Revoke a token, for good. Its open subscriptions end."""

    async def revoke(domain: Domain) -> None:
        async with domain.unit(await _somebody(workspace)) as opened:
            revoked = await workspaces.revoke_token(opened, ids.key("Token", token))
        _show([_told(revoked)], as_json=as_json)

    run(revoke, data)


def run(work: Work, data: Data) -> None:
    """Run `work` with a migrated database. An error is printed in one sentence, and exits with 1."""

    async def within() -> None:
        async with unit.opened(settings_of(data)) as domain:
            await require_migrated()
            await work(domain)

    with said():
        asyncio.run(within())


async def _somebody(workspace: str) -> Actor:
    """An admin of the workspace: whoever can run these commands may do everything in it. Raises Refused (NOT_FOUND)."""
    return Actor(await find_workspace(workspace), None, Role.ADMIN)


def _told(token: Token) -> dict[str, Any]:
    return {
        "id": ids.make("Token", token.id),
        "begins": token.prefix,
        "role": token.role.value,
        "name": token.name,
        "created_at": token.created_at,
        "last_used_at": token.last_used_at,
        "expires_at": token.expires_at,
        "revoked_at": token.revoked_at,
    }


def _show(told: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Print things: one JSON object a line for programs, one table for people."""
    output = Output()
    if as_json:
        for each in told:
            output.say(json.dumps(each, default=datetime.isoformat))
    elif told:
        table = columns(*(name.removesuffix("_at") for name in told[0]))
        for each in told:
            table.add_row(*(Text(_word(value)) for value in each.values()))
        output.show(table)
    else:
        output.note("There are none yet.")


def _word(value: datetime | str | None) -> str:
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M}" if isinstance(value, datetime) else value or ""
