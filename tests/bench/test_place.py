"""Where the measurements are made."""

import os
from pathlib import Path

from bench.place import Place, workers
from domain.settings import Settings


def test_a_measurement_begins_when_its_own_worker_is_ready_though_an_earlier_one_left_its_file(
    settings: Settings, tmp_path: Path
) -> None:
    ready = tmp_path / "ready-0"
    ready.touch()
    os.utime(ready, (0, 0))
    with workers(Place(settings, tmp_path)):
        assert ready.stat().st_mtime > 0
