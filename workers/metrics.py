"""What a worker counts, for Prometheus. Labels come from closed sets alone."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from domain.deliveries import Result

REGISTRY = CollectorRegistry()

ATTEMPTS = Counter("hookline_attempts_total", "Attempts by outcome", ["outcome"], registry=REGISTRY)
ATTEMPT_SECONDS = Histogram(
    "hookline_attempt_duration_seconds",
    "How long attempts took",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15),
    registry=REGISTRY,
)
DELIVERIES = Counter("hookline_deliveries_total", "Attempts by the state they led to", ["status"], registry=REGISTRY)
LOST_LEASES = Counter("hookline_lease_losses_total", "Results that came after their lease", registry=REGISTRY)
INTERRUPTED = Counter("hookline_interrupted_total", "Attempts whose worker died", registry=REGISTRY)
CIRCUITS_OPENED = Counter("hookline_circuits_opened_total", "Circuits that opened", registry=REGISTRY)
WEBHOOKS_DISABLED = Counter("hookline_webhooks_disabled_total", "Webhooks switched off", ["reason"], registry=REGISTRY)
IN_FLIGHT = Gauge("hookline_attempts_in_flight", "Attempts under way", registry=REGISTRY)


def count_attempts(results: Sequence[Result], *, recorded: int) -> None:
    """Count a group of attempts, of which `recorded` still had their lease."""
    LOST_LEASES.inc(len(results) - recorded)
    for result in results:
        ATTEMPTS.labels(result.outcome.value).inc()
        DELIVERIES.labels(result.status.value).inc()
        ATTEMPT_SECONDS.observe(result.duration_ms / 1000)
