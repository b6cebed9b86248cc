"""What is counted, for Prometheus. Every label has few values: nothing that a client chooses becomes one.

docs/metrics.md lists all of it.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from api.execution import Prepared
from domain.counting import Kept

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# HOOKLINE_QUERY_TIMEOUT may be longer than its default of 10 s.
BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
COSTS = (1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000)
CODES = frozenset(
    {
        "BAD_USER_INPUT",
        "CURSOR_EXPIRED",
        "FORBIDDEN",
        "INTERNAL",
        "QUERY_TOO_COMPLEX",
        "RATE_LIMITED",
        "TIMED_OUT",
        "UNAUTHENTICATED",
        "UNAVAILABLE",
    }
)
OTHER = "other"
PATHS = frozenset({"/graphql", "/graphiql", "/session", "/healthz", "/readyz", "/metrics"})


class Counted(Protocol):
    """Something that knows how many it holds."""

    def __len__(self) -> int: ...


class Shared(Counted, Protocol):
    """Feeds, and how many subscriptions share them."""

    @property
    def members(self) -> int: ...


class Metrics:
    """The counters of one process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "hookline_http_requests_total", "HTTP requests answered.", ("path", "status"), registry=self.registry
        )
        self.operations = Counter(
            "hookline_graphql_operations_total",
            "GraphQL operations, by transport, kind, root field and worst result.",
            ("transport", "kind", "field", "result"),
            registry=self.registry,
        )
        self.errors = Counter(
            "hookline_graphql_errors_total", "Answers with an error of this code.", ("code",), registry=self.registry
        )
        # Prometheus sees the first error only if its counter stood at zero before.
        for code in (*CODES, OTHER):
            self.errors.labels(code)
        self.cost = Histogram(
            "hookline_graphql_cost",
            "What operations were estimated to cost.",
            ("kind",),
            buckets=COSTS,
            registry=self.registry,
        )
        self.seconds = Histogram(
            "hookline_graphql_seconds",
            "Time to answer a query or a mutation.",
            ("kind",),
            buckets=BUCKETS,
            registry=self.registry,
        )
        self.overflows = Counter(
            "hookline_live_overflows_total", "Clients ended for being too far behind.", registry=self.registry
        )
        self.closed = Counter(
            "hookline_sockets_closed_total", "WebSockets closed by us, by code.", ("code",), registry=self.registry
        )
        self.changes = Counter(
            "hookline_live_changes_total", "Live changes executed and encoded, once per feed.", registry=self.registry
        )
        self.frames = Counter("hookline_live_frames_total", "Live changes sent to subscribers.", registry=self.registry)

    def watch(self, connections: Counted, feeds: Shared, dropped: Callable[[], int]) -> None:
        """Report how many of these there are at each scrape."""
        self.registry.register(
            Kept("hookline_outlet_dropped_total", "Hints and changes that Redis did not take.", dropped)
        )
        sockets = Gauge("hookline_connections", "Open WebSockets and event streams.", registry=self.registry)
        sockets.set_function(lambda: len(connections))
        shared = Gauge("hookline_live_feeds", "Different subscriptions that are being watched.", registry=self.registry)
        shared.set_function(lambda: len(feeds))
        live = Gauge("hookline_live_subscriptions", "Live subscriptions.", registry=self.registry)
        live.set_function(lambda: feeds.members)

    def request(self, path: str, status: int) -> None:
        """Count one HTTP request."""
        self.requests.labels(path if path in PATHS else OTHER, str(status)).inc()

    @contextmanager
    def timed(self, kind: str) -> Iterator[None]:
        """Time the execution of one operation."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds.labels(kind).observe(time.perf_counter() - started)

    def operation(self, transport: str, prepared: Prepared, codes: set[str]) -> None:
        """Count one operation and how it went."""
        result = next((code for code in ("INTERNAL", "UNAVAILABLE", "TIMED_OUT") if code in codes), "")
        result = (result or ("refused" if codes else "ok")).lower()
        self.operations.labels(transport, prepared.kind, prepared.field, result).inc()
        self.cost.labels(prepared.kind).observe(prepared.cost)

    def failed(self, codes: Iterable[str]) -> None:
        """Count an answer with errors of these codes."""
        for code in codes:
            self.errors.labels(code if code in CODES else OTHER).inc()

    def page(self) -> bytes:
        """The answer to Prometheus."""
        return generate_latest(self.registry)
