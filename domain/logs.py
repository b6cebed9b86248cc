"""Logs: one line for each thing that a person may want to know, as JSON or as text for people.

A repeated warning is written once a minute: a Redis that is away would be reported many times a second.

Secrets never reach a log call; as a last line of defence, what looks like one of our tokens is masked here.
"""

import logging
import re
import sys
from collections.abc import Iterable, Mapping, MutableMapping
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic
from typing import Any

import orjson
import structlog

from domain.settings import Settings
from domain.terminals import plain

SELDOM_SECONDS = 60.0

_TOKEN = re.compile(r"\b(hl_|whsec_)[A-Za-z0-9+/=_-]{8,}")


def configure(settings: Settings) -> None:
    """Send the logs of this process to standard error, ours and those of the libraries."""
    renderer: Any = structlog.processors.JSONRenderer()
    if settings.log_format == "text":
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _blot_out,
    ]
    if settings.log_format == "text":
        shared.append(_tame)
    structlog.configure(
        # The filter comes first: building lines that nobody sees took 25 us of each request.
        processors=[
            structlog.stdlib.filter_by_level,
            _Seldom(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    hush()


def hush() -> None:
    """Let the libraries say no more than they must."""
    # A line for every job and statement helps nobody.
    for name in ("arq", "tortoise", "aiohttp.access"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # It warns, with the whole stack, each time that it finds the database still away. We report that ourselves.
    logging.getLogger("asyncpg").setLevel(logging.ERROR)


class Lines:
    """Lines of one kind that come by the thousand, written together.

    A line through structlog and logging costs 21 us, an eighth of what a delivery costs; these cost 0.3 us
    (docs/decisions/0123-attempt-lines.md). Nothing is masked here: only facts of our own may go in.
    """

    def __init__(self, settings: Settings, event: str) -> None:
        self._event = event
        self._is_json = settings.log_format == "json"
        self._wanted = logging.getLevelNamesMapping().get(settings.log_level.upper(), 0) <= logging.INFO

    @property
    def wanted(self) -> bool:
        """Whether the lines are written at all; callers that ask first need not build them in vain."""
        return self._wanted

    def write(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Write them to standard error. Values that are None are left out of text for people."""
        now = datetime.now(UTC)
        text = self._as_json(lines, now) if self._is_json else self._as_text(lines, now)
        # As with logging, a standard error that cannot be written to stops nobody's work.
        with suppress(OSError, ValueError):
            sys.stderr.write(text)
            sys.stderr.flush()

    def _as_json(self, lines: Iterable[Mapping[str, Any]], now: datetime) -> str:
        head = orjson.dumps(
            {"event": self._event, "level": "info", "logger": self._event, "timestamp": now}, option=orjson.OPT_UTC_Z
        )[:-1]
        return b"".join(head + b"," + orjson.dumps(line)[1:] + b"\n" for line in lines).decode()

    def _as_text(self, lines: Iterable[Mapping[str, Any]], now: datetime) -> str:
        head = f"{now:%Y-%m-%dT%H:%M:%S.%fZ} [info     ] {self._event}"
        parts = []
        for line in lines:
            words = " ".join(f"{name}={value}" for name, value in line.items() if value is not None)
            parts.append(f"{head} {words}\n")
        return "".join(parts)


class _Seldom:
    """Drops a warning of an error that was reported in the last minute; the next one says how many were dropped."""

    def __init__(self) -> None:
        # By event and error: until when it is dropped, and how many were.
        self._told: dict[tuple[str, str], tuple[float, int]] = {}

    def __call__(self, _logger: Any, level: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if level != "warning" or "error" not in event:
            return event
        what, now = (event["event"], event["error"]), monotonic()
        until, times = self._told.get(what, (now, 0))
        if now < until:
            self._told[what] = (until, times + 1)
            raise structlog.DropEvent
        self._told[what] = (now + SELDOM_SECONDS, 0)
        return {**event, "repeated": times} if times else event


def _blot_out(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if isinstance(value, str) and _TOKEN.search(value):
            event[key] = _TOKEN.sub(r"\1…", value)
    return event


def _tame(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    # Anybody can request a path that would clear the screen; JSON escapes such characters by itself.
    return {key: plain(value) if isinstance(value, str) else value for key, value in event.items()}
