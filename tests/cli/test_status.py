"""`hookline status` tells how it goes: for people, for programs, and again and again."""

import asyncio
import json
import re
import signal
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import StringIO
from typing import Any

import asyncpg
from rich.console import Console
from typer.testing import CliRunner

from cli.main import app
from cli.status import Status, as_line, shown
from domain import backlog, ids
from domain.backlog import MOST_COUNTED, MOST_WAITING, RECENT_DELIVERIES, Backlog, Troubled
from domain.database import rows
from domain.unit import Actor, Domain
from tests.conftest import Servers
from tests.domain.doing import happen, listen
from tests.running import HOOKLINE, environment, hookline

KEY = "A" * 43 + "="
NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
# The counts differ, so none can pass for another; only `in_flight` and `in_trouble` are both 3.
EXAMPLE = Status(
    at=NOW,
    backlog=Backlog(2, timedelta(minutes=5), in_flight=3, circuits_open=1, due_posts=6, oldest_due_post=8 * MINUTE),
    waiting=MOST_COUNTED,
    recent={"succeeded": 1_200, "failed": 4},
    in_trouble=3,
    troubled=[
        Troubled(7, "Test", "off", False, NOW - timedelta(days=5), None, "failing", 11),
        Troubled(8, "Test", "spared", True, NOW - timedelta(hours=3), NOW + timedelta(minutes=1), None, 12),
        Troubled(9, "Test", "ill", True, NOW - timedelta(minutes=9), None, None, 13),
    ],
)


def told(domain: Domain) -> dict[str, str]:
    return {
        "HOOKLINE_DATABASE_URL": domain.settings.database_url,
        "HOOKLINE_REDIS_URL": domain.settings.redis_url,
        "HOOKLINE_SECRET_KEYS": KEY,
    }


async def status(domain: Domain, *arguments: str) -> str:
    done = await asyncio.to_thread(hookline, "status", *arguments, **told(domain))
    assert done.returncode == 0, done.stderr
    return done.stdout


async def parsed(domain: Domain) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(await status(domain, "--json"))
    return found


async def test_what_is_owed_is_measured(domain: Domain, admin: Actor) -> None:
    assert await backlog.measure() == Backlog(0, timedelta(0), 0, 0, 0, timedelta(0))
    due, _spared = await listen(domain, admin), await listen(domain, admin)
    for _ in range(3):
        await happen(domain, admin)
    await rows("UPDATE delivery SET due_at = now() - interval '40 seconds' WHERE webhook_id = $1", due.id)
    await rows("UPDATE webhook SET circuit_open_until = now() + interval '1 h' WHERE id <> $1", due.id)
    await rows(
        "UPDATE delivery SET status = 'delivering' WHERE id = (SELECT min(id) FROM delivery WHERE webhook_id = $1)",
        due.id,
    )

    measured = await backlog.measure()

    assert (measured.due, measured.in_flight, measured.circuits_open) == (2, 1, 1)
    assert timedelta(seconds=40) <= measured.oldest_due < timedelta(seconds=60)


def test_each_figure_stands_under_its_name() -> None:
    told = json.loads(as_line(EXAMPLE))
    assert [each.pop("id") for each in told.pop("troubled_webhooks")] == [ids.make("Webhook", key) for key in (7, 8, 9)]
    assert told == {
        "at": "2026-05-01T12:00:00+00:00",
        "due": 2,
        "oldest_due_seconds": 300.0,
        "in_flight": 3,
        "waiting": 100_000,
        "circuits_open": 1,
        "due_posts": 6,
        "oldest_due_post_seconds": 480.0,
        "last_hour": {"succeeded": 1_200, "failed": 4},
        "webhooks_in_trouble": 3,
    }
    page = StringIO()
    Console(file=page, width=200).print(shown(EXAMPLE))
    lines = [re.split("  +", line.strip()) for line in page.getvalue().splitlines()]
    assert ["Webhooks in trouble"] in lines
    assert lines[:6] == [
        ["due now", "2"],
        ["oldest due", "5 min"],
        ["in flight", "3"],
        ["not finished", "100,000 or more"],
        ["last hour", "1,200 succeeded, 4 failed"],
        ["posts due", "6, the oldest for 8 min"],
    ]
    assert [(name, *rest) for name, _, _, *rest in lines[-3:]] == [
        ("off", "5 days", "disabled: failing", "11"),
        ("spared", "3 h", "spared until 12:01:00 UTC", "12"),
        ("ill", "9 min", "failing", "13"),
    ]
    page = StringIO()
    # A disabled webhook has no `failing_since` after it got another callback URL without being activated.
    gone = replace(EXAMPLE.troubled[0], failing_since=None)
    idle = Backlog(0, timedelta(0), 0, 0, 0, timedelta(0))
    Console(file=page, width=200).print(shown(replace(EXAMPLE, backlog=idle, troubled=[gone])))
    assert re.search(r"oldest due +none", page.getvalue())
    assert re.search(rf"{ids.make('Webhook', 7)} +disabled", page.getvalue())


def test_what_is_not_counted_or_shown_whole_is_said_not_to_be() -> None:
    page = StringIO()
    recent = {"succeeded": RECENT_DELIVERIES - 4, "failed": 4}
    troubled = [replace(each, waiting=MOST_WAITING) for each in EXAMPLE.troubled]
    cut = replace(EXAMPLE, recent=recent, in_trouble=1_204, troubled=troubled)
    Console(file=page, width=200).print(shown(cut))
    assert re.search(r"last hour +9,996 succeeded, 4 failed, of the last 10,000 only", page.getvalue())
    assert re.search(r"Webhooks in trouble \(3 of 1,204\)", page.getvalue())
    assert re.search(r"failing +1,000 or more", page.getvalue())


async def test_webhooks_that_were_switched_off_long_ago_hide_none_that_fails_or_was_switched_off_since(
    domain: Domain, admin: Actor
) -> None:
    by_hand, long_ago, lately, ill, fails = [await listen(domain, admin) for _ in range(5)]
    off = (
        "UPDATE webhook SET active = false, disabled_reason = 'gone', disabled_at = now() - $1::interval WHERE id = $2"
    )
    await rows(off, timedelta(days=90), long_ago.id)
    await rows(off, timedelta(days=1), lately.id)
    failing = "UPDATE webhook SET failing_since = now() - $1::interval WHERE id = $2"
    await rows(failing, timedelta(days=4), ill.id)
    await rows(failing, timedelta(minutes=1), fails.id)
    await rows(failing, timedelta(days=99), by_hand.id)
    await rows("UPDATE webhook SET active = false WHERE id = $1", by_hand.id)

    found = [each.webhook_id for each in await backlog.troubled_webhooks(4)]

    assert (found, await backlog.in_trouble()) == ([ill.id, fails.id, lately.id, long_ago.id], 5)


def test_an_endpoint_whose_pause_is_over_is_not_said_to_be_spared_until_a_time_that_is_past() -> None:
    page = StringIO()
    over = replace(EXAMPLE.troubled[1], circuit_open_until=NOW - MINUTE)
    Console(file=page, width=200).print(shown(replace(EXAMPLE, troubled=[over])))
    assert re.search(r"  spared until one is due +12", page.getvalue())


def test_an_endpoint_whose_webhook_a_person_has_switched_off_is_not_said_to_be_tried_again() -> None:
    page = StringIO()
    off = replace(EXAMPLE.troubled[1], active=False)
    Console(file=page, width=200).print(shown(replace(EXAMPLE, troubled=[off])))
    assert re.search(r"  switched off +12", page.getvalue())


async def test_programs_read_it_as_one_object(domain: Domain, admin: Actor) -> None:
    webhook = await listen(domain, admin, name="CRM")
    await happen(domain, admin)
    await rows("UPDATE delivery SET created_at = now() - interval '2 h', status = 'failed', finished_at = now()")
    await happen(domain, admin)
    await rows(
        "UPDATE webhook SET failing_since = now() - interval '3 days', disabled_reason = 'failing', active = false"
    )

    found = await parsed(domain)

    assert (found["due"], found["waiting"], found["last_hour"]) == (0, 1, {"pending": 1})
    (troubled,) = found["troubled_webhooks"]
    assert troubled["id"] == ids.make("Webhook", webhook.id)
    assert (troubled["name"], troubled["workspace"], troubled["waiting"]) == ("CRM", "Test", 1)


async def test_people_read_it_as_a_table_of_which_nothing_is_cut_off_where_it_is_piped(
    domain: Domain, admin: Actor
) -> None:
    assert "No webhook is failing." in await status(domain)
    name = "[b]A webhook[/b] with a name that is rather long, as people make them who have many of them"
    await listen(domain, admin, name=name)
    await happen(domain, admin)
    await rows("UPDATE webhook SET failing_since = now() - interval '3 days'")
    (line,) = [line for line in (await status(domain)).splitlines() if line.startswith(name[:40])]
    assert re.search(r"Test +V\w+ +3 days +failing +1", line)


async def test_it_watches_until_it_is_told_to_stop(domain: Domain, admin: Actor) -> None:
    process = watching(domain)
    try:
        first = json.loads(await next_line(process))
        await listen(domain, admin)
        await happen(domain, admin)
        while not (second := json.loads(await next_line(process)))["due"]:
            pass
        assert (first["due"], second["due"]) == (0, 1)
        process.send_signal(signal.SIGINT)
        _, errors = await asyncio.to_thread(process.communicate, None, 60)
        assert (process.returncode, errors) == (0, "")
    finally:
        end(process)


async def test_a_database_that_goes_away_is_said_and_nothing_else_is(domain: Domain, servers: Servers) -> None:
    process = watching(domain)
    name = domain.settings.database_url.partition("?")[0].rpartition("/")[2]
    try:
        assert "due" in json.loads(await next_line(process))
        await shut(servers, name)
        while "error" not in (said := json.loads(await next_line(process))):
            pass
        assert said["error"].startswith("The database cannot be used: ")
        # asyncpg tries to connect again, and would log a warning with the whole stack each time.
        for _ in range(4):
            await next_line(process)
        process.send_signal(signal.SIGINT)
        _, errors = await asyncio.to_thread(process.communicate, None, 60)
        assert (process.returncode, errors) == (0, "")
    finally:
        end(process)


async def shut(servers: Servers, name: str) -> None:
    """Close a database to new connections, and end those that it has."""
    connection = await asyncpg.connect(servers.postgres.url)
    try:
        await connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
    finally:
        await connection.close()


async def next_line(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    async with asyncio.timeout(60):
        return await asyncio.to_thread(process.stdout.readline)


def end(process: "subprocess.Popen[str]") -> None:
    process.kill()
    process.communicate()


def watching(domain: Domain) -> "subprocess.Popen[str]":
    command = [*HOOKLINE, "status", "--watch", "--every", "0.5", "--json"]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, env=environment(**told(domain)), stdout=pipe, stderr=pipe, text=True)


def test_a_database_that_is_away_is_a_sentence() -> None:
    variables = {
        "HOOKLINE_DATABASE_URL": "postgresql://127.0.0.1:1/none",
        "HOOKLINE_REDIS_URL": "redis://127.0.0.1:1",
        "HOOKLINE_SECRET_KEYS": KEY,
    }
    done = CliRunner().invoke(app, ["status"], env=variables)
    assert (done.exit_code, done.stdout) == (1, "")
    said = "The database cannot be used: nothing is listening there. `hookline doctor` says what to do.\n"
    assert done.stderr == said
