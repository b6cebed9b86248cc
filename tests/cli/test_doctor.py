"""`hookline doctor` names every fault that it knows, and the remedy."""

import base64
import json
import re
import resource
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from cli import ailments, doctor
from cli.data_folder import DataFolder
from cli.doctor import Finding, Verdict, clock
from cli.output import Output
from cli.programs import try_port
from domain import webhooks
from domain.database import rows
from domain.live_scripts import SERVED
from domain.resealing import SEALED
from domain.settings import Settings
from domain.unit import Actor, Domain
from domain.vault import Vault
from tests.conftest import SECRET_KEY
from tests.domain.doing import add_account, listen
from tests.e2e.system import SHIFTED
from tests.running import hookline

KEY = base64.urlsafe_b64encode(SECRET_KEY).decode()
NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.fixture
def told(database_url: str, redis_url: str) -> dict[str, str]:
    """Variables with which nothing is wrong."""
    return {
        "HOOKLINE_DATABASE_URL": database_url,
        "HOOKLINE_REDIS_URL": redis_url,
        "HOOKLINE_SECRET_KEYS": KEY,
        "HOOKLINE_PORT": str(try_port("127.0.0.1", 0)),
        "HOOKLINE_SOCKETS_PER_PROCESS": "500",  # as many as any machine allows
    }


async def found(variables: dict[str, str]) -> dict[str, Finding]:
    """The findings by check; if a check has several, as the settings may, the last."""
    return {finding.check: finding async for finding in doctor.examine(variables)}


async def fault(variables: dict[str, str], check: str) -> Finding:
    """The fault that this check finds; the others find none."""
    findings = await found(variables)
    faulty = [finding.check for finding in findings.values() if finding.verdict is Verdict.FAULT]
    assert faulty == [check], findings
    assert findings[check].remedy
    return findings[check]


async def test_where_nothing_is_wrong_it_finds_nothing(told: dict[str, str], domain: Domain, admin: Actor) -> None:
    await listen(domain, admin, secret="s3cret")
    findings = await found(told)

    wrong = [finding for finding in findings.values() if finding.verdict is not Verdict.OK]
    assert not wrong
    assert set(findings) == {
        "settings", "files", "port", "redis", "database", "clock", "tables", "keys", "work",
    }  # fmt: skip
    assert findings["keys"].says == "the keys open what is sealed"


async def test_a_database_that_is_down(told: dict[str, str]) -> None:
    finding = await fault(told | {"HOOKLINE_DATABASE_URL": "postgresql://h:s3cret@127.0.0.1:1/h"}, "database")
    assert finding.says == "PostgreSQL does not answer at 127.0.0.1:1 (nothing is listening there)"
    remedy = "Start it (`hookline up` starts its own), or correct host and port in HOOKLINE_DATABASE_URL."
    assert finding.remedy == remedy
    assert "s3cret" not in str(finding)


async def test_a_database_that_does_not_exist(told: dict[str, str]) -> None:
    url = re.sub(r"/test_\d+", "/nowhere", told["HOOKLINE_DATABASE_URL"])
    finding = await fault(told | {"HOOKLINE_DATABASE_URL": url}, "database")
    assert (finding.says, finding.remedy[:30]) == (
        'database "nowhere" does not exist',
        "Make it (`createdb nowhere`), ",
    )


@pytest.mark.parametrize(("name", "check"), [("HOOKLINE_DATABASE_URL", "database"), ("HOOKLINE_REDIS_URL", "redis")])
async def test_an_address_that_is_none(told: dict[str, str], name: str, check: str) -> None:
    assert (await fault(told | {name: "mysql://h/h"}, check)).says.startswith(f"{name} must look like")


async def test_a_redis_that_is_down(told: dict[str, str]) -> None:
    finding = await fault(told | {"HOOKLINE_REDIS_URL": "redis://127.0.0.1:1"}, "redis")
    assert finding.says.endswith("deliveries are delayed, and live updates stop")
    assert finding.remedy.startswith("Start it (`hookline up` starts its own), or correct HOOKLINE_REDIS_URL")


async def test_a_redis_that_throws_away_what_it_is_given(told: dict[str, str]) -> None:
    async with Redis.from_url(told["HOOKLINE_REDIS_URL"]) as redis:
        await redis.config_set("maxmemory-policy", "allkeys-lru")
        try:
            finding = (await found(told))["redis"]
        finally:
            await redis.config_set("maxmemory-policy", "noeviction")
    assert (finding.verdict, finding.remedy) == (Verdict.WARNING, "Set maxmemory-policy to noeviction.")


async def test_a_redis_that_serves_another_hookline(told: dict[str, str], domain: Domain) -> None:
    await domain.hub.live.claim()
    assert (await found(told))["redis"].verdict is Verdict.OK
    await domain.redis.set(SERVED, "another")
    assert (await fault(told, "redis")).says.startswith("Redis serves another Hookline")


async def test_a_database_that_is_not_migrated(told: dict[str, str], empty_database_url: str) -> None:
    finding = await fault(told | {"HOOKLINE_DATABASE_URL": empty_database_url}, "tables")
    assert finding.remedy.startswith("Run `hookline migrate`")


async def test_no_secret_key(told: dict[str, str], domain: Domain, admin: Actor) -> None:
    await listen(domain, admin, secret="s3cret")
    finding = await fault(told | {"HOOKLINE_SECRET_KEYS": ""}, "settings")
    assert finding.says == "HOOKLINE_SECRET_KEYS is not set."
    assert "`hookline keys generate`" in finding.remedy


async def test_a_key_that_does_not_open_what_is_sealed(told: dict[str, str], domain: Domain, admin: Actor) -> None:
    await listen(domain, admin, secret="s3cret")
    finding = await fault(told | {"HOOKLINE_SECRET_KEYS": "A" * 43 + "="}, "keys")
    assert finding.remedy.startswith("Put the key that was used back")


@pytest.mark.parametrize(("table", "column"), [(table, column) for table in SEALED for column in SEALED[table]])
async def test_keys_that_open_what_was_sealed_last_and_not_one_value_before(
    told: dict[str, str], domain: Domain, admin: Actor, table: str, column: str
) -> None:
    webhook = await listen(domain, admin, secret="old", headers=(("Authorization", "Bearer old"),))
    async with domain.unit(admin) as unit:
        await webhooks.rotate_secret(unit, webhook.id, "newer", timedelta(days=1))
    of = {"webhook": webhook.uuid, "account": (await add_account(domain, admin)).uuid}
    for other_table, other in ((name, each) for name in SEALED for each in SEALED[name]):
        if (other_table, other) != (table, column):
            await rows(f"UPDATE {other_table} SET {other} = NULL")
    await listen(replace(domain, vault=Vault((bytes(32), SECRET_KEY))), admin, secret="newest")

    new_alone = {"HOOKLINE_SECRET_KEYS": base64.urlsafe_b64encode(bytes(32)).decode()}
    finding = await fault(told | new_alone, "keys")
    assert finding.says == (
        f"sealed values that open with none of the keys: 1, the first is {table} {of[table]}, {column}"
    )


async def test_of_more_than_there_is_time_for_it_says_how_far_it_looked(
    told: dict[str, str], domain: Domain, admin: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.sealed.LOOK_FOR", timedelta(0))
    monkeypatch.setattr("domain.resealing.BATCH", 1)
    for secret in ("one", "two"):
        await listen(domain, admin, secret=secret)
    finding = (await found(told))["keys"]
    assert (finding.verdict, finding.says) == (
        Verdict.OK,
        "the keys open the first 1 of the sealed values; there was no time for more",
    )


async def test_a_lease_or_a_deadline_that_is_too_short(told: dict[str, str]) -> None:
    finding = await fault(told | {"HOOKLINE_LEASE": "16"}, "settings")
    assert finding.says.startswith("HOOKLINE_LEASE (16 s) must be at least 5 s longer than HOOKLINE_REQUEST_TIMEOUT")
    assert finding.remedy == "Raise HOOKLINE_LEASE, or lower HOOKLINE_REQUEST_TIMEOUT."
    finding = await fault(told | {"HOOKLINE_SHUTDOWN_DEADLINE": "1"}, "settings")
    assert finding.remedy == "Raise it, or lower HOOKLINE_REQUEST_TIMEOUT."


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("HOOKLINE_HOST", "h" * 80, f"'{'h' * 80}' is not the name or the address of a host."),
        ("HOOKLINE_PORT", "70000", "'70000' is not a port, 1 to 65535."),
        ("HOOKLINE_LOG_LEVEL", "foo", "'foo' is not one of debug, info, warning, error."),
        ("HOOKLINE_TRACES_ENDPOINT", "nonsense", "it must look like http://host:4318/v1/traces."),
    ],
)
async def test_a_setting_that_no_process_could_begin_with(
    told: dict[str, str], name: str, value: str, says: str
) -> None:
    finding = await fault(told | {name: value}, "settings")
    assert (finding.says, finding.remedy) == (f"{name}: {says}", "Correct it; docs/settings.md says what it may be.")


async def test_servers_that_are_not_named_are_not_looked_for(told: dict[str, str]) -> None:
    findings = await found(told | {"HOOKLINE_DATABASE_URL": "", "HOOKLINE_REDIS_URL": ""})
    assert set(findings) == {"settings", "files", "port"}


async def test_traces_without_their_packages(told: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "domain.spans", None)
    finding = await fault(told | {"HOOKLINE_TRACES_ENDPOINT": "http://127.0.0.1:1/v1/traces"}, "settings")
    assert finding.remedy.startswith("Install the packages of requirements-traces.lock")


@pytest.mark.parametrize("name", ["HOOKLINE_WORKER_CONCURRENCY", "HOOKLINE_SOCKETS_PER_PROCESS"])
async def test_more_sockets_than_a_process_may_open(
    told: dict[str, str], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    told |= {name: str(most)}
    finding = (await found(told))["files"]
    assert (finding.verdict, f"and {name} needs {most}" in finding.says) == (Verdict.WARNING, True)
    assert finding.remedy.endswith(f"or lower {name}.")
    # A warning is no fault; both outputs show it with its remedy.
    assert await doctor.run(told, Output(), as_json=True)
    assert finding.remedy in [shown["remedy"] for shown in lines(capsys.readouterr().out)]
    assert await doctor.run(told, Output(), as_json=False)
    assert f"or lower {name}." in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("most", [resource.RLIM_INFINITY, 2_200], ids=["without an end", "just enough"])
def test_as_many_files_as_sockets_need(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1_024, most))
    told = Settings(database_url="", redis_url="", secret_keys=(), worker_concurrency=10, sockets_per_process=2_000)
    assert doctor.files(told).verdict is Verdict.OK


async def test_a_port_that_is_taken(told: dict[str, str]) -> None:
    with listening() as port:
        finding = await fault(told | {"HOOKLINE_PORT": str(port)}, "port")
    assert finding.says == f"another program listens on 127.0.0.1:{port}"
    assert "set HOOKLINE_PORT to another port" in finding.remedy


async def test_an_address_of_another_machine_and_a_port_that_needs_more_rights(told: dict[str, str]) -> None:
    assert "Set HOOKLINE_HOST" in (await fault(told | {"HOOKLINE_HOST": "192.0.2.1"}, "port")).remedy
    assert "Set HOOKLINE_PORT" in ailments.remedy_for_listening(PermissionError(13, "Permission denied"))


@pytest.mark.parametrize(
    ("ahead", "verdict", "said"),
    [
        (timedelta(seconds=5), Verdict.OK, "agree"),
        (timedelta(seconds=20), Verdict.WARNING, "is 20 s ahead of the database's"),
        (timedelta(minutes=1), Verdict.FAULT, "is 1 min ahead of the database's"),
        (timedelta(hours=-1), Verdict.FAULT, "is 1 h behind the database's"),
    ],
    ids=["noise", "a little", "a minute ahead", "an hour behind"],
)
def test_a_clock_that_is_off(ahead: timedelta, verdict: Verdict, said: str) -> None:
    finding = clock(NOW + ahead, NOW)
    assert finding.verdict is verdict
    assert said in finding.says
    assert ("timedatectl" in finding.remedy) is (verdict is not Verdict.OK)


def test_as_a_command_it_tells_programs_and_ends_in_its_verdict(told: dict[str, str]) -> None:
    well = hookline("doctor", "--json", **told)
    assert well.returncode == 0, well.stdout
    assert {finding["verdict"] for finding in lines(well.stdout)} == {"ok"}

    shifted = {"PYTHONPATH": str(SHIFTED), "TEST_CLOCK_AHEAD": "3600"}
    ill = hookline("doctor", "--json", **told, **shifted)
    assert ill.returncode == 1, ill.stderr
    (wrong,) = [finding for finding in lines(ill.stdout) if finding["verdict"] == "fault"]
    assert wrong["check"] == "clock"
    assert "1 h ahead of the database's" in wrong["says"]

    shown = hookline("doctor", **{name: told[name] for name in told if name != "HOOKLINE_SECRET_KEYS"})
    assert shown.returncode == 1
    assert "FAULT  settings  HOOKLINE_SECRET_KEYS is not set.\n" in shown.stdout


def test_of_a_data_folder_it_examines_where_its_own_api_listens(told: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "host").write_text("192.0.2.1")
    port = try_port("127.0.0.1", 0)
    DataFolder(tmp_path).write_access(f"http://127.0.0.1:{port}", "hl_x")
    told |= {"HOOKLINE_HOST_FILE": str(tmp_path / "host"), "HOOKLINE_PORT": "1"}
    well = hookline("doctor", "--json", "--data", str(tmp_path), **told)
    assert well.returncode == 0, well.stdout
    assert f"127.0.0.1:{port} is free" in well.stdout


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@contextmanager
def listening() -> Iterator[int]:
    """A port that another program holds without saying anything."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]
