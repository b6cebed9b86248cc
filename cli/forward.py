"""Forwards deliveries to a receiver on this machine, for `hookline listen`, and shows the result of each."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Final

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from cli.output import Output
from domain.failures import classify
from domain.guarded_socket import HEAD_BUDGET

# How long the receiver may take to answer.
FORWARD_SECONDS: Final = 30.0
# Headers that aiohttp would add to a request; our deliveries have all of them already.
ADDED_BY_AIOHTTP: Final = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
EVENT_WIDTH = 24


@dataclass(frozen=True)
class Relayed:
    """What a delivery's first attempt sent."""

    delivery: str
    event: str
    method: str
    headers: Sequence[tuple[str, str]]
    body: bytes


@dataclass(frozen=True)
class Result:
    """The result of forwarding it: a status, or else an error."""

    at: datetime
    relayed: Relayed
    status: int | None
    error: str | None
    duration_ms: int


async def forward_forever(waiting: "asyncio.Queue[Relayed]", to: URL, output: Output, *, as_json: bool) -> None:
    """Forward them one after the other, in order, and show the result of each."""
    show = _show_json if as_json else _show
    while True:
        show(output, await forward(await waiting.get(), to))


async def forward(relayed: Relayed, to: URL) -> Result:
    """One request, with the headers and the body as they are; never sent twice."""
    at, began = datetime.now(UTC), monotonic()
    status, error = None, None
    try:
        async with asyncio.timeout(FORWARD_SECONDS):
            status = await _send(relayed, to)
    except Exception as failure:  # noqa: BLE001 - said in the words of the log, whatever aiohttp makes of it
        _, error = classify(failure)
    return Result(at, relayed, status, error, round((monotonic() - began) * 1000))


async def _send(relayed: Relayed, to: URL) -> int:
    # aiohttp sends PUT and DELETE again if a reused connection breaks, so each request gets a new session.
    async with (
        aiohttp.ClientSession(
            skip_auto_headers=ADDED_BY_AIOHTTP,
            auto_decompress=False,
            # The limits of a worker: what it accepts as an answer is accepted here.
            max_line_size=HEAD_BUDGET,
            max_field_size=HEAD_BUDGET,
            max_headers=HEAD_BUDGET,
        ) as session,
        session.request(
            relayed.method, to, data=relayed.body, headers=CIMultiDict(relayed.headers), allow_redirects=False
        ) as answer,
    ):
        return answer.status


def _show(output: Output, result: Result) -> None:
    status = str(result.status) if result.status is not None else "failed"
    output.line(
        (f"{result.at.astimezone():%H:%M:%S}  ", "dim"),
        (f"{result.relayed.event:<{EVENT_WIDTH}}  ", "bold"),
        (f"{status:<6}  ", _style(result.status)),
        (f"{result.duration_ms} ms", "dim"),
        (f"  {result.error}" if result.error else "", "red"),
    )


def _style(status: int | None) -> str:
    if status is None or status >= 500:
        return "bold red"
    return "bold green" if 200 <= status < 300 else "bold yellow"


def _show_json(output: Output, result: Result) -> None:
    told = {
        "time": result.at.isoformat(timespec="milliseconds"),
        "event": result.relayed.event,
        "delivery": result.relayed.delivery,
        "status": result.status,
        "durationMs": result.duration_ms,
        "error": result.error,
    }
    output.line((json.dumps(told), ""))
