"""Traces: one from a mutation through the queue to the attempts that follow from it. Off unless an endpoint is set.

A span per operation, not per field, and without its text: neither queries nor values ever become attributes. The trace
travels with the event, in the database, so that a retry after days still belongs to it (docs/decisions/0124-traces.md).
"""

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Protocol

from domain.errors import Misconfigured
from domain.settings import Settings
from domain.verdicts import Result


class Tracer(Protocol):
    """Where spans go."""

    # Whether any spans are sent.
    enabled: bool

    def operation(self, kind: str, field: str, request_id: str) -> AbstractContextManager[Callable[[set[str]], None]]:
        """A span around one GraphQL operation. The block gets a function to call with the codes of its errors."""

    def current(self) -> str | None:
        """The current trace, as in a W3C traceparent header; None if there is none."""

    def attempts(self, results: Sequence[Result]) -> None:
        """The spans of attempts that have ended."""

    def close(self) -> None:
        """Send the spans that wait; blocks until then."""


class NoTraces:
    """Used if no endpoint is set; each use costs only a call."""

    enabled = False

    @contextmanager
    def operation(self, kind: str, field: str, request_id: str) -> Iterator[Callable[[set[str]], None]]:
        """See Tracer."""
        yield lambda _codes: None

    def current(self) -> str | None:
        """See Tracer."""
        return None

    def attempts(self, results: Sequence[Result]) -> None:
        """See Tracer."""

    def close(self) -> None:
        """See Tracer."""


def tracer(settings: Settings) -> Tracer:
    """The tracer that these settings ask for. Raises Misconfigured if the packages for it are missing."""
    spans = _packages(settings)
    made: Tracer = spans.Spans(settings.traces_endpoint) if spans else NoTraces()
    return made


def check(settings: Settings) -> None:
    """Raises Misconfigured if traces are asked for and the packages are missing."""
    _packages(settings)


def _packages(settings: Settings) -> Any:
    if not settings.traces_endpoint:
        return None
    try:
        # By name: the packages are optional, and importing them takes 130 ms, which only those who use them should pay.
        return importlib.import_module("domain.spans")
    except ImportError as error:
        raise Misconfigured(
            "HOOKLINE_TRACES_ENDPOINT is set, but the packages for traces are not installed: "
            "install requirements-traces.lock, or empty the variable."
        ) from error
