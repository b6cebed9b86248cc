"""Where the measurements are made."""

import os
from pathlib import Path

from bench.place import Place, filled, workers
from domain.settings import Settings


def test_a_measurement_begins_when_its_own_worker_is_ready_though_an_earlier_one_left_its_file(
    settings: Settings, tmp_path: Path
) -> None:
    ready = tmp_path / "ready-0"
    ready.touch()
    os.utime(ready, (0, 0))
    with workers(Place(settings, tmp_path)):
        assert ready.stat().st_mtime > 0


async def test_a_backlog_has_documents_of_the_size_that_was_asked_for_though_there_was_one_before(
    settings: Settings, tmp_path: Path
) -> None:
    sizes = []
    for size in (1_000, 16_000):
        async with filled(Place(settings, tmp_path), "http://127.0.0.1:9/", 1, size=size) as connection:
            sizes += await connection.fetch(
                "SELECT length(document) AS found FROM delivery JOIN event ON event.id = delivery.event_id"
            )
    assert [row["found"] for row in sizes] == [999, 15_999]
