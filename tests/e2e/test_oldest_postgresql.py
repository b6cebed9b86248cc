"""The tour once more, with the oldest PostgreSQL that is supported."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from cli.postgres import OLDEST, Server
from cli.programs import CHECKOUT
from tests.e2e import test_tour
from tests.e2e.conftest import WORKERS
from tests.e2e.system import System, started
from tests.oldest.postgres import OtherPostgres

OPERATIONS = (CHECKOUT / "docs" / "operations.md").read_text()


class OldestSystem(System):
    """Hookline on PostgreSQL 15."""

    postgres_kind = OtherPostgres


@pytest.fixture(scope="module")
def running_system() -> Iterator[System]:
    with started(OldestSystem, WORKERS) as system:
        yield system


async def test_it_is_the_one_that_doctor_and_the_documentation_name(system: System) -> None:
    settings = system.settings()
    server = await Server.met(settings)
    assert server.major == OLDEST
    assert f"PostgreSQL {OLDEST} or later" in OPERATIONS
    assert list(server.doubts(settings.database_url)) == []
    assert list(replace(server, major=OLDEST - 1).doubts(settings.database_url)) == [
        ("Hookline is tested with PostgreSQL 15 and later, not with 14", "Upgrade it.")
    ]


test_a_subscriber_sees_each_status_there = (
    test_tour.test_a_subscriber_sees_each_status_of_a_delivery_that_fails_twice_and_then_succeeds
)
test_each_documented_event_arrives_there = (
    test_tour.test_each_documented_event_arrives_where_it_is_listened_to_and_nowhere_else
)
