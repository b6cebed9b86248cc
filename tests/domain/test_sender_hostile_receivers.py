"""Hostile receivers, called by the sender: they cost little, harm nobody, and leave nothing behind."""

import asyncio
import gc
import json
import resource
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from domain.guarded_socket import OPEN
from domain.outcome import Delivered, Outcome
from domain.request import OutgoingRequest
from domain.sender import CallFailed, Sender, SenderLimits
from domain.vocabulary import AttemptOutcome
from tests.domain.certificates import HOST, make_certificates
from tests.domain.hostile_receivers import RECEIVERS, silence
from tests.domain.hostile_receivers.hostile import MEBIBYTE, Hostile
from tests.domain.sending import PATIENT, SHORT, connections, request_to, sending, serving
from tests.receiver import Receiver, receiving

AT_ONCE = 10
MORE_THAN_ALL_BUFFERS = b"x" * 4 * MEBIBYTE


@dataclass(frozen=True)
class Corpus:
    """The hostile receivers, served by a process of their own."""

    ports: dict[str, int]
    trust: ssl.SSLContext

    def url_of(self, receiver: Hostile) -> str:
        return f"{receiver.scheme}://{HOST}:{self.ports[receiver.name]}/hook"


# All tests that use it are in this file, so that its process is started once.
@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Corpus]:
    folder = tmp_path_factory.mktemp("certificates")
    authority = make_certificates(folder)
    command = (sys.executable, "-m", "tests.domain.hostile_receivers", str(folder))
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        ports = json.loads(process.stdout.readline())
        yield Corpus(ports, ssl.create_default_context(cafile=str(authority)))
        process.kill()


@dataclass(frozen=True)
class Cost:
    """What something cost this process."""

    seconds: float
    cpu_seconds: float
    growth: int


@contextmanager
def metering() -> Iterator[list[Cost]]:
    with suppress(OSError):
        # On Linux, the peak of memory counts from here; elsewhere, it is that of the whole run.
        Path("/proc/self/clear_refs").write_text("5")
    before, started, cpu = _most_memory(), time.monotonic(), time.process_time()
    costs: list[Cost] = []
    yield costs
    costs.append(Cost(time.monotonic() - started, time.process_time() - cpu, _most_memory() - before))


def _most_memory() -> int:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def hostile_request(receiver: Hostile, url: str) -> OutgoingRequest:
    return request_to(url, body=MORE_THAN_ALL_BUFFERS) if reads_nothing(receiver) else request_to(url)


def reads_nothing(receiver: Hostile) -> bool:
    return receiver.name.endswith(("never_reads", "reads_nothing"))


async def _healthy_times(sender: Sender, url: str, stop: asyncio.Event) -> list[timedelta]:
    """How long a healthy receiver took each time. The pauses grow, because requests cost CPU too."""
    times, pause = [], 0.01
    while not stop.is_set():
        outcome = await sender.send(request_to(url))
        assert isinstance(outcome, Delivered), outcome
        times.append(outcome.duration)
        pause = min(2 * pause, 0.25)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)
    return times


@pytest.fixture(scope="module")
def frozen() -> None:
    """As a worker does when it starts: searching what earlier tests left would be no cost of the sender."""
    gc.collect()
    gc.freeze()


def companies() -> dict[str, list[Hostile]]:
    """Who is called at the same time: the silent ones in two groups, because only the clock ends them; others alone.

    Those that are sent more than they read are called alone too: each of them costs what it takes to fill all buffers.
    """
    found: dict[str, list[Hostile]] = {}
    for stranger in RECEIVERS.values():
        name = stranger.name
        if stranger.serve.__module__ == silence.__name__ and not reads_nothing(stranger):
            name = "all_that_never_answer" if AttemptOutcome.TIMED_OUT in stranger.outcomes else "all_that_never_end"
        found.setdefault(name, []).append(stranger)
    return found


@pytest.mark.usefixtures("frozen")
@pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")
@pytest.mark.alone
@pytest.mark.parametrize("strangers", companies().values(), ids=companies())
async def test_ten_of_a_kind_cost_little_and_harm_nobody(
    strangers: list[Hostile], corpus: Corpus, receiver: Receiver
) -> None:
    called, stop = strangers * AT_ONCE, asyncio.Event()
    limits = SHORT if any(AttemptOutcome.TIMED_OUT in stranger.outcomes for stranger in strangers) else PATIENT
    async with sending(limits=limits, tls=corpus.trust) as sender, asyncio.TaskGroup() as group:
        healthy = group.create_task(_healthy_times(sender, receiver.url, stop))
        with metering() as costs:
            attempts = (sender.send(hostile_request(stranger, corpus.url_of(stranger))) for stranger in called)
            outcomes = await asyncio.gather(*attempts)
        stop.set()
    for stranger, outcome in zip(called, outcomes, strict=True):
        assert outcome.kind in stranger.outcomes, stranger.name
        assert _is_fit_to_be_shown(outcome), stranger.name
    (cost,) = costs
    assert cost.seconds < limits.request_timeout.total_seconds() + 0.5
    assert cost.cpu_seconds < 0.5
    assert cost.growth < 64 * MEBIBYTE
    assert max(healthy.result()) < timedelta(seconds=1)


def _is_fit_to_be_shown(outcome: Outcome) -> bool:
    told, answer = outcome.error or "", outcome.answer
    if any(word in told for word in ("127.0.0.1", "localhost", "Error", "errno", "[", "0x", "aiohttp", "ssl")):
        return False
    if answer is None:
        return True
    texts = (answer.body, *(text for header in answer.headers for text in header))
    encodable = all("\x00" not in text and text.encode() is not None for text in texts)
    return encodable and len(answer.body) <= 16 * 1024 and len(answer.headers) <= 64


@pytest.mark.alone
async def test_a_hundred_that_hang_keep_nobody_waiting(corpus: Corpus, receiver: Receiver) -> None:
    url, stop = corpus.url_of(RECEIVERS["never_answers"]), asyncio.Event()
    async with sending(limits=SHORT) as sender, asyncio.TaskGroup() as group:
        healthy = group.create_task(_healthy_times(sender, receiver.url, stop))
        hanging = await asyncio.gather(*(sender.send(request_to(url)) for _ in range(90)))
        stop.set()
    assert {outcome.kind for outcome in hanging} == {AttemptOutcome.TIMED_OUT}
    assert max(healthy.result()) < timedelta(seconds=1)


async def test_a_body_that_drips_holds_an_attempt_no_longer_than_it_is_worth(corpus: Corpus) -> None:
    async with sending(limits=SenderLimits()) as sender:
        outcome = await sender.send(request_to(corpus.url_of(RECEIVERS["drips_its_body"])))
    assert isinstance(outcome, Delivered)
    assert outcome.answer.truncated
    # Closer to BODY_WAIT than to the timeout of the request.
    assert outcome.duration < timedelta(seconds=8)


async def test_a_body_that_drips_holds_an_attempt_no_longer_than_a_request_may_take(
    corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domain.bounded_answer.BODY_WAIT", 60.0)
    async with sending(limits=SenderLimits(request_timeout=timedelta(seconds=2))) as sender:
        outcome = await sender.send(request_to(corpus.url_of(RECEIVERS["drips_its_body"])))
    assert isinstance(outcome, Delivered)
    assert outcome.answer.truncated
    assert outcome.duration < timedelta(seconds=15)


async def test_a_call_is_over_where_more_comes_in_than_an_answer_needs(corpus: Corpus) -> None:
    async with sending() as sender:
        with pytest.raises(CallFailed) as caught:
            await sender.call("GET", corpus.url_of(RECEIVERS["floods_chunk_extensions"]))
    assert caught.value.kind is AttemptOutcome.INVALID_RESPONSE


async def test_a_large_answer_is_kept_in_part(corpus: Corpus) -> None:
    async with sending() as sender:
        outcome = await sender.send(request_to(corpus.url_of(RECEIVERS["floods_its_body"])))
    assert isinstance(outcome, Delivered)
    assert outcome.answer.truncated
    assert outcome.answer.body == "x" * 16 * 1024


async def test_packed_answers_are_not_unpacked(corpus: Corpus) -> None:
    async with sending() as sender:
        outcome = await sender.send(request_to(corpus.url_of(RECEIVERS["says_deflate_and_sends_garbage"])))
    assert isinstance(outcome, Delivered)
    assert outcome.answer.body == "no packing"


async def test_an_answer_to_nobody_is_not_taken_for_the_next_one() -> None:
    idle = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(len(request_to("").body))
                writer.write(b"HTTP/1.1 500 asked for\r\nContent-Length: 0\r\n\r\n")
                await idle.wait()
                writer.write(b"HTTP/1.1 200 unasked\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with serving(serve) as url, sending() as sender, receiving() as other:
        # After two at once there are two connections, and the next request must use neither.
        for at_once in (1, 2, 1, 1):
            idle.clear()
            outcomes = await asyncio.gather(*(sender.send(request_to(url)) for _ in range(at_once)))
            assert {outcome.kind for outcome in outcomes} == {AttemptOutcome.HTTP_ERROR}
            idle.set()
            # Meanwhile the unasked answers arrive.
            for _ in range(3):
                await sender.send(request_to(other.url))


@pytest.mark.parametrize("name", ["never_answers", "stops_within_its_body", "never_shakes_hands"])
async def test_a_cancelled_attempt_leaves_no_connection_behind(name: str, corpus: Corpus, receiver: Receiver) -> None:
    async with sending() as sender:
        with connections() as connected:
            attempt = asyncio.create_task(sender.send(request_to(corpus.url_of(RECEIVERS[name]))))
            async with asyncio.timeout(30):
                while not connected:
                    await asyncio.sleep(0)
                # Long enough for the attempt to get as far as it can.
                for _ in range(20):
                    await sender.send(request_to(receiver.url))
            attempt.cancel()
            with pytest.raises(asyncio.CancelledError):
                await attempt
        assert len(OPEN) <= 1, "the connection of the cancelled attempt is still open"


@pytest.mark.parametrize(
    "name",
    [
        "never_answers",
        "closes_after_the_request",
        "resets_after_the_request",
        "stops_within_its_body",
        "promises_more_than_it_sends",
        "speaks_noise",
        "floods_its_body",
        "shows_an_expired_certificate",
        "never_shakes_hands",
        "refuses_the_handshake",
    ],
)
async def test_a_call_that_fails_says_how(name: str, corpus: Corpus) -> None:
    limits = SenderLimits(connect_timeout=timedelta(seconds=1.5), request_timeout=timedelta(seconds=2))
    async with sending(limits=limits, tls=corpus.trust) as sender:
        with pytest.raises(CallFailed) as caught:
            await sender.call("POST", corpus.url_of(RECEIVERS[name]), json={})
    assert caught.value.kind in RECEIVERS[name].outcomes | {AttemptOutcome.TIMED_OUT, AttemptOutcome.INVALID_RESPONSE}
