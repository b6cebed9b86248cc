"""`hookline status`: what is due and for how long, how the last hour went, and which webhooks are in trouble."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from cli import sentences
from cli.opening import require_migrated
from cli.output import Output, columns, duration
from domain import backlog, database, ids
from domain.backlog import MOST_COUNTED, MOST_WAITING, RECENT_DELIVERIES, Backlog, Troubled
from domain.errors import Misconfigured, Unavailable
from domain.settings import Settings
from domain.vocabulary import DeliveryStatus

LOOK_BACK = timedelta(hours=1)
MOST_WEBHOOKS = 20
LONG_DUE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Status:
    """Everything at one moment."""

    at: datetime
    backlog: Backlog
    waiting: int
    recent: dict[str, int]
    in_trouble: int
    # At most MOST_WEBHOOKS of them.
    troubled: list[Troubled]


async def look() -> Status:
    """Ask the database. Raises Misconfigured if it is not migrated, and Unavailable."""
    await require_migrated()
    return Status(
        at=await database.now(),
        backlog=await backlog.measure(),
        waiting=await backlog.waiting(),
        recent=await backlog.recent(LOOK_BACK),
        in_trouble=await backlog.in_trouble(),
        troubled=await backlog.troubled_webhooks(MOST_WEBHOOKS),
    )


async def run(settings: Settings, output: Output, *, as_json: bool) -> None:
    """Show it once. Raises Misconfigured and Unavailable."""
    async with database.connected(settings):
        _show(await look(), output, as_json=as_json)


async def watch(settings: Settings, output: Output, every: timedelta, *, as_json: bool) -> None:
    """Show it again and again, until cancelled or nobody reads. Without a database, say so and go on asking."""
    async with database.connected(settings):
        if as_json or not output.is_terminal:
            async for found in _looks(every):
                _show(found, output, as_json=as_json)
                if not output.is_read:
                    return
            return
        with Live(auto_refresh=False) as live:
            async for found in _looks(every):
                live.update(_watched(found), refresh=True)


async def _looks(every: timedelta) -> AsyncIterator[Status | str]:
    while True:
        try:
            with sentences.of_the_database():
                found: Status | str = await look()
        except (Misconfigured, Unavailable) as error:
            found = str(error)
        yield found
        await asyncio.sleep(every.total_seconds())


def _show(found: Status | str, output: Output, *, as_json: bool) -> None:
    if as_json:
        output.say(json.dumps({"error": found}) if isinstance(found, str) else as_line(found))
    else:
        output.show(_in_words(found))


def _watched(found: Status | str) -> RenderableType:
    return Group(_in_words(found), "", Text(f"{datetime.now(UTC):%H:%M:%S} UTC; Ctrl-C ends it", "dim"))


def _in_words(found: Status | str) -> RenderableType:
    return Text(found, "bold red") if isinstance(found, str) else shown(found)


def as_line(status: Status) -> str:
    """One object, for programs; ids are those of the API, times are RFC 3339, durations seconds."""
    owed = status.backlog
    return json.dumps(
        {
            "at": status.at.isoformat(),
            "due": owed.due,
            "oldest_due_seconds": round(owed.oldest_due.total_seconds(), 3),
            "in_flight": owed.in_flight,
            "waiting": status.waiting,
            "circuits_open": owed.circuits_open,
            "due_posts": owed.due_posts,
            "oldest_due_post_seconds": round(owed.oldest_due_post.total_seconds(), 3),
            "last_hour": status.recent,
            "webhooks_in_trouble": status.in_trouble,
            "troubled_webhooks": [_troubled_as_json(each) for each in status.troubled],
        },
        default=datetime.isoformat,
    )


def _troubled_as_json(troubled: Troubled) -> dict[str, Any]:
    fields = asdict(troubled)
    return {"id": ids.make("Webhook", fields.pop("webhook_id")), **fields}


def shown(status: Status) -> RenderableType:
    """The same for people."""
    owed = status.backlog
    figures = Table.grid(padding=(0, 2))
    for name, value, style in (
        ("due now", _count(owed.due), "bold"),
        ("oldest due", duration(owed.oldest_due) if owed.due else "none", _lateness(owed.oldest_due)),
        ("in flight", _count(owed.in_flight), "bold"),
        ("not finished", _count(status.waiting), "bold"),
        ("last hour", _fared(status.recent), ""),
        ("posts due", _posts(owed), _lateness(owed.oldest_due_post)),
    ):
        figures.add_row(Text(name, "dim"), Text(value, style))
    if not status.troubled:
        return Group(figures, Text("No webhook is failing.", "green"))
    told = f" ({len(status.troubled)} of {status.in_trouble:,})" if status.in_trouble > len(status.troubled) else ""
    return Group(figures, "", Text(f"Webhooks in trouble{told}", "bold"), _table(status))


def _posts(owed: Backlog) -> str:
    return f"{_count(owed.due_posts)}, the oldest for {duration(owed.oldest_due_post)}" if owed.due_posts else "0"


def _lateness(oldest: timedelta) -> str:
    return "bold red" if oldest > LONG_DUE else "bold"


def _table(status: Status) -> Table:
    table = columns("webhook", "workspace", "id", "failing for", "state", "waiting")
    for each in status.troubled:
        since = duration(status.at - each.failing_since) if each.failing_since else ""
        table.add_row(
            Text(each.name[:40]),
            Text(each.workspace[:30]),
            ids.make("Webhook", each.webhook_id),
            since,
            Text(_state(each, status.at), "yellow" if each.active else "red"),
            _count(each.waiting, MOST_WAITING),
        )
    return table


def _state(troubled: Troubled, at: datetime) -> str:
    if troubled.disabled_reason:
        return f"disabled: {troubled.disabled_reason}"
    if not troubled.active:
        return "switched off"
    if (until := troubled.circuit_open_until) is None:
        return "failing"
    # After the pause, the next due delivery is the probe, perhaps in hours; the time alone would look like tomorrow's.
    return f"spared until {until.astimezone(UTC):%H:%M:%S} UTC" if until > at else "spared until one is due"


def _count(number: int, most: int = MOST_COUNTED) -> str:
    return f"{number:,}" if number < most else f"{most:,} or more"


def _fared(recent: dict[str, int]) -> str:
    told = [f"{recent[status]:,} {status.value}" for status in DeliveryStatus if recent.get(status)]
    if sum(recent.values()) == RECENT_DELIVERIES:
        told.append(f"of the last {RECENT_DELIVERIES:,} only")
    return ", ".join(told) or "nothing"
