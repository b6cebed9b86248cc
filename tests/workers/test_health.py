"""A worker's own port: alive, ready, and what it counts."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from time import monotonic
from urllib.parse import urlsplit

import aiohttp
import psutil
import pytest
from structlog.testing import capture_logs

from domain import database
from domain.database import rows
from domain.errors import Unavailable
from domain.listening import listener
from domain.settings import Settings
from domain.tasks import end
from domain.unit import Actor, Domain, opened
from tests.domain.breaking import break_reading, mend_reading
from tests.domain.doing import happen, listen
from tests.waiting import until
from workers import health, lookout, metrics
from workers.engine import Engine
from workers.health import ALIVE_SECONDS, READY_SECONDS, Pulse
from workers.rescue import Rescue


@pytest.fixture
def pulse() -> Pulse:
    return Pulse.begun()


@pytest.fixture
async def url(domain: Domain, pulse: Pulse) -> AsyncIterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with health.served(replace(domain.settings, metrics_port=port), pulse):
        yield f"http://127.0.0.1:{port}"


WELL, STUCK, UNREADY = (200, {"status": "ok"}), (503, {"status": "stuck"}), (503, {"status": "unavailable"})


async def told(url: str) -> tuple[int, dict[str, str]]:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.json()


async def test_it_listens_where_it_is_told_and_without_a_port_nowhere(domain: Domain, pulse: Pulse, url: str) -> None:
    def listening() -> set[str]:
        found = psutil.Process().net_connections("tcp")
        return {f"http://{each.laddr[0]}:{each.laddr[1]}" for each in found if each.status == psutil.CONN_LISTEN}

    before = listening()
    assert {place for place in before if place.endswith(url.rpartition(":")[2])} == {url}
    async with health.served(domain.settings, pulse):
        assert listening() == before


async def test_every_address_is_of_ipv4_too(domain: Domain, pulse: Pulse) -> None:
    with listener("::", 0, "HOOKLINE_METRICS_PORT") as free:
        port = free.getsockname()[1]
    async with health.served(replace(domain.settings, host="::", metrics_port=port), pulse):
        assert [await told(f"http://{host}:{port}/healthz") for host in ("127.0.0.1", "[::1]")] == [WELL, WELL]


async def test_it_is_ready_once_the_loop_has_come_round_and_until_it_stops(url: str, pulse: Pulse) -> None:
    assert (await told(f"{url}/healthz"), await told(f"{url}/readyz")) == (WELL, UNREADY)
    pulse.beat(answered=True)
    assert await told(f"{url}/readyz") == WELL
    pulse.stopping = True
    assert (await told(f"{url}/healthz"), await told(f"{url}/readyz")) == (WELL, UNREADY)


async def test_without_the_database_it_is_alive_and_not_ready(url: str, pulse: Pulse) -> None:
    pulse.beat(answered=True)
    pulse.answered_at = monotonic() - READY_SECONDS
    pulse.beat(answered=False)
    assert (await told(f"{url}/healthz"), await told(f"{url}/readyz")) == (WELL, UNREADY)


async def test_a_loop_that_stands_still_is_not_alive(url: str, pulse: Pulse) -> None:
    pulse.turned_at = monotonic() - ALIVE_SECONDS
    assert await told(f"{url}/healthz") == STUCK


async def test_a_round_may_take_long_where_its_steps_wait_for_a_silent_database(domain: Domain, engine: Engine) -> None:
    alive = []

    async def wait_in_vain() -> None:
        alive.append(rescue.pulse.is_alive(monotonic()))
        rescue.pulse.turned_at -= ALIVE_SECONDS / 2
        raise Unavailable

    rescue = Rescue(domain, engine, *[wait_in_vain] * 4)
    assert not await rescue.once()
    assert alive == [True] * 4


def test_a_loop_is_given_the_time_of_the_longest_wait_for_a_silent_database() -> None:
    silent = database.credentials("postgresql://h@localhost/h")
    # After a timeout, asyncpg waits as long again for its request to cancel; then it connects again.
    assert 2 * silent["command_timeout"] + silent["timeout"] < ALIVE_SECONDS


async def test_it_shows_what_it_counts(url: str) -> None:
    await lookout.look()
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as answer:
        page = await answer.text()
        # Prometheus 3 refuses a page without a content type.
        assert answer.content_type == "text/plain"
    assert "hookline_database_reached 1.0" in page
    assert "hookline_oldest_due_seconds 0.0" in page
    assert 'hookline_attempts_total{outcome="succeeded"}' in page


STRANGE = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    "no version of it": b"GET / HTTP/9x\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "too long": b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n\r\n",
    "a header that is none": b"GET /healthz HTTP/1.1\r\nHost a\r\n\r\n",
    "chunks that are none": b"POST /healthz HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a body that does not open": (
        b"GET /healthz HTTP/1.1\r\nConnection: close\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"
    ),
}


@pytest.mark.parametrize("sent", STRANGE.values(), ids=STRANGE.keys())
async def test_what_a_stranger_sends_there_is_no_line_in_the_log(
    url: str, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    assert await answered(url, sent)
    assert caplog.text == ""


async def answered(url: str, sent: bytes) -> bytes:
    """The answer, read to the end of the connection."""
    at = urlsplit(url)
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    writer.write(sent)
    answer = await reader.read()
    writer.close()
    return answer


async def test_what_breaks_of_ours_there_is_told(
    url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "REGISTRY", None)
    assert b" 500 " in await answered(url, b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert "Error handling request" in caplog.text


async def test_the_loop_makes_the_pulse_beat_only_where_it_finds_its_tables(
    settings: Settings, empty_database_url: str
) -> None:
    for url, first, ready in (
        (settings.database_url, "SELECT", True),
        (empty_database_url, "SELECT", False),
        # The tables that it works with are there, but the one of the migrations has another shape.
        (settings.database_url, "ALTER TABLE tortoise_migrations RENAME name TO elsewhere", False),
    ):
        async with opened(replace(settings, database_url=url)) as domain, Engine(domain).running() as engine:
            await rows(first)
            begun: list[float] = []
            rescue = Rescue(domain, engine, partial(_note, begun))
            rounds = asyncio.create_task(rescue.forever())
            # Printing the error of each step that misses its table takes longer than the steps.
            with capture_logs():
                await until(lambda: len(begun) >= 2)  # noqa: B023
            assert rescue.pulse.is_ready(monotonic()) is ready
            rounds.cancel()
            await asyncio.gather(rounds, return_exceptions=True)


async def _note(times: list[float]) -> None:
    times.append(monotonic())


async def test_it_looks_again_and_again_whatever_a_look_met(
    domain: Domain, admin: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.lookout.EVERY_SECONDS", 0.0)
    await listen(domain, admin)
    await happen(domain, admin)
    await break_reading("delivery")
    with capture_logs() as lines:
        looking = asyncio.create_task(lookout.look_forever())
        await until(lambda: lines)
        await until(lambda: metrics.REGISTRY.get_sample_value("hookline_database_reached") == 0)
        await mend_reading("delivery")
        await until(lambda: metrics.REGISTRY.get_sample_value("hookline_due") == 1)
        await end(looking)
    assert {line["event"] for line in lines} == {"lookout.broke"}


async def test_a_database_that_is_away_is_told_and_nothing_of_what_it_said_before(domain: Domain) -> None:
    figures = ("database_reached", "oldest_due_seconds", "due", "oldest_due_post_seconds", "due_posts")

    async def told(url: str) -> list[float | None]:
        async with opened(replace(domain.settings, database_url=url)):
            await lookout.look()
        return [metrics.REGISTRY.get_sample_value(f"hookline_{figure}") for figure in figures]

    assert await told(domain.settings.database_url) == [1, 0, 0, 0, 0]
    assert await told("postgresql://127.0.0.1:1/none") == [0, None, None, None, None]
