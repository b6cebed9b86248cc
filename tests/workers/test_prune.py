"""Pruning as a worker does it: every sweep has its turn, and one that fails does not hold up the others."""

import asyncio
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from domain.database import rows
from domain.retention import PAGE
from domain.settings import Settings
from domain.tasks import end
from domain.unit import Actor, Domain, opened
from tests.domain.breaking import break_updating
from tests.domain.doing import listen
from tests.domain.test_retention import delivered, left
from tests.waiting import until
from workers import metrics
from workers.prune import IDLE_SECONDS, LONGEST_REST_SECONDS, REST_FACTOR, SHORTEST_REST_SECONDS, Prune, rest_after


def counted(sweep: str) -> float:
    return metrics.REGISTRY.get_sample_value("hookline_pruned_total", {"sweep": sweep}) or 0.0


async def test_one_round_takes_a_page_of_each_sweep_and_counts_it(domain: Domain, admin: Actor) -> None:
    await listen(domain, admin)
    await delivered(domain, admin, 2, days_ago=91)
    await delivered(domain, admin, 1, days_ago=8)
    before = {sweep: counted(sweep) for sweep in ("attempt_bodies", "deliveries", "events")}

    assert not await Prune(domain.settings).once()

    assert {sweep: counted(sweep) - before[sweep] for sweep in before} == {
        "attempt_bodies": 3, "deliveries": 2, "events": 2,
    }  # fmt: skip
    assert len(await left("delivery")) == 1


@pytest.fixture
async def more_than_a_page(domain: Domain, admin: Actor) -> None:
    """One more expired delivery than a page has."""
    await listen(domain, admin)
    await delivered(domain, admin, 1, days_ago=91)
    await rows(
        """INSERT INTO delivery
            (workspace_id, event_id, webhook_id, event_type, max_attempts, status, created_at, finished_at)
        SELECT workspace_id, event_id, webhook_id, event_type, max_attempts, status, created_at, finished_at
        FROM delivery, generate_series(1, $1)""",
        PAGE,
    )


@pytest.mark.usefixtures("more_than_a_page")
async def test_it_goes_on_soon_where_any_sweep_has_more(domain: Domain) -> None:
    assert await Prune(domain.settings).once()
    assert len(await left("delivery")) == 1


@pytest.mark.usefixtures("more_than_a_page")
async def test_by_itself_it_goes_on_until_nothing_is_left(domain: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
    # It begins at once, and would rest for nearly a minute if it did not see that there is more.
    monkeypatch.setattr("random.uniform", min)
    pruning = asyncio.create_task(Prune(domain.settings).forever())

    async def is_done() -> bool:
        return not await left("delivery")

    await until(is_done, seconds=IDLE_SECONDS / 2)
    await end(pruning)


async def test_a_sweep_that_breaks_holds_up_no_other(domain: Domain, admin: Actor) -> None:
    await listen(domain, admin)
    await delivered(domain, admin, 1, days_ago=91)
    await break_updating("attempt")

    await Prune(domain.settings).once()

    assert await left("delivery") == await left("event") == []


async def test_a_database_that_is_away_is_nothing_to_log(settings: Settings) -> None:
    async with opened(replace(settings, database_url="postgresql://127.0.0.1:1/none")):
        with capture_logs() as lines:
            assert not await Prune(settings).once()
    assert lines == []


@pytest.mark.parametrize(
    ("took", "rest"),
    [
        pytest.param(0.0001, SHORTEST_REST_SECONDS, id="next to nothing"),
        pytest.param(0.01, 0.01 * REST_FACTOR, id="a page's work"),
        pytest.param(2.5, LONGEST_REST_SECONDS, id="as long as a busy worker makes it wait"),
    ],
)
def test_it_rests_for_several_times_as_long_as_it_worked_and_never_for_long(took: float, rest: float) -> None:
    assert rest_after(took) == pytest.approx(rest)
