"""What a worker counts, for Prometheus. Labels come from closed sets alone. docs/metrics.md lists all of it."""

from collections import Counter as Counts
from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.metrics_core import GaugeMetricFamily
from prometheus_client.registry import Collector

from domain.backlog import Backlog
from domain.counting import Kept
from domain.deliveries import Recorded
from domain.outlet import Outlet
from domain.verdicts import Result
from domain.vocabulary import AttemptOutcome, DeliveryStatus, WebhookDisabledReason

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

ATTEMPTS = Counter("hookline_attempts_total", "Attempts by outcome", ["outcome"], registry=REGISTRY)
ATTEMPT_SECONDS = Histogram(
    "hookline_attempt_duration_seconds",
    "How long attempts took",
    # HOOKLINE_REQUEST_TIMEOUT may be longer than its default of 15 s.
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60),
    registry=REGISTRY,
)
DELIVERIES = Counter("hookline_deliveries_total", "Attempts by the state they led to", ["status"], registry=REGISTRY)
RETRIES = Counter("hookline_retries_total", "Attempts that were not their delivery's first", registry=REGISTRY)
CLAIMED = Counter("hookline_claimed_total", "Deliveries taken, by what told of them", ["by"], registry=REGISTRY)
LOST_LEASES = Counter("hookline_lease_losses_total", "Results that came after their lease", registry=REGISTRY)
INTERRUPTED = Counter("hookline_interrupted_total", "Attempts whose worker died", registry=REGISTRY)
CIRCUITS_OPENED = Counter("hookline_circuits_opened_total", "Circuits that opened", registry=REGISTRY)
WEBHOOKS_DISABLED = Counter("hookline_webhooks_disabled_total", "Webhooks switched off", ["reason"], registry=REGISTRY)
PRUNED = Counter("hookline_pruned_total", "Rows removed for their age", ["sweep"], registry=REGISTRY)
IN_FLIGHT = Gauge("hookline_attempts_in_flight", "Attempts under way", registry=REGISTRY)
REDIS_REACHED = Gauge("hookline_redis_reached", "Whether Redis gives hints and takes changes", registry=REGISTRY)
DATABASE_REACHED = Gauge("hookline_database_reached", "Whether the database answered last time", registry=REGISTRY)


class BacklogGauges(Collector):
    """The backlog of all workspaces and workers together, from the database: every worker reports the same.

    While the database does not answer, there are no gauges: people take the max() over all workers, and the last
    figures of a worker that is cut off would stay the highest.
    """

    backlog: Backlog | None = None

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """See prometheus_client."""
        if (owed := self.backlog) is None:
            return
        for name, documentation, value in (
            ("due", "Deliveries that could be sent now", owed.due),
            ("oldest_due_seconds", "How long the oldest has been due", owed.oldest_due.total_seconds()),
            ("in_flight", "Deliveries that some worker holds", owed.in_flight),
            ("circuits_open", "Webhooks that are being spared", owed.circuits_open),
            ("due_posts", "Posts that could be published now", owed.due_posts),
            ("oldest_due_post_seconds", "How long the oldest post has been due", owed.oldest_due_post.total_seconds()),
        ):
            yield GaugeMetricFamily(f"hookline_{name}", documentation, value=value)


BACKLOG = BacklogGauges()
REGISTRY.register(BACKLOG)

# Prometheus sees the first increment only if the counter stood at zero before.
for _outcome in AttemptOutcome:
    ATTEMPTS.labels(_outcome.value)
for _status in (DeliveryStatus.SUCCEEDED, DeliveryStatus.RETRYING, DeliveryStatus.FAILED):
    DELIVERIES.labels(_status.value)
for _reason in WebhookDisabledReason:
    WEBHOOKS_DISABLED.labels(_reason.value)


def count_attempts(results: Sequence[Result], recorded: Sequence[Recorded]) -> None:
    """Count a group of attempts, and the resulting states of those that still had their lease."""
    LOST_LEASES.inc(len(results) - len(recorded))
    for outcome, count in Counts(result.outcome.value for result in results).items():
        ATTEMPTS.labels(outcome).inc(count)
    for status, count in Counts(each.result.status.value for each in recorded).items():
        DELIVERIES.labels(status).inc(count)
    RETRIES.inc(sum(result.claimed["attempt_number"] > 1 for result in results))
    for result in results:
        ATTEMPT_SECONDS.observe(result.duration_ms / 1000)


def tell(backlog: Backlog | None) -> None:
    """Report what the database says is owed; None if it did not answer."""
    BACKLOG.backlog = backlog
    DATABASE_REACHED.set(backlog is not None)


def watch(outlet: Outlet, places: Callable[[], int]) -> None:
    """Report what these say at each scrape: `places` is how many attempts are under way."""
    IN_FLIGHT.set_function(places)
    REGISTRY.register(
        Kept("hookline_outlet_dropped_total", "Hints and changes that Redis did not take", lambda: outlet.dropped)
    )
