"""What a worker counts: each figure under its own name, in its own unit."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry

from api.metrics import Metrics
from domain.backlog import Backlog
from domain.deliveries import Recorded
from domain.verdicts import NO_WAIT, Result
from domain.vocabulary import AttemptOutcome, DeliveryStatus
from workers import metrics

SECOND = timedelta(seconds=1)


def shown(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(f"hookline_{name}", labels) or 0.0


def test_what_the_database_says_is_owed_is_told() -> None:
    metrics.tell(
        Backlog(3, timedelta(minutes=2), in_flight=4, circuits_open=5, due_posts=6, oldest_due_post=7 * SECOND)
    )

    names = ("due", "oldest_due_seconds", "in_flight", "circuits_open", "due_posts", "oldest_due_post_seconds")
    assert [shown(name) for name in names] == [3, 120, 4, 5, 6, 7]


def ended(number: int, milliseconds: int) -> Result:
    """The result of a successful attempt with this number."""
    return Result(
        claimed={"attempt_number": number},
        status=DeliveryStatus.SUCCEEDED,
        wait=NO_WAIT,
        retry_after=False,
        duration_ms=milliseconds,
        outcome=AttemptOutcome.SUCCEEDED,
        error=None,
        request_url="",
        request_headers="",
    )


def test_of_attempts_those_count_as_deliveries_that_still_had_their_lease() -> None:
    def counts() -> list[float]:
        return [
            shown("attempts_total", outcome="succeeded"),
            shown("deliveries_total", status="succeeded"),
            shown("lease_losses_total"),
            shown("retries_total"),
            shown("attempt_duration_seconds_sum"),
        ]

    before, results = counts(), [ended(1, 500), ended(2, 1_500)]
    metrics.count_attempts(results, [Recorded(results[0], {})])

    assert [now - then for now, then in zip(counts(), before, strict=True)] == pytest.approx([2, 1, 1, 1, 2.0])


def test_what_takes_longer_than_it_may_by_default_has_places_of_its_own() -> None:
    def places(registry: CollectorRegistry, name: str, **labels: str) -> list[float]:
        found = (registry.get_sample_value(name, {**labels, "le": le}) for le in ("10.0", "15.0", "30.0", "60.0"))
        return [place for place in found if place is not None]

    before = places(metrics.REGISTRY, "hookline_attempt_duration_seconds_bucket")
    metrics.count_attempts([ended(1, 40_000)], [])
    after = places(metrics.REGISTRY, "hookline_attempt_duration_seconds_bucket")
    assert [now - then for now, then in zip(after, before, strict=True)] == [0, 0, 0, 1]

    of_the_api = Metrics()
    of_the_api.seconds.labels("query").observe(40)
    assert places(of_the_api.registry, "hookline_graphql_seconds_bucket", kind="query") == [0, 0, 1]


def test_what_a_process_holds_is_told_whenever_somebody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    # Another test may have run a worker in this process, whose outlet would be reported as well.
    monkeypatch.setattr(metrics, "REGISTRY", CollectorRegistry())
    metrics.REGISTRY.register(metrics.IN_FLIGHT)
    outlet = SimpleNamespace(dropped=7)
    metrics.watch(outlet, lambda: 3)  # type: ignore[arg-type]
    assert (shown("outlet_dropped_total"), shown("attempts_in_flight")) == (7, 3)
    outlet.dropped = 8
    assert shown("outlet_dropped_total") == 8
