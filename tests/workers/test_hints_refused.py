"""Taking hints from a Redis that answers but accepts no writes."""

import asyncio

import pytest
from structlog.testing import capture_logs

from domain.unit import Domain
from tests.waiting import until
from tests.workers.delivering import taking_hints
from workers.main import AWAY_SECONDS
from workers.metrics import REGISTRY

# arq 0.28 closes redis-py's connections with a deprecated method.
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")


@pytest.mark.parametrize(("setting", "most"), [("maxmemory", 1024 * 1024), ("min-replicas-to-write", 1)])
async def test_a_redis_that_answers_and_takes_no_changes_is_told_of_though_nothing_happens(
    domain: Domain, monkeypatch: pytest.MonkeyPatch, setting: str, most: int
) -> None:
    monkeypatch.setattr("workers.main.HEARTBEAT_SECONDS", 0)
    with capture_logs():
        async with taking_hints(domain) as task:
            await until(lambda: REGISTRY.get_sample_value("hookline_redis_reached") == 1)
            await domain.redis.config_set(setting, most)
            try:
                await until(lambda: REGISTRY.get_sample_value("hookline_redis_reached") == 0)
                await asyncio.sleep(2 * AWAY_SECONDS)
                assert REGISTRY.get_sample_value("hookline_redis_reached") == 0, "or it says so in between"
            finally:
                await domain.redis.config_set(setting, 0)
            await until(lambda: REGISTRY.get_sample_value("hookline_redis_reached") == 1)
            assert not task.done()
