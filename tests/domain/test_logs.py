"""Lines that come by the thousand: whole, parseable, cheap."""

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from domain.logs import Lines
from domain.settings import Settings

SETTINGS = Settings("", "", ())
LINE: dict[str, Any] = {
    "delivery": "5f0c8c1e-7f43-4c5c-9a3a-0d3f6f5b8f0e", "webhook": 12, "workspace": 3, "type": "post.published",
    "attempt": 1, "outcome": "succeeded", "response_status": 200, "milliseconds": 12, "late_milliseconds": 3,
    "status": "succeeded", "error": None, "trace": None,
}  # fmt: skip
# Measured: 0.3 as JSON and 1.0 for people; a line through structlog and logging takes 21.
MOST_MICROSECONDS = 15.0


def test_each_line_is_an_object_like_those_of_other_logs(capsys: pytest.CaptureFixture[str]) -> None:
    Lines(SETTINGS, "attempt").write([LINE, {**LINE, "error": 'It said "no"\n.'}])
    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert (first["event"], first["level"], first["delivery"]) == ("attempt", "info", LINE["delivery"])
    assert first["timestamp"].endswith("Z")
    assert second["error"] == 'It said "no"\n.'


def test_people_get_words(capsys: pytest.CaptureFixture[str]) -> None:
    Lines(replace(SETTINGS, log_format="text"), "attempt").write([LINE])
    line = capsys.readouterr().err
    assert " [info     ] attempt delivery=5f0c8c1e" in line
    assert "error" not in line
    assert line.count("\n") == 1


@pytest.mark.parametrize(("level", "wanted"), [("debug", True), ("info", True), ("warning", False), ("error", False)])
def test_nobody_makes_lines_that_nobody_wants(level: str, wanted: bool) -> None:
    assert Lines(replace(SETTINGS, log_level=level), "attempt").wanted is wanted


def test_a_line_costs_a_few_microseconds(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = Lines(SETTINGS, "attempt")
    with Path(os.devnull).open("w") as nowhere:
        monkeypatch.setattr(sys, "stderr", nowhere)
        best = min(_seconds(lines) for _ in range(5))
    assert best * 1e6 < MOST_MICROSECONDS


def _seconds(lines: Lines) -> float:
    begun = time.process_time()
    for _ in range(10):
        lines.write([LINE] * 200)
    return (time.process_time() - begun) / 2000
