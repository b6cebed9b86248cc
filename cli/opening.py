"""What most commands begin with: settings, a check that the database is migrated, and a sentence for each error."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import sentences
from cli import up as upping
from cli.data_folder import DataFolder, FolderRefusedError
from cli.output import NotWrittenError, Output
from domain import database, ids, workspaces
from domain.errors import HooklineError, Misconfigured
from domain.settings import Settings
from domain.tables import Workspace
from domain.terminals import plain


def _named(folder: str) -> Path:
    if not folder:
        raise typer.BadParameter("It is empty; name a folder.")
    return Path(folder)


def folder(words: str) -> Any:
    """An option that names a folder. It refuses an empty name (`--data "$UNSET"`): Path("") is the current folder."""
    return typer.Option(parser=_named, metavar="FOLDER", help=words)


Data = Annotated[
    Path | None,
    folder(
        "Use the PostgreSQL and Redis that `hookline up` keeps in this folder. HOOKLINE_* variables name those that "
        "it does not keep there, and give all other settings."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]


async def find_workspace(name_or_id: str) -> Workspace:
    """The workspace with that id, or else with that name. Raises Refused (NOT_FOUND)."""
    found = await Workspace.get_or_none(id=ids.key("Workspace", name_or_id))
    return found or await workspaces.find(name_or_id)


async def require_migrated() -> None:
    """Raises Misconfigured if the tables are not those of this version, and Unavailable without a database."""
    if not await database.is_migrated():
        raise Misconfigured("The database is not migrated; run `hookline migrate` first.")


def settings_of(data: Path | None) -> Settings:
    """The settings that the environment gives, or those of the `hookline up` with a data folder.

    Raises Misconfigured, and FolderRefusedError as `unambiguous_environment` does.
    """
    if data is None:
        return Settings.from_environment()
    return Settings.from_environment(unambiguous_environment(DataFolder(data)))


def unambiguous_environment(folder: DataFolder) -> dict[str, str]:
    """The environment of the processes of the `hookline up` with that folder.

    Raises FolderRefusedError, also if a variable names a server and the folder has its own: it is unclear which is
    meant, and an erasure in the wrong one cannot be undone.
    """
    environment = upping.environment_of(folder.opened(), os.environ)
    for variable, own in (("HOOKLINE_DATABASE_URL", folder.postgres), ("HOOKLINE_REDIS_URL", folder.redis)):
        if own.exists() and upping.is_given(variable, os.environ):
            raise FolderRefusedError(f"{own} is a server of the folder's own: give --data or {variable}, not both.")
    return environment


def print_result(name: str, value: object, *, as_json: bool) -> None:
    """Print what a command made: alone, or as JSON under its name. Raises NotWrittenError, also if nobody reads it: a
    token is shown only once."""
    output = Output()
    output.say(json.dumps({name: value}) if as_json else str(value))
    if not output.is_read:
        raise NotWrittenError("The result could not be shown: the output was closed.")


@contextmanager
def said() -> Iterator[None]:
    """Say what went wrong on standard error, in a sentence, and exit with 1."""
    try:
        with sentences.of_the_database():
            yield
    except HooklineError as error:
        typer.echo(plain(str(error)), err=True)
        raise typer.Exit(1) from None
