"""`hookline keys`: from one key to the next without losing a secret."""

import asyncio
import base64
import json

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from domain import unit, webhooks, workspaces
from domain.tables import Webhook, Workspace
from domain.unit import Actor
from domain.vault import Vault
from domain.vocabulary import Role
from tests.conftest import SECRET_KEY, settings_of
from tests.databases import connected
from tests.domain.doing import listen

NOWHERE = "redis://127.0.0.1:1"
# As if a process that still seals with the old key wrote each secret back.
HOLD_ON = """
CREATE FUNCTION hold_on() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN NEW.sealed_secret := OLD.sealed_secret; RETURN NEW; END';
CREATE TRIGGER hold_on BEFORE UPDATE ON webhook FOR EACH ROW EXECUTE FUNCTION hold_on();
"""


def encoded(*keys: bytes) -> str:
    return ",".join(base64.urlsafe_b64encode(key).decode() for key in keys)


def run(database_url: str, *keys: bytes, options: tuple[str, ...] = ()) -> Result:
    variables = {
        "HOOKLINE_DATABASE_URL": database_url,
        "HOOKLINE_REDIS_URL": NOWHERE,
        "HOOKLINE_SECRET_KEYS": encoded(*keys),
    }
    return CliRunner().invoke(app, ["keys", "rotate", *options], env=variables)


def fresh_key() -> bytes:
    made = CliRunner().invoke(app, ["keys", "generate"])
    assert made.exit_code == 0
    return base64.urlsafe_b64decode(made.stdout.strip())


@pytest.fixture
def secrets(database_url: str) -> list[int]:
    """The ids of webhooks, each with a secret that is sealed with the key of all tests."""

    async def furnish() -> list[int]:
        async with unit.opened(settings_of(database_url, NOWHERE)) as domain:
            admin = Actor(await workspaces.create("Test"), None, Role.ADMIN)
            return [(await listen(domain, admin, secret=f"secret-{number}")).id for number in range(5)]

    return asyncio.run(furnish())


def opened(database_url: str, webhook_ids: list[int], *keys: bytes) -> list[str | None]:
    async def read() -> list[str | None]:
        async with unit.opened(settings_of(database_url, NOWHERE)):
            assert await Workspace.all().count() == 1
            rows = [await Webhook.get(id=webhook_id) for webhook_id in webhook_ids]
            return [webhooks._open(Vault(keys), row, "sealed_secret") for row in rows]

    return asyncio.run(read())


def test_a_generated_key_is_another_one_each_time_and_printed_alone() -> None:
    keys = {fresh_key() for _ in range(3)}
    assert {len(key) for key in keys} == {32}
    assert len(keys) == 3


def test_keys_rotate_and_the_old_one_may_go(database_url: str, secrets: list[int]) -> None:
    fresh = fresh_key()
    rotated = run(database_url, fresh, SECRET_KEY)
    assert rotated.exit_code == 0, rotated.stderr
    assert rotated.stdout.splitlines() == [
        "5 values are sealed with another key than the first.",
        "5 sealed again.",
        "All of them are sealed with the first key now.",
        "Once every process runs with the first key in front, the others may be removed from HOOKLINE_SECRET_KEYS.",
    ]
    assert opened(database_url, secrets, fresh) == [f"secret-{number}" for number in range(5)]

    again = run(database_url, fresh, SECRET_KEY)
    assert (again.exit_code, again.stdout.splitlines()[0]) == (0, "Everything is sealed with the first key.")
    alone = run(database_url, fresh)
    assert alone.stdout.splitlines()[-1] == "There is no other key to remove."


def test_without_the_old_key_nothing_is_touched_and_the_values_are_named(
    database_url: str, secrets: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = run(database_url, fresh_key())
    assert refused.exit_code == 1
    assert "5 values open with none of HOOKLINE_SECRET_KEYS. Keep the old keys" in refused.stderr
    assert refused.stderr.count("sealed_secret") == 5
    assert opened(database_url, secrets, SECRET_KEY) == [f"secret-{number}" for number in range(5)]
    monkeypatch.setattr("cli.rotation.MOST_NAMED", 3)
    some = run(database_url, fresh_key())
    assert (some.stderr.count("sealed_secret"), some.stderr.splitlines()[-1]) == (3, "  and 2 more")


def test_what_others_seal_with_an_old_key_meanwhile_keeps_it(database_url: str, secrets: list[int]) -> None:
    async def hold_on() -> None:
        async with connected(database_url) as connection:
            await connection.execute(HOLD_ON)

    asyncio.run(hold_on())
    rotated = run(database_url, fresh_key(), SECRET_KEY)
    assert (rotated.exit_code, rotated.stdout.splitlines()[-1]) == (1, "5 sealed again.")
    assert rotated.stderr.startswith("5 values were sealed with an old key meanwhile")
    assert opened(database_url, secrets, SECRET_KEY) == [f"secret-{number}" for number in range(5)]


def test_programs_hear_what_came_of_it(database_url: str, secrets: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.rotation.EVERY_SECONDS", -1.0)
    fresh = fresh_key()
    for keys, code, told in (
        ((fresh,), 1, {"resealed": 0, "left": 5, "old_keys_may_go": False}),
        ((fresh, bytes(32)), 1, {"resealed": 0, "left": 5, "old_keys_may_go": False}),
        ((fresh, SECRET_KEY), 0, {"resealed": 5, "left": 0, "old_keys_may_go": True, "unopened": []}),
        ((fresh,), 0, {"resealed": 0, "left": 0, "old_keys_may_go": False}),
    ):
        rotated = run(database_url, *keys, options=("--json",))
        *steps, last = (json.loads(line) for line in rotated.stdout.splitlines())
        assert [(step["finished"], step["old_keys_may_go"]) for step in steps] == [(False, False)] * bool(
            told["resealed"] or code
        )
        assert (rotated.exit_code, rotated.stderr, last["finished"]) == (code, "", True)
        assert told.items() <= last.items()
        assert len(last["unopened"]) == (5 if code else 0)


def test_an_empty_database_needs_nothing(database_url: str) -> None:
    assert run(database_url, fresh_key(), SECRET_KEY).exit_code == 0


def test_no_secret_is_printed(database_url: str, secrets: list[int]) -> None:
    fresh = fresh_key()
    for result in (run(database_url, fresh, SECRET_KEY), run(database_url, bytes(32))):
        for word in ("secret-", encoded(fresh), encoded(SECRET_KEY)):
            assert word not in result.output
