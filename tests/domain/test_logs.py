"""Logs: what looks like a token is blotted out, whoever logs it and in whatever form."""

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import structlog

from domain import logs
from domain.settings import Settings
from domain.signing import generate_secret
from tests.conftest import settings_of

TOKEN = "hl_" + "aB3" * 14
SECRET = "whsec_" + "Zm9v+/A=" * 4


@pytest.fixture
def settings() -> Settings:
    return settings_of("postgresql://unused/unused", "redis://unused")


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def lines(written: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in written.splitlines()]


def test_a_line_is_json_with_time_level_and_its_facts(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(replace(settings, log_format="json"))

    structlog.get_logger("some.place").info("it.happened", webhook=7)

    (line,) = lines(capsys.readouterr().err)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "it.happened", "level": "info", "logger": "some.place", "webhook": 7}


@pytest.mark.parametrize("log_format", ["json", "text"])
@pytest.mark.parametrize("secret", [TOKEN, SECRET, generate_secret()], ids=["token", "secret", "generated"])
def test_what_looks_like_a_token_is_blotted_out(
    settings: Settings, capsys: pytest.CaptureFixture[str], secret: str, log_format: str
) -> None:
    logs.configure(replace(settings, log_format=log_format))

    structlog.get_logger().info("event " + secret, header=f"Bearer {secret}")
    logging.getLogger("library").warning("header %s", secret)
    structlog.contextvars.bind_contextvars(query=f"?token={secret}")
    structlog.get_logger().info("bound")
    structlog.contextvars.clear_contextvars()

    text = capsys.readouterr().err
    assert len(text.splitlines()) == 3
    assert secret[8:] not in text
    assert text.count("…") == 4 or text.count("\\u2026") == 4


def test_what_is_away_is_said_once_a_minute(
    settings: Settings, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logs.configure(replace(settings, log_format="json"))
    now = 0.0
    monkeypatch.setattr(logs, "monotonic", lambda: now)
    log = structlog.get_logger()

    for now in (0.0, 0.5, 59.0, 60.0, 61.0):
        log.warning("redis.away", error="ConnectionError", request_id=str(now))
    log.warning("redis.away", error="TimeoutError")
    log.warning("webhook.disabled")
    log.warning("webhook.disabled")

    told = lines(capsys.readouterr().err)
    assert [(line["event"], line.get("error"), line.get("repeated")) for line in told] == [
        ("redis.away", "ConnectionError", None),
        ("redis.away", "ConnectionError", 2),
        ("redis.away", "TimeoutError", None),
        ("webhook.disabled", None, None),
        ("webhook.disabled", None, None),
    ]


def test_a_token_in_a_traceback_is_blotted_out(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(replace(settings, log_format="json"))
    for log in (structlog.get_logger(), logging.getLogger("library")):
        try:
            raise ValueError(f"bad {TOKEN}")
        except ValueError:
            log.exception("broke")

    written = capsys.readouterr().err
    assert TOKEN not in written
    assert ["ValueError" in line["exception"] for line in lines(written)] == [True, True]


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_what_a_terminal_would_obey_is_written_out(
    log_format: str, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure(replace(settings, log_format=log_format))

    structlog.get_logger().info("request", path="/\x1b[2J\x9b31m\u202e")
    logging.getLogger("library").warning("no answer from \x1b[2J")

    written = capsys.readouterr().err
    assert "[2J" in written
    assert all(character.isprintable() for line in written.splitlines() for character in line)


def test_words_that_only_begin_like_one_stay(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(replace(settings, log_format="json"))

    structlog.get_logger().info("hl_short", name="etc_hl_" + "a" * 20)

    assert lines(capsys.readouterr().err)[0]["event"] == "hl_short"


def test_quiet_libraries_say_nothing_below_a_warning(settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(replace(settings, log_format="json", log_level="debug"))

    for name in ("arq.worker", "tortoise", "asyncpg", "aiohttp.access"):
        logging.getLogger(name).info("a job")
    logging.getLogger("arq.worker").warning("a fault")

    assert [line["event"] for line in lines(capsys.readouterr().err)] == ["a fault"]


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_lines_by_the_thousand_look_like_all_others(
    settings: Settings, capsys: pytest.CaptureFixture[str], log_format: str
) -> None:
    settings = replace(settings, log_format=log_format)
    logs.configure(settings)
    many = logs.Lines(settings, "attempt")

    assert many.wanted
    many.write([{"delivery": "a", "error": None}, {"delivery": "b", "error": "no"}])

    first, second = capsys.readouterr().err.splitlines()
    if log_format == "json":
        line = json.loads(second)
        assert line.pop("timestamp").endswith("Z")
        assert line == {"event": "attempt", "level": "info", "logger": "attempt", "delivery": "b", "error": "no"}
    else:
        assert first.endswith("attempt delivery=a")
        assert second.endswith("attempt delivery=b error=no")


def test_nobody_makes_lines_that_nobody_sees(settings: Settings) -> None:
    assert not logs.Lines(replace(settings, log_level="warning"), "attempt").wanted
