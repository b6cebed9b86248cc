"""`hookline replay` and `hookline workspace erase`: long work, begun from a terminal."""

import asyncio
import json
import subprocess
import time
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from cli import replay as replaying
from cli.main import app
from cli.replay import moment
from domain import ids, replays, workspaces
from domain.database import rows
from domain.errors import Misconfigured, Unavailable
from domain.replays import NewReplay
from domain.tables import Delivery, Replay, Webhook, Workspace
from domain.unit import Actor, Domain
from domain.vocabulary import DeliveryStatus
from tests.cli.test_status import told
from tests.domain.doing import happen, listen
from tests.running import HOOKLINE, environment, hookline

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


async def failed(domain: Domain, admin: Actor, count: int) -> str:
    """The id of a webhook with `count` failed deliveries."""
    webhook = await listen(domain, admin, name="CRM")
    for _ in range(count):
        await happen(domain, admin)
    await rows("UPDATE delivery SET status = 'failed', finished_at = now()")
    return ids.make("Webhook", webhook.id)


async def test_failed_deliveries_are_sent_again_and_their_progress_is_told(domain: Domain, admin: Actor) -> None:
    webhook = await failed(domain, admin, 3)
    command = ("replay", "--webhook", webhook, "--since", "1h", "--json")
    running = asyncio.create_task(asyncio.to_thread(hookline, *command, **told(domain)))
    async with asyncio.timeout(60):
        while not (open_ := await replays.open_replays(1)):
            await asyncio.sleep(0.02)
        # As a worker does.
        await replays.copy_page(open_[0])
        done = await running

    assert done.returncode == 0, done.stderr
    last = json.loads(done.stdout.splitlines()[-1])
    assert (last["done"], last["total"], last["finished"]) == (3, 3, True)
    assert await Delivery.filter(replay_id=open_[0]).count() == 3


async def test_of_what_was_made_between_two_moments_the_failed_are_sent_and_without_waiting_it_ends_at_once(
    domain: Domain, admin: Actor
) -> None:
    webhook = await failed(domain, admin, 4)
    minutes = (120, 30, 20, 0)
    for delivery, ago in zip(await Delivery.all().order_by("id"), minutes, strict=True):
        await Delivery.filter(id=delivery.id).update(created_at=datetime.now(UTC) - timedelta(minutes=ago))
    await rows("UPDATE delivery SET status = 'succeeded' WHERE created_at < now() - interval '25 min'")
    arguments = ("replay", "--webhook", webhook, "--since", "1h", "--until", "10m", "--no-wait")
    done = await asyncio.to_thread(hookline, *arguments, **told(domain))

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("Sending 1 delivery of 'CRM' again (")
    assert await Replay.filter(finished_at=None, total=1).count() == 1


async def test_where_there_is_nothing_to_send_it_says_so(domain: Domain, admin: Actor) -> None:
    webhook = await failed(domain, admin, 1)
    arguments = ("replay", "--webhook", webhook, "--since", "1h", "--only", "cancelled")
    assert (
        "There are no such deliveries of 'CRM'."
        in (await asyncio.to_thread(hookline, *arguments, **told(domain))).stdout
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--since", "1h"), "There is no such webhook."),
        (("--since", "yesterday"), "'yesterday' is not a time. Write 90m,"),
        (("--since", "0001-01-01T00:00:00+14:00"), "'0001-01-01T00:00:00+14:00' is not a time. Write 90m,"),
        (
            ("--since", "1h", "--until", "9999-12-31T23:59:59-14:00"),
            "'9999-12-31T23:59:59-14:00' is not a time. Write 90m,",
        ),
    ],
    ids=["an unknown webhook", "a time that is none", "a time before all others", "a time after all others"],
)
def test_what_cannot_be_done_is_a_sentence(database_url: str, arguments: tuple[str, ...], sentence: str) -> None:
    variables = {
        "HOOKLINE_DATABASE_URL": database_url,
        "HOOKLINE_REDIS_URL": "redis://127.0.0.1:1",
        "HOOKLINE_SECRET_KEYS": "A" * 43 + "=",
    }
    refused = CliRunner().invoke(app, ["replay", "--webhook", "nonsense", *arguments], env=variables)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.startswith(sentence)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("90m", NOW - timedelta(minutes=90)),
        ("2h", NOW - timedelta(hours=2)),
        ("1w", NOW - timedelta(weeks=1)),
        ("3d", NOW - timedelta(days=3)),
        ("2026-05-01T08:00:00Z", datetime(2026, 5, 1, 8, tzinfo=UTC)),
        ("2026-05-01T08:00:00+02:00", datetime(2026, 5, 1, 6, tzinfo=UTC)),
        ("2026-05-01", datetime(2026, 5, 1, tzinfo=UTC)),
    ],
)
def test_times_are_read_as_people_write_them(text: str, meant: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    # In any time zone.
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        found = moment(text, NOW)
    time.tzset()
    assert found == meant


async def test_the_end_of_a_replay_is_told_though_all_was_copied_before_and_so_is_that_it_is_gone(
    domain: Domain, admin: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.replay.POLL_SECONDS", 0)
    await failed(domain, admin, 1)
    webhook = await Webhook.get()
    async with domain.unit(admin) as unit:
        replay = await replays.start(unit, NewReplay(webhook.id, (DeliveryStatus.FAILED,), NOW - timedelta(days=1)))
    await rows("UPDATE replay SET done = total, finished_at = NULL")
    told = replaying._steps(replay)
    assert ((copied := await anext(told)).done, copied.finished_at) == (1, None)
    await rows("UPDATE replay SET finished_at = now()")
    assert (await anext(told)).finished_at
    await rows("DELETE FROM replay")
    with pytest.raises(Unavailable, match="its workspace was erased"):
        await anext(replaying._steps(replay))


def test_a_time_that_is_none_is_refused() -> None:
    with pytest.raises(Misconfigured, match="is not a time"):
        moment("5 minutes", NOW)


async def test_a_workspace_is_erased_by_who_types_its_name(domain: Domain, admin: Actor) -> None:
    await workspaces.create("Other")
    await listen(domain, admin)
    for typed, code in (("Other\n", 1), ("Test\n", 0)):
        done = await asyncio.to_thread(typing, typed, "workspace", "erase", "Test", **told(domain))
        assert done.returncode == code, done.stderr
    assert [workspace.name for workspace in await Workspace.all()] == ["Other"]
    erased = await asyncio.to_thread(hookline, "workspace", "erase", "Other", "--yes", "--json", **told(domain))
    assert json.loads(erased.stdout)["removed"] >= 1
    assert not await Workspace.exists()


def typing(text: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command and type this text."""
    return subprocess.run(
        [*HOOKLINE, *arguments], env=environment(**variables), input=text, capture_output=True, text=True, check=False,
        timeout=90,
    )  # fmt: skip
