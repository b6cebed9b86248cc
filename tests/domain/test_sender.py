"""The one door to strangers: where it leads, and what strangers can do through it."""

import asyncio
import gc
import json
import resource
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from domain.addresses import REFUSED, AddressPolicy, networks
from domain.guarded_socket import OPEN
from domain.outcome import Blocked, Delivered, Failed, Outcome
from domain.request import OutgoingRequest
from domain.sender import CallFailed, Sender, SenderLimits
from domain.vocabulary import AttemptOutcome, HttpMethod
from tests.domain.bad_urls import BAD_URLS, NAMES_THAT_LEAD_INSIDE
from tests.domain.certificates import HOST, make_certificates, server_context
from tests.domain.hostile_receivers import MEBIBYTE, RECEIVERS, Hostile, Serve
from tests.domain.name_server import NameServer, naming
from tests.receiver import Answer, Receiver, receiving

LOOPBACK = AddressPolicy(networks("127.0.0.0/8", "::1/128"))
CLOSED = AddressPolicy()
# Short, so that the corpus takes seconds.
SHORT = SenderLimits(connect_timeout=timedelta(seconds=0.4), request_timeout=timedelta(seconds=0.7))
# Long, so that a busy machine times nobody out who would have been classified by what they did.
PATIENT = SenderLimits(connect_timeout=timedelta(seconds=5), request_timeout=timedelta(seconds=10))
AT_ONCE = 10
MORE_THAN_ALL_BUFFERS = b"x" * 4 * MEBIBYTE


def request_to(url: str, method: HttpMethod = HttpMethod.POST, **changes: Any) -> OutgoingRequest:
    headers = (("Content-Type", "application/json"), ("User-Agent", "Hookline/0"))
    return replace(OutgoingRequest(url, method, headers, b'{"event":"post.published"}'), **changes)


@asynccontextmanager
async def sending(
    policy: AddressPolicy = LOOPBACK, limits: SenderLimits = SHORT, **options: Any
) -> AsyncIterator[Sender]:
    async with Sender(policy, limits, "0", 100, **options) as sender:
        yield sender
    assert len(OPEN) == 0, "sockets were left open"


@dataclass(frozen=True)
class Corpus:
    """The hostile receivers, served by a process of their own."""

    ports: dict[str, int]
    trust: ssl.SSLContext

    def url_of(self, receiver: Hostile) -> str:
        return f"{receiver.scheme}://{HOST}:{self.ports[receiver.name]}/hook"


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


# What strangers can do.


@dataclass(frozen=True)
class Cost:
    """What something cost this process."""

    seconds: float
    cpu_seconds: float
    growth: int


@contextmanager
def metering() -> Iterator[list[Cost]]:
    with suppress(OSError):
        # Linux: the high-water mark starts again from here; elsewhere it is that of the whole run.
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
    if receiver.name == "never_reads":
        return request_to(url, body=MORE_THAN_ALL_BUFFERS)
    return request_to(url)


async def _healthy_times(sender: Sender, url: str, stop: asyncio.Event) -> list[timedelta]:
    times = []
    while not stop.is_set():
        outcome = await sender.send(request_to(url))
        assert isinstance(outcome, Delivered), outcome
        times.append(outcome.duration)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 0.02)
    return times


@pytest.fixture(scope="module")
def frozen() -> None:
    """As a worker does when it starts: to search all that the tests before have left is no cost of the sender's."""
    gc.collect()
    gc.freeze()


@pytest.mark.usefixtures("frozen")
@pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")
@pytest.mark.alone
@pytest.mark.parametrize("stranger", RECEIVERS.values(), ids=RECEIVERS)
async def test_ten_of_a_kind_cost_little_and_harm_nobody(stranger: Hostile, corpus: Corpus, receiver: Receiver) -> None:
    url, stop = corpus.url_of(stranger), asyncio.Event()
    limits = SHORT if AttemptOutcome.TIMED_OUT in stranger.outcomes else PATIENT
    async with sending(limits=limits, tls=corpus.trust) as sender, asyncio.TaskGroup() as group:
        healthy = group.create_task(_healthy_times(sender, receiver.url, stop))
        with metering() as costs:
            attempts = (sender.send(hostile_request(stranger, url)) for _ in range(AT_ONCE))
            outcomes = await asyncio.gather(*attempts)
        stop.set()
    assert {outcome.kind for outcome in outcomes} <= stranger.outcomes
    assert all(_is_fit_to_be_shown(outcome) for outcome in outcomes)
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
    async with sending() as sender, asyncio.TaskGroup() as group:
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
    assert outcome.duration < timedelta(seconds=2.5)


async def test_a_large_answer_is_kept_in_part(corpus: Corpus) -> None:
    async with sending() as sender:
        outcome = await sender.send(request_to(corpus.url_of(RECEIVERS["floods_its_body"])))
    assert isinstance(outcome, Delivered)
    assert outcome.answer.truncated
    assert outcome.answer.body == "x" * 16 * 1024


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
        for _ in range(3):
            idle.clear()
            outcome = await sender.send(request_to(url))
            assert outcome.kind is AttemptOutcome.HTTP_ERROR
            idle.set()
            # Meanwhile the unasked answer comes in.
            for _ in range(3):
                await sender.send(request_to(other.url))


@asynccontextmanager
async def serving(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


# Where deliveries may go.


_watched: list[list[tuple[Any, ...]]] = []


def _watch(event: str, args: tuple[Any, ...]) -> None:
    if event == "socket.connect":
        for seen in _watched:
            seen.append(args[1])


# Python calls this for every connect of every socket in the process, whoever makes it.
sys.addaudithook(_watch)


@contextmanager
def connections() -> Iterator[list[tuple[Any, ...]]]:
    """The addresses that any socket is connected to meanwhile."""
    seen: list[tuple[Any, ...]] = []
    _watched.append(seen)
    try:
        yield seen
    finally:
        _watched.remove(seen)


@pytest.fixture
async def names() -> AsyncIterator[NameServer]:
    async with naming() as server:
        yield server


@asynccontextmanager
async def sending_by(names: NameServer, policy: AddressPolicy = CLOSED, **options: Any) -> AsyncIterator[Sender]:
    async with sending(policy, nameservers=[names.address], **options) as sender:
        yield sender


async def test_no_bad_url_is_connected_to_even_where_nobody_checked_it(names: NameServer) -> None:
    async with sending_by(names) as sender:
        with connections() as connected:
            outcomes = [await sender.send(request_to(url)) for url in BAD_URLS]
    assert connected == []
    assert AttemptOutcome.SUCCEEDED not in {outcome.kind for outcome in outcomes}


@pytest.mark.parametrize("method", HttpMethod)
async def test_no_name_that_leads_inside_is_connected_to(method: HttpMethod, names: NameServer) -> None:
    names.addresses = NAMES_THAT_LEAD_INSIDE
    async with sending_by(names) as sender:
        with connections() as connected:
            urls = [f"http://{name}:8080/" for name in NAMES_THAT_LEAD_INSIDE]
            outcomes = {url: await sender.send(request_to(url, method)) for url in urls}
    assert connected == []
    assert all(isinstance(outcome, Blocked) and outcome.error == REFUSED for outcome in outcomes.values()), outcomes


async def test_the_watch_sees_connections(receiver: Receiver) -> None:
    async with sending() as sender:
        with connections() as connected:
            await sender.send(request_to(receiver.url))
    assert [address[0] for address in connected] == ["127.0.0.1"]


async def test_a_name_that_is_bound_anew_is_judged_anew(names: NameServer, receiver: Receiver) -> None:
    policy = AddressPolicy(networks("127.0.0.2/32"))
    url = receiver.url.replace("127.0.0.1", "rebound.test")
    with connections() as connected:
        for address in ("127.0.0.2", "127.0.0.1"):
            names.addresses = {"rebound.test": (address,)}
            async with sending_by(names, policy) as sender:
                outcome = await sender.send(request_to(url))
    assert {address[0] for address in connected} == {"127.0.0.2"}
    assert isinstance(outcome, Blocked)


async def test_of_a_name_with_many_addresses_only_the_permitted_ones_are_dialled(names: NameServer) -> None:
    names.addresses = {"mixed.test": ("10.0.0.1", "127.0.0.2", "169.254.169.254", "::1", "127.0.0.3")}
    async with sending_by(names, AddressPolicy(networks("127.0.0.2/31"))) as sender:
        with connections() as connected:
            outcome = await sender.send(request_to("http://mixed.test:9/"))
            assert outcome.kind is AttemptOutcome.ADDRESS_REFUSED
            outcome = await sender.send(request_to("http://mixed.test:8099/"))
    assert {address[0] for address in connected} <= {"127.0.0.2", "127.0.0.3"}
    assert outcome.kind is not AttemptOutcome.SUCCEEDED


async def test_of_a_name_with_hundreds_of_addresses_few_are_dialled(names: NameServer) -> None:
    names.addresses = {"wide.test": tuple(f"127.0.1.{n}" for n in range(1, 25))}
    async with sending_by(names, LOOPBACK) as sender:
        with connections() as connected:
            await sender.send(request_to("http://wide.test:8099/"))
    assert 1 <= len({address[0] for address in connected}) <= 8


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_not_followed(status: int, receiver: Receiver) -> None:
    async with receiving() as inside, sending() as sender:
        receiver.answer(Answer(status, {"Location": inside.url}))
        outcome = await sender.send(request_to(receiver.url))
        assert inside.requests == []
    assert isinstance(outcome, Failed)
    assert outcome.kind is AttemptOutcome.HTTP_ERROR
    assert outcome.error == f"The receiver answered {status}; redirects are not followed."


async def test_a_denied_network_wins_over_an_allowed_one(receiver: Receiver) -> None:
    policy = replace(LOOPBACK, denied=networks("127.0.0.1/32"))
    async with sending(policy) as sender:
        with connections() as connected:
            outcome = await sender.send(request_to(receiver.url))
    assert isinstance(outcome, Blocked)
    assert connected == []


async def test_no_proxy_is_taken_from_the_environment(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as proxy, sending(CLOSED) as closed, sending() as sender:
        for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(variable, proxy.url)
        assert isinstance(await closed.send(request_to("http://10.0.0.1/")), Blocked)
        assert isinstance(await sender.send(request_to(receiver.url)), Delivered)
        assert proxy.requests == []


async def test_a_silent_name_server_delays_nobody_else(names: NameServer, receiver: Receiver) -> None:
    names.silent = {f"silent{n}.test" for n in range(60)}
    names.broken = {"broken.test"}
    names.addresses = {"good.test": ("127.0.0.1",)}
    async with sending_by(names, LOOPBACK) as sender:
        silent = [asyncio.create_task(sender.send(request_to(f"http://{name}/"))) for name in names.silent]
        good = await sender.send(request_to(receiver.url.replace("127.0.0.1", "good.test")))
        broken = await sender.send(request_to("http://broken.test/"))
        outcomes = await asyncio.gather(*silent)
    assert isinstance(good, Delivered)
    assert good.duration < timedelta(seconds=0.5)
    assert broken.kind is AttemptOutcome.DNS_FAILED
    assert {outcome.kind for outcome in outcomes} == {AttemptOutcome.TIMED_OUT}


# What a receiver of good will sees and says.


async def test_the_request_arrives_as_it_was_built(receiver: Receiver) -> None:
    headers = (
        ("Content-Type", "application/json"),
        ("User-Agent", "Hookline/9"),
        ("X-Signature", "ab"),
        ("X-Own", "1"),
    )
    async with sending() as sender:
        outcome = await sender.send(request_to(receiver.url_of("/a?b=c%20d"), headers=headers, body=b"{}"))
    (received,) = receiver.requests
    assert isinstance(outcome, Delivered)
    assert received.body == b"{}"
    assert {name: received.headers[name] for name, _ in headers} == dict(headers)
    assert received.headers["Accept-Encoding"] == "identity"
    assert "Cookie" not in received.headers


async def test_cookies_are_not_kept(receiver: Receiver, names: NameServer) -> None:
    # By its name: the jar that keeps cookies does so for names alone.
    url = receiver.url.replace("127.0.0.1", "jar.test")
    receiver.answer(Answer(200, {"Set-Cookie": "a=b; Path=/"}))
    async with sending_by(names, LOOPBACK) as sender:
        for _ in range(2):
            await sender.send(request_to(url))
    assert "Cookie" not in receiver.requests[1].headers


async def test_packed_answers_are_not_unpacked(corpus: Corpus) -> None:
    async with sending() as sender:
        outcome = await sender.send(request_to(corpus.url_of(RECEIVERS["says_deflate_and_sends_garbage"])))
    assert isinstance(outcome, Delivered)
    assert outcome.answer.body == "no packing"


@pytest.mark.parametrize("method", HttpMethod)
async def test_connections_are_kept(method: HttpMethod, receiver: Receiver) -> None:
    async with sending() as sender:
        with connections() as connected:
            for _ in range(3):
                assert isinstance(await sender.send(request_to(receiver.url, method)), Delivered)
    assert len(connected) == 1


@pytest.mark.parametrize("chunk", [60 * 1024, 100], ids=["at once", "in chunks"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_long_answer_is_read_whole_and_its_connection_kept(scheme: str, chunk: int, tmp_path: Path) -> None:
    authority = make_certificates(tmp_path)
    body = b"%x\r\n%s\r\n" % (chunk, b"x" * chunk) * (60 * 1024 // chunk) + b"0\r\n\r\n"

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while True:
                await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(len(request_to("").body))
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                await asyncio.sleep(0.01)
                writer.write(body)
        writer.close()

    trusting = ssl.create_default_context(cafile=str(authority))
    served = server_context(tmp_path / "good.pem") if scheme == "https" else None
    async with serving(serve, served) as url, sending(limits=PATIENT, tls=trusting) as sender:
        with connections() as connected:
            for _ in range(3):
                assert isinstance(await sender.send(request_to(url)), Delivered)
    assert len(connected) == 1


@pytest.mark.parametrize("good", [0, 1], ids=["a fresh connection", "a kept connection"])
@pytest.mark.parametrize("method", HttpMethod)
async def test_nothing_is_sent_again_by_itself_when_a_connection_breaks(method: HttpMethod, good: int) -> None:
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while True:
                heads.append(await reader.readuntil(b"\r\n\r\n"))
                await reader.readexactly(len(request_to("").body))
                if len(heads) > good:
                    break
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with serving(serve) as url, sending() as sender:
        for _ in range(good):
            assert isinstance(await sender.send(request_to(url, method)), Delivered)
        outcome = await sender.send(request_to(url, method))
    assert outcome.error == "The receiver closed the connection without an answer."
    assert len(heads) == good + 1


@pytest.mark.parametrize("status", [200, 201, 204, 226, 299])
async def test_any_2xx_is_a_success(status: int, receiver: Receiver) -> None:
    receiver.answer(status)
    async with sending() as sender:
        outcome = await sender.send(request_to(receiver.url))
    assert isinstance(outcome, Delivered)
    assert outcome.answer.status == status


HEADS = {
    "a long header": b"A: " + b"b" * 31_000 + b"\r\n",
    "many headers": b"A: b\r\n" * 1000,
}


@pytest.mark.parametrize("headers", HEADS.values(), ids=HEADS)
async def test_a_2xx_is_a_success_however_long_or_many_its_headers_are(headers: bytes) -> None:
    outcome = await answered_with(b"HTTP/1.1 200 OK\r\n" + headers)
    assert isinstance(outcome, Delivered), outcome


@pytest.mark.parametrize("headers", HEADS.values(), ids=HEADS)
async def test_an_answer_with_longer_headers_says_what_they_may_have(headers: bytes) -> None:
    outcome = await answered_with(b"HTTP/1.1 200 OK\r\n" + headers * 8)
    assert outcome.kind is AttemptOutcome.INVALID_RESPONSE
    assert outcome.error == "The receiver sent more than 32 KiB of status line and headers."


@pytest.mark.parametrize("status", ["000", "099", "101", "600", "999"])
async def test_a_status_that_no_answer_has_is_named(status: str) -> None:
    outcome = await answered_with(f"HTTP/1.1 {status} Odd\r\n".encode())
    assert outcome.kind is AttemptOutcome.INVALID_RESPONSE
    assert outcome.error == f"The receiver answered {int(status)}; an answer's status is from 200 to 599."


async def answered_with(head: bytes) -> Outcome:
    """What comes of a request that is answered with this status line and these headers, and no body."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(len(request_to("").body))
        with suppress(ConnectionError):
            writer.write(head + b"Content-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
        writer.close()

    async with serving(serve) as url, sending(limits=PATIENT) as sender:
        return await sender.send(request_to(url))


@pytest.mark.parametrize("status", [300, 304, 400, 401, 404, 410, 500, 503])
async def test_any_other_status_is_a_failure(status: int, receiver: Receiver) -> None:
    receiver.answer(status)
    async with sending() as sender:
        outcome = await sender.send(request_to(receiver.url))
    assert isinstance(outcome, Failed)
    assert outcome.kind is AttemptOutcome.HTTP_ERROR
    assert outcome.answer is not None
    assert outcome.answer.status == status
    assert outcome.gone == (status == 410)


@pytest.mark.parametrize(
    ("status", "value", "wait"),
    [
        (429, "120", 120),
        (503, "7", 7),
        (500, "120", None),
        (200, "120", None),
        (429, "soon", None),
        (429, "9" * 30, 86400),
    ],
)
async def test_a_wait_is_heeded_where_it_means_something(
    status: int, value: str, wait: int | None, receiver: Receiver
) -> None:
    receiver.answer(Answer(status, {"Retry-After": value}))
    async with sending() as sender:
        outcome = await sender.send(request_to(receiver.url))
    assert outcome.retry_after == (None if wait is None else timedelta(seconds=wait))


async def test_a_secret_that_is_sent_back_is_not_kept(receiver: Receiver) -> None:
    receiver.answer(Answer(200, {"X-Echo": "Bearer hush-hush-hush"}, "you sent hush-hush-hush"))
    headers = (("Content-Type", "application/json"), ("Authorization", "Bearer hush-hush-hush"))
    async with sending() as sender:
        outcome = await sender.send(request_to(receiver.url, headers=headers))
    assert receiver.requests[0].headers["Authorization"] == "Bearer hush-hush-hush"
    assert isinstance(outcome, Delivered)
    assert "hush" not in repr(outcome.answer)
    assert outcome.answer.body == "you sent (hidden)"


async def test_a_secret_that_is_sent_back_as_json_is_not_kept(receiver: Receiver) -> None:
    secrets = (("X-Api-Key", 'hush/"'), ("X-Other-Key", 'hush/"hush'))
    receiver.answer(Answer(200, {}, r'{"php": "hush\/\"", "python": "hush/\"", "other": "hush\/\"hush"}'))
    async with sending() as sender:
        outcome = await sender.send(request_to(receiver.url, headers=secrets))
    assert isinstance(outcome, Delivered)
    assert outcome.answer.body == '{"php": "(hidden)", "python": "(hidden)", "other": "(hidden)"}'


async def test_a_refused_connection_says_so(receiver: Receiver) -> None:
    async with serving(RECEIVERS["never_answers"].serve) as url:
        pass
    async with sending() as sender:
        outcome = await sender.send(request_to(url))
    assert isinstance(outcome, Failed)
    assert (outcome.kind, outcome.error) == (AttemptOutcome.CONNECTION_FAILED, "The receiver refused the connection.")


async def test_an_attempt_for_which_we_lack_room_does_not_count(receiver: Receiver) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    async with sending() as sender:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
        try:
            outcome = await sender.send(request_to(receiver.url))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert outcome.kind is AttemptOutcome.INTERRUPTED


@pytest.mark.parametrize("name", ["never_answers", "stops_within_its_body", "never_shakes_hands"])
async def test_a_cancelled_attempt_leaves_no_connection_behind(name: str, corpus: Corpus, receiver: Receiver) -> None:
    async with sending() as sender:
        with connections() as connected:
            attempt = asyncio.create_task(sender.send(request_to(corpus.url_of(RECEIVERS[name]))))
            async with asyncio.timeout(5):
                while not connected:
                    await asyncio.sleep(0)
                # Long enough for the other one to get as far as it will.
                for _ in range(20):
                    await sender.send(request_to(receiver.url))
            attempt.cancel()
            with pytest.raises(asyncio.CancelledError):
                await attempt
        assert len(OPEN) <= 1, "the connection of the cancelled attempt is still open"


# Calls to networks.


async def test_a_network_is_called_with_json_or_with_nothing(receiver: Receiver) -> None:
    receiver.answer(Answer(201, {"X-Limit": "3"}, '{"id": "é"}'))
    async with sending() as sender:
        answer = await sender.call("POST", receiver.url, headers={"Authorization": "Bearer x"}, json={"text": "ü"})
        await sender.call("GET", receiver.url)
    first, second = receiver.requests
    assert (answer.status, answer.body) == (201, '{"id": "é"}'.encode())
    assert ("X-Limit", "3") in answer.headers
    assert (first.body, first.headers["Content-Type"]) == ('{"text": "ü"}'.encode(), "application/json")
    assert first.headers["Authorization"] == "Bearer x"
    assert (second.method, second.body, second.headers["User-Agent"]) == ("GET", b"", "Hookline/0")


@pytest.mark.parametrize(("size", "fits"), [(1024 * 1024, True), (1024 * 1024 + 1, False)])
async def test_a_network_may_answer_one_mebibyte(size: int, fits: bool, receiver: Receiver) -> None:
    receiver.answer(Answer(200, body="x" * size))
    async with sending(limits=SenderLimits()) as sender:
        if fits:
            assert len((await sender.call("GET", receiver.url)).body) == size
        else:
            with pytest.raises(CallFailed) as caught:
                await sender.call("GET", receiver.url)
            assert (caught.value.kind, caught.value.sent) == (AttemptOutcome.INVALID_RESPONSE, True)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("http://10.0.0.1/", AttemptOutcome.ADDRESS_REFUSED),
        ("http://private.test/", AttemptOutcome.ADDRESS_REFUSED),
        ("http://broken.test/", AttemptOutcome.DNS_FAILED),
        ("http://127.0.0.1:1023/", AttemptOutcome.CONNECTION_FAILED),
        ("no url", AttemptOutcome.CONNECTION_FAILED),
    ],
)
async def test_a_call_that_cannot_have_arrived_says_so(url: str, kind: AttemptOutcome, names: NameServer) -> None:
    names.addresses, names.broken = {"private.test": ("10.0.0.1",)}, {"broken.test"}
    async with sending_by(names, LOOPBACK) as sender:
        with pytest.raises(CallFailed) as caught:
            await sender.call("POST", url, json={})
    assert (caught.value.kind, caught.value.sent) == (kind, False)


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("never_answers", True),
        ("closes_after_the_request", True),
        ("resets_after_the_request", True),
        ("stops_within_its_body", True),
        ("promises_more_than_it_sends", True),
        ("speaks_noise", True),
        ("floods_its_body", True),
        ("shows_an_expired_certificate", False),
        ("never_shakes_hands", False),
        ("refuses_the_handshake", False),
    ],
)
async def test_a_call_that_fails_tells_whether_it_may_have_arrived(name: str, sent: bool, corpus: Corpus) -> None:
    async with sending(tls=corpus.trust) as sender:
        with pytest.raises(CallFailed) as caught:
            await sender.call("POST", corpus.url_of(RECEIVERS[name]), json={})
    assert caught.value.sent is sent
    assert caught.value.kind in RECEIVERS[name].outcomes | {AttemptOutcome.TIMED_OUT, AttemptOutcome.INVALID_RESPONSE}
