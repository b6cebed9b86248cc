"""Our processes as `hookline up` and `hookline doctor` see them: where they listen, and whether they answer."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from cli.processes import wait_until
from cli.programs import Program, ProgramFailedError, api_answers, is_our_api, try_port, worker_answers
from cli.up import ELSEWHERE, address, example, free_port
from domain.settings import Settings
from tests.api.conftest import running
from tests.away import close, fall_silent, gated
from tests.running import READY, environment


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[int]:
    """The port of another program, which gives this answer to every client."""

    async def give(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(give, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def soon(answers: Callable[[], bool]) -> bool:
    """Whether this becomes true in time. It is asked again, as by `hookline up`, because a busy API may answer late."""
    return await asyncio.to_thread(wait_until, answers, READY)


async def test_our_api_is_ours_also_while_it_is_not_ready(settings: Settings) -> None:
    async with gated(settings) as gates, running(gates.settings) as api:
        port = urlsplit(api.url).port or 0
        assert await soon(partial(is_our_api, "127.0.0.1", port))
        assert await soon(api_answers("0.0.0.0", port))
        close(gates.postgres)
        assert await soon(partial(is_our_api, "0.0.0.0", port))
        assert not await asyncio.to_thread(api_answers("127.0.0.1", port))


async def test_an_api_whose_redis_says_nothing_is_ready(settings: Settings) -> None:
    async with gated(settings) as gates, running(gates.settings) as api:
        fall_silent(gates.redis)
        port = urlsplit(api.url).port or 0
        assert await soon(api_answers("127.0.0.1", port))


@pytest.mark.parametrize(
    "answer",
    [
        b"220 mail.example.com ESMTP\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b'HTTP/1.1 503 Oh\r\nContent-Length: 15\r\n\r\n{"status":"ok"}',
        b"",
    ],
    ids=["another protocol", "another program's health", "an error", "nothing"],
)
async def test_who_answers_otherwise_is_not_our_api(answer: bytes) -> None:
    async with answering(answer) as port:
        assert not await asyncio.to_thread(is_our_api, "127.0.0.1", port)
        assert not await asyncio.to_thread(api_answers("127.0.0.1", port))


async def test_a_port_whose_connections_have_just_ended_is_free() -> None:
    async with answering(b"bye") as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        # The server's end closes first, so it is the one that is left in TIME_WAIT.
        assert await reader.read() == b"bye"
        writer.close()
    assert try_port("127.0.0.1", port) == port


def test_a_port_that_an_earlier_instance_is_just_letting_go_of_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.up.PORT_PATIENCE_SECONDS", READY.total_seconds())
    with socket.create_server(("127.0.0.1", 0)) as earlier:
        port = earlier.getsockname()[1]
        letting_go = threading.Timer(0.1, earlier.close)
        letting_go.start()
        assert free_port("127.0.0.1", port) == port
        letting_go.join()


def test_a_worker_answers_once_it_has_touched_its_file_since_it_was_started(tmp_path: Path) -> None:
    ready_file = tmp_path / "worker.ready"
    assert not worker_answers(ready_file)()
    ready_file.touch()
    answers = worker_answers(ready_file)
    assert not answers()
    ready_file.touch()
    assert answers()


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("", "http://127.0.0.1:8000"),
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://[::1]:8000"),
        ("::1", "http://[::1]:8000"),
        ("localhost", "http://localhost:8000"),
    ],
)
def test_a_browser_is_sent_to_where_it_can_go(host: str, url: str) -> None:
    assert address(host, 8000) == url


def test_the_request_to_paste_is_quoted_for_shells_in_which_brackets_mean_something() -> None:
    pasted = example(address("::1", 8000), "hl_token", ELSEWHERE)
    assert pasted.startswith("curl -s 'http://[::1]:8000/graphql' -H 'Authorization: Bearer hl_token' ")


def test_every_address_may_be_listened_on() -> None:
    assert try_port("", 0) > 0


def test_where_no_port_can_be_listened_on_none_is_looked_for() -> None:
    with pytest.raises(OSError, match="assign"):
        try_port("192.0.2.1", 0)


def test_a_free_port_is_none_that_somebody_has(monkeypatch: pytest.MonkeyPatch) -> None:
    free = try_port("127.0.0.1", 0)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr("cli.programs.KEPT_PORTS", (taken.getsockname()[1], free))
        assert [try_port("127.0.0.1", 0) for _ in range(20)] == [free] * 20


def test_a_program_is_told_what_it_shall_know_wherever_one_is_and_its_early_end_is_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("cli").mkdir()
    Path("cli/__init__.py").write_text("raise SystemExit('another program')")
    # A relative path means the same to the program as to us.
    Path("url").write_text("postgresql://h/h")
    told = environment(PYTHONPATH="", HOOKLINE_DATABASE_URL_FILE="url")
    program = Program("worker", told, timedelta(seconds=4), lambda: True)
    output, _ = program.launch().communicate(timeout=READY.total_seconds())
    assert output == b"HOOKLINE_REDIS_URL is not set.\n"
    with pytest.raises(ProgramFailedError, match=r"^worker ended before it was ready \(1\)"):
        program.is_ready()
    # The program allows itself its deadline, and needs a moment more to end.
    assert program.patience > timedelta(seconds=4)
