"""Logs: one line for each thing that a person may want to know of, as JSON or for people.

Secrets never reach a log call; as a last line of defence, what looks like one of our tokens is blotted out here.
"""

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from domain.settings import Settings

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
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
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
    # A line for every job and statement helps nobody.
    for name in ("arq", "tortoise", "asyncpg", "aiohttp.access"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _blot_out(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if isinstance(value, str) and _TOKEN.search(value):
            event[key] = _TOKEN.sub(r"\1…", value)
    return event
