"""`hookline listen`: relays live deliveries to a receiver on this machine, each exactly once.

It forwards what each delivery's first attempt sent. After a lost connection it connects again and continues from the
cursor. It also remembers which deliveries it has forwarded.
"""

import asyncio
import json
import random
import signal
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, NoReturn

from yarl import URL

from cli.forward import Relayed, forward_forever
from cli.output import Output
from cli.talk import LostError, RefusedByServerError, Talk, shown, talking
from domain.errors import HooklineError
from domain.vocabulary import EventType

SHORTEST_PAUSE = 0.25
LONGEST_PAUSE = 15.0
# Deliveries received but not yet forwarded. Beyond that we stop reading, and the server lets us resume.
MOST_WAITING = 500
# Deliveries that are remembered as forwarded: after a loss of Redis, a change may come once more.
MOST_REMEMBERED = 20_000

OPENING = """
query ($webhook: ID!, $named: Boolean!) {
  viewer { workspace { name } token { role } }
  webhook(id: $webhook) @include(if: $named) { name }
  liveCursor
}
"""
WATCH = """
subscription ($webhook: ID, $events: [EventType!], $after: String) {
  deliveryStatusChanged(
    webhookId: $webhook, eventTypes: $events, statuses: [SUCCEEDED, RETRYING, FAILED], after: $after
  ) {
    cursor
    delivery { uuid event { type } }
    request { method headers { name value } body }
  }
}
"""


class BadOptionError(HooklineError):
    """What was asked of `hookline listen` makes no sense."""


@dataclass(frozen=True)
class Source:
    """What to listen to; `events` and `webhook` narrow it."""

    url: URL
    token: str
    events: tuple[EventType, ...] = ()
    webhook: str | None = None


def run(source: Source, forward_to: URL, output: Output, *, as_json: bool) -> None:
    """Listen until Ctrl-C or SIGTERM. Raises HooklineError if there is nothing to listen to."""
    asyncio.run(_run(source, forward_to, output, as_json))


async def _run(source: Source, forward_to: URL, output: Output, as_json: bool) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    waiting: asyncio.Queue[Relayed] = asyncio.Queue(MOST_WAITING)
    listener = Listener(source, forward_to, waiting.put, output)
    tasks = {
        asyncio.create_task(listener.listen()),
        asyncio.create_task(forward_forever(waiting, forward_to, output, as_json=as_json)),
        stop := asyncio.create_task(stopped.wait()),
    }
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    outcomes = await asyncio.gather(*(tasks - {stop}), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome


class Listener:
    """Watches deliveries, with a new connection each time one is lost."""

    def __init__(
        self, source: Source, forward_to: URL, take: Callable[[Relayed], Awaitable[None]], output: Output
    ) -> None:
        self._source = source
        self._forward_to = forward_to
        self._take = take
        self._output = output
        self._cursor: str | None = None
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._pause = SHORTEST_PAUSE

    async def listen(self) -> None:
        """Never returns. Raises HooklineError if trying again would be of no use."""
        while True:
            began = monotonic()
            try:
                async with talking(self._source.url, self._source.token) as talk:
                    await self._watch(talk)
            except LostError as lost:
                if self._cursor is None:
                    raise
                self._output.note(f"{lost} Connecting again, to go on where this was.")
            if monotonic() - began > LONGEST_PAUSE:
                self._pause = SHORTEST_PAUSE
            await asyncio.sleep(self._pause * random.uniform(0.5, 1.0))  # noqa: S311
            self._pause = min(self._pause * 2, LONGEST_PAUSE)

    async def _watch(self, talk: Talk) -> None:
        if self._cursor is None:
            await self._open(talk)
        else:
            self._output.note("Connected again.")
        while True:
            await talk.subscribe(WATCH, self._variables())
            self._go_on_after(await self._error_after_changes(talk))

    def _variables(self) -> dict[str, Any]:
        names = [event.name for event in self._source.events] or None
        return {"webhook": self._source.webhook, "events": names, "after": self._cursor}

    async def _open(self, talk: Talk) -> None:
        webhook = self._source.webhook
        found = await talk.ask(OPENING, {"webhook": webhook or "", "named": webhook is not None})
        if found["viewer"]["token"]["role"] != "ADMIN":
            raise RefusedByServerError("Listening shows what deliveries carry: that takes the token of an admin.")
        if webhook is not None and found["webhook"] is None:
            raise RefusedByServerError(f"There is no webhook with the id {webhook}.")
        name = found["viewer"]["workspace"]["name"]
        what = f"the webhook {found['webhook']['name']} of {name}" if webhook is not None else name
        self._output.note(f"Listening to {what}; forwarding to {shown(self._forward_to)}. Ctrl-C ends it.")
        self._cursor = found["liveCursor"]

    async def _error_after_changes(self, talk: Talk) -> dict[str, Any]:
        """Take changes until the subscription ends with an error; returns that error."""
        while True:
            message = await talk.receive()
            if message["type"] == "error":
                error: dict[str, Any] = message["payload"][0]
                return error
            if message["type"] != "next":
                raise LostError("The server ended the subscription.")
            self._pause = SHORTEST_PAUSE
            await self._take_change(message["payload"])

    async def _take_change(self, payload: Mapping[str, Any]) -> None:
        for error in payload.get("errors") or ():
            self._output.fail(f"A delivery could not be read: {error['message']}")
        change = (payload.get("data") or {}).get("deliveryStatusChanged")
        if change is None:
            return
        if change["request"] is not None and self._is_new(change["delivery"]["uuid"]):
            await self._take(_relayed(change))
        self._cursor = change["cursor"]

    def _is_new(self, delivery: str) -> bool:
        if delivery in self._seen:
            return False
        self._seen[delivery] = None
        if len(self._seen) > MOST_REMEMBERED:
            self._seen.popitem(last=False)
        return True

    def _go_on_after(self, error: Mapping[str, Any]) -> None:
        extensions = error.get("extensions") or {}
        message = f"The server says: {error['message']}"
        match extensions.get("code"):
            case "CURSOR_EXPIRED":
                self._cursor = extensions["cursor"]
                self._output.note(
                    "Some changes since the last one are no longer kept, so deliveries may be missing here; "
                    "going on with what comes next."
                )
            case "UNAVAILABLE" | "INTERNAL" | "RATE_LIMITED":
                raise LostError(message)
            case _:
                raise RefusedByServerError(message)


def _relayed(change: Mapping[str, Any]) -> Relayed:
    request = change["request"]
    return Relayed(
        delivery=change["delivery"]["uuid"],
        event=EventType[change["delivery"]["event"]["type"]].value,
        method=request["method"],
        headers=[(header["name"], header["value"]) for header in request["headers"]],
        body=request["body"].encode(),
    )


# ---------------------------------------------------------------- what people type


def source_of(url: str | None, token: str | None, access: Path, events: Iterable[str], webhook: str | None) -> Source:
    """What to listen to; what was not given is read from the file that `hookline up` writes. Raises BadOptionError."""
    if url is None or token is None:
        known = _known(access)
        url, token = url or known["url"], token or known["token"]
    return Source(_endpoint(url), token.strip(), _events(events), webhook)


def receiver_of(text: str) -> URL:
    """Where to forward to. Raises BadOptionError."""
    found = _web_address(text)
    return (
        found
        if found is not None
        else _refuse(f"{text} is not a URL to forward to. Use one like http://localhost:3000/hook.")
    )


def _endpoint(text: str) -> URL:
    found = _web_address(text)
    if found is None:
        _refuse(f"{text} is not a URL of Hookline. Use one like http://127.0.0.1:8000.")
    return found if found.path != "/" else found / "graphql"


def _web_address(text: str) -> URL | None:
    try:
        found = URL(text if "://" in text else f"http://{text}")
        found.port  # noqa: B018 (which may not be a number)
    except ValueError:
        return None
    return found if found.scheme in {"http", "https"} and found.host else None


def _events(names: Iterable[str]) -> tuple[EventType, ...]:
    found = []
    for name in (part.strip() for text in names for part in text.split(",") if part.strip()):
        try:
            found.append(EventType[name.upper().replace(".", "_")])
        except KeyError:
            _refuse(f"There is no event {name}. The events are {', '.join(event.value for event in EventType)}.")
    return tuple(dict.fromkeys(found))


def _known(access: Path) -> dict[str, str]:
    try:
        found = json.loads(access.read_text())
        return {"url": str(found["url"]), "token": str(found["token"])}
    except FileNotFoundError:
        why = "is not there"
    except OSError as error:
        why = f"cannot be read: {error.strerror}"
    except (ValueError, KeyError, TypeError):
        why = "does not hold them"
    raise BadOptionError(
        f"Say where to listen, with --url and --token: {access}, where `hookline up` writes both, {why}."
    )


def _refuse(message: str) -> NoReturn:
    raise BadOptionError(message)
