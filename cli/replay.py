"""`hookline replay`: send finished deliveries of one webhook again. Workers do it; this shows how far they are."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from cli.opening import require_migrated
from cli.output import Output
from domain import ids, replays, unit
from domain.errors import Misconfigured, Unavailable, not_found
from domain.replays import NewReplay
from domain.settings import Settings
from domain.tables import Replay, Webhook, Workspace
from domain.unit import Actor
from domain.vocabulary import DeliveryStatus, Role

POLL_SECONDS = 0.5
UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to send again, as it was typed."""

    webhook: str
    statuses: tuple[DeliveryStatus, ...]
    since: str
    until: str | None = None


async def run(settings: Settings, wanted: Wanted, output: Output, *, wait: bool, as_json: bool) -> None:
    """Begin a replay and, unless told otherwise, wait for its end. Raises Refused, Misconfigured and Unavailable."""
    now = datetime.now(UTC)
    since, until = moment(wanted.since, now), moment(wanted.until, now) if wanted.until else None
    async with unit.opened(settings) as domain:
        await require_migrated()
        webhook = await Webhook.get_or_none(id=ids.key("Webhook", wanted.webhook), deleted_at=None)
        if webhook is None:
            not_found("webhook")
        workspace = await Workspace.get(id=webhook.workspace_id)
        async with domain.unit(Actor(workspace, None, Role.ADMIN)) as opened:
            replay = await replays.start(opened, NewReplay(webhook.id, wanted.statuses, since, until))
        if as_json:
            await _tell(replay, output, wait=wait)
        elif not replay.total:
            output.say(f"There are no such deliveries of {webhook.name!r}.")
        else:
            many = "1 delivery" if replay.total == 1 else f"{replay.total:,} deliveries"
            output.say(f"Sending {many} of {webhook.name!r} again ({ids.make('Replay', replay.id)}).")
            if wait:
                await _show(replay)


async def _tell(replay: Replay, output: Output, *, wait: bool) -> None:
    async for done in _steps(replay) if wait else _once(replay):
        fields = {
            "id": ids.make("Replay", replay.id),
            "done": done.done,
            "total": done.total,
            "finished": bool(done.finished_at),
        }
        output.say(json.dumps(fields))


async def _show(replay: Replay) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    # On standard error, because standard output is for the result.
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("Queued again", total=replay.total)
        async for done in _steps(replay):
            progress.update(task, completed=done.done, total=done.total)


async def _once(replay: Replay) -> AsyncIterator[Replay]:
    yield replay


async def _steps(replay: Replay) -> AsyncIterator[Replay]:
    """The replay each time it has progressed, until it has finished."""
    told = -1
    while True:
        found = await Replay.get_or_none(id=replay.id)
        if found is None:
            raise Unavailable("The replay is gone: its workspace was erased.")
        if found.done != told or found.finished_at:
            told = found.done
            yield found
        if found.finished_at:
            return
        await asyncio.sleep(POLL_SECONDS)


def moment(text: str, now: datetime) -> datetime:
    """A time that a person typed: "90m", "2h", "3d", "1w" ago, or an RFC 3339 time. Raises Misconfigured."""
    if ago := re.fullmatch(r"(\d{1,5})([mhdw])", text.strip()):
        return now - timedelta(**{UNITS[ago[2]]: int(ago[1])})
    try:
        found = datetime.fromisoformat(text.strip())
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise Misconfigured(
            f"{text!r} is not a time. Write 90m, 2h, 3d or 1w for so long ago, or 2026-05-01T08:00:00Z."
        ) from None
