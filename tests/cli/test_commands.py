"""The commands of a real deployment."""

import asyncio
import json
import pkgutil
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from cli.main import app
from cli.programs import CHECKOUT
from domain import database, migrations, workspaces
from domain.errors import Unauthenticated
from domain.settings import Settings
from domain.unit import Actor
from domain.version import VERSION
from domain.vocabulary import Role
from tests.conftest import settings_of
from tests.running import environment, hookline

KEY = "A" * 43 + "="


def variables(database_url: str) -> dict[str, str]:
    return {
        "HOOKLINE_DATABASE_URL": database_url,
        "HOOKLINE_REDIS_URL": "redis://127.0.0.1:1",
        "HOOKLINE_SECRET_KEYS": KEY,
    }


def run(database_url: str, *arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, env=variables(database_url))


def actor_of(secret: str, settings: Settings, now: datetime) -> Actor:
    async def ask() -> Actor:
        async with database.connected(settings):
            return await workspaces.authenticate(secret, now)

    return asyncio.run(ask())


def test_only_the_api_loads_the_libraries_for_graphql() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys, cli.main; print(*sys.modules)"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=True,
    )
    loaded = set(done.stdout.split())
    assert "workers.main" in loaded
    assert not loaded & {"api", "schema", "strawberry", "graphql", "starlette", "uvicorn"}


def test_a_deployment_is_migrated_and_opened_by_commands_that_print_their_result_alone(empty_database_url: str) -> None:
    told = variables(empty_database_url)
    migrated = hookline("migrate", **told)
    assert (migrated.returncode, migrated.stdout) == (0, ""), migrated.stderr
    # Its progress, for a person who waits: the name of each migration.
    assert migrated.stderr.split() == sorted(module.name for module in pkgutil.iter_modules(migrations.__path__))
    again = hookline("migrate", "--json", **told)
    assert (again.returncode, json.loads(again.stdout), again.stderr) == (0, {"migrated": True}, "")
    workspace = hookline("workspace", "create", "Acme", **told)
    assert re.fullmatch(r"[\w-]+\n", workspace.stdout), workspace.stderr
    token = hookline("token", "create", "--workspace", "Acme", "--role", "admin", **told)
    assert re.fullmatch(r"hl_\w+\n", token.stdout), token.stderr
    actor = actor_of(token.stdout.strip(), settings_of(empty_database_url, "redis://127.0.0.1:1"), datetime.now(UTC))
    assert (actor.workspace.name, actor.role) == ("Acme", Role.ADMIN)


def test_a_token_is_made_by_the_workspaces_id_with_a_name_a_role_and_an_end(database_url: str) -> None:
    workspace = run(database_url, "workspace", "create", "Acme").stdout.strip()
    made = run(
        database_url,
        "token",
        "create",
        "--workspace",
        workspace,
        "--role",
        "viewer",
        "--name",
        "CI",
        "--expires-in",
        "2",
    )
    assert made.exit_code == 0, made.stderr
    settings = settings_of(database_url, "redis://127.0.0.1:1")
    now = datetime.now(UTC)
    actor = actor_of(made.stdout.strip(), settings, now)
    assert actor.token is not None
    assert (actor.role, actor.token.name) == (Role.VIEWER, "CI")
    assert actor_of(made.stdout.strip(), settings, now + timedelta(days=2, minutes=-5)).token == actor.token
    with pytest.raises(Unauthenticated):
        actor_of(made.stdout.strip(), settings, now + timedelta(days=2, seconds=1))


def told_by(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_workspaces_and_tokens_are_listed_and_a_token_is_revoked(database_url: str) -> None:
    assert run(database_url, "workspace", "list").stderr == "There are none yet.\n"
    acme = run(database_url, "workspace", "create", "Acme").stdout.strip()
    of_acme = ("--workspace", "Acme")
    secrets = [
        run(database_url, "token", "create", *of_acme, "--role", "admin", "--name", name).stdout for name in "ab"
    ]
    (other,) = told_by(run(database_url, "workspace", "create", "Other", "--json"))
    for_a_day = ("--workspace", "Other", "--role", "viewer", "--expires-in", "1", "--json")
    assert re.fullmatch(r"hl_\w+", told_by(run(database_url, "token", "create", *for_a_day))[0]["token"])
    listed = told_by(run(database_url, "workspace", "list", "--json"))
    assert [(each["id"], each["name"]) for each in listed] == [(acme, "Acme"), (other["id"], "Other")]
    (of_other,) = told_by(run(database_url, "token", "list", "--workspace", "Other", "--json"))
    assert (of_other["role"], of_other["last_used_at"], of_other["revoked_at"]) == ("viewer", None, None)
    made, expires = (datetime.fromisoformat(of_other[name]) for name in ("created_at", "expires_at"))
    assert timedelta(hours=23) < expires - made < timedelta(hours=25)
    tokens = told_by(run(database_url, "token", "list", *of_acme, "--json"))
    assert [(each["name"], each["role"], each["revoked_at"]) for each in tokens] == [
        ("a", "admin", None),
        ("b", "admin", None),
    ]
    assert [each["begins"] for each in tokens] == [secret[:9] for secret in secrets]

    (revoked,) = told_by(run(database_url, "token", "revoke", tokens[0]["id"], *of_acme, "--json"))

    assert datetime.fromisoformat(revoked["revoked_at"]) <= datetime.now(UTC)
    settings = settings_of(database_url, "redis://127.0.0.1:1")
    with pytest.raises(Unauthenticated):
        actor_of(secrets[0].strip(), settings, datetime.now(UTC))
    shown = run(database_url, "token", "list", *of_acme).stdout
    assert [line.split()[0] for line in shown.splitlines()] == ["id", tokens[0]["id"], tokens[1]["id"]]
    assert not any(secret.strip() in shown for secret in secrets)


def commands(tree: Any, *words: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command of a tree, with the words that lead to it."""
    if not hasattr(tree, "commands"):
        yield words, tree
        return
    for name, command in tree.commands.items():
        yield from commands(command, *words, name)


def test_every_command_that_ends_can_tell_programs_what_came_of_it() -> None:
    without = {
        " ".join(words)
        for words, command in commands(typer.main.get_command(app))
        if not any("--json" in parameter.opts for parameter in command.params)
    }
    assert without == {"up", "api", "worker"}


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("hookline wor", {"worker", "workspace"}),
        ("hookline status --wat", {"--watch"}),
        ("hookline keys ro", {"rotate"}),
    ],
    ids=["a command", "an option", "a command below"],
)
def test_a_shell_can_complete_what_is_typed(typed: str, offered: set[str]) -> None:
    asked = {"COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1), "_HOOKLINE_COMPLETE": "complete_bash"}
    # The name of the installed program, from which the variable _HOOKLINE_COMPLETE has its own.
    told = CliRunner().invoke(app, env=asked, prog_name="hookline")
    assert (told.exit_code, set(told.stdout.split()), told.stderr) == (0, offered, "")


def test_it_says_its_version() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout == f"{VERSION}\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("token", "revoke", "x", "--workspace", "Acme"), "There is no such token."),
        (("token", "list", "--workspace", "Nobody"), "There is no such workspace."),
        (("token", "create", "--workspace", "Nobody", "--role", "admin"), "There is no such workspace."),
        (("token", "create", "--workspace", "Acme", "--role", "admin", "--name", " "), "The name"),
        (("workspace", "create", "Acme"), "There is a workspace of that name already."),
        (("workspace", "create", "x" * 201), "The name"),
    ],
    ids=[
        "an unknown token",
        "tokens of an unknown workspace",
        "an unknown workspace",
        "a token without a name",
        "a name that is taken",
        "a name that is too long",
    ],
)
def test_what_cannot_be_done_is_a_sentence(database_url: str, arguments: tuple[str, ...], sentence: str) -> None:
    assert run(database_url, "workspace", "create", "Acme").exit_code == 0
    refused = run(database_url, *arguments)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.startswith(sentence)
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [("--role", "king"), ("--expires-in", "0")], ids=["a role", "an end"])
def test_an_option_that_makes_no_sense_is_refused(database_url: str, arguments: tuple[str, ...]) -> None:
    refused = run(database_url, "token", "create", "--workspace", "Acme", "--role", "admin", *arguments)
    assert (refused.exit_code, refused.stdout) == (2, "")


@pytest.mark.parametrize(
    "command",
    [("up",), ("status",), ("signin",), ("listen", "--forward-to", "http://127.0.0.1:9")],
    ids=lambda command: command[0],
)
def test_a_data_folder_without_a_name_is_not_the_one_that_somebody_is_in(command: tuple[str, ...]) -> None:
    """`--data "$UNSET"` would make a PostgreSQL there, or erase in the one that is."""
    refused = CliRunner().invoke(app, [*command, "--data", ""])
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "It is empty" in refused.stderr


def test_an_unmigrated_database_is_a_sentence(empty_database_url: str) -> None:
    for command in (
        ("workspace", "create", "Acme"),
        ("workspace", "erase", "Acme", "--yes"),
        ("keys", "rotate"),
        ("status",),
        ("replay", "--webhook", "x", "--since", "1h"),
    ):
        refused = run(empty_database_url, *command)
        assert refused.exit_code == 1
        assert refused.stderr == "The database is not migrated; run `hookline migrate` first.\n"


@pytest.mark.parametrize("command", [("migrate",), ("workspace", "create", "Acme")], ids=["migrate", "workspace"])
def test_a_database_that_is_away_is_a_sentence(command: tuple[str, ...]) -> None:
    refused = run("postgresql://127.0.0.1:1/none", *command)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "database" in refused.stderr
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["api", "worker", "migrate"])
def test_a_process_without_its_settings_says_which_one_is_missing(command: str) -> None:
    refused = CliRunner().invoke(app, [command], env={"HOOKLINE_DATABASE_URL": None})
    assert (refused.exit_code, refused.stderr) == (1, "HOOKLINE_DATABASE_URL is not set.\n")


def test_a_folder_that_up_has_never_used_is_a_sentence(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("empty")
    refused = CliRunner().invoke(app, ["workspace", "create", "Acme", "--data", str(folder)])
    assert refused.exit_code == 1
    assert refused.stderr == f"{folder} is not the data folder of a `hookline up`.\n"


def started(program: str, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """What a process that cannot start says; `program` runs before it."""
    command = [sys.executable, "-c", f"import sys\n{program}\nfrom cli.main import app; app(sys.argv[1:])", *arguments]
    told = environment(**variables("postgresql://127.0.0.1:1/none") | changes)
    return subprocess.run(command, cwd=CHECKOUT, env=told, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("command", ["api", "worker"])
def test_traces_without_their_packages_are_a_sentence_and_without_an_endpoint_nothing(command: str) -> None:
    without = "sys.modules['opentelemetry'] = None"
    refused = started(without, command, HOOKLINE_TRACES_ENDPOINT="http://127.0.0.1:1/v1/traces")
    assert refused.returncode == 1
    assert refused.stderr.startswith("HOOKLINE_TRACES_ENDPOINT is set, but the packages for traces are not installed")
    assert refused.stderr.count("\n") == 1
    # The next fault is reported, so the missing packages were none.
    further = started(without, command, HOOKLINE_REDIS_URL="http://127.0.0.1:1")
    assert (further.returncode, further.stderr.count("\n")) == (1, 1)
    assert further.stderr.startswith("HOOKLINE_REDIS_URL must look like")


@pytest.mark.parametrize(("command", "setting"), [("api", "HOOKLINE_PORT"), ("worker", "HOOKLINE_METRICS_PORT")])
def test_a_process_whose_port_is_taken_blames_the_port(command: str, setting: str) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        refused = started("", command, **{setting: str(port)})
    assert (refused.returncode, refused.stderr) == (
        1, f"{setting}: cannot listen on 127.0.0.1:{port}: Address already in use.\n",
    )  # fmt: skip
