"""The sender, the only way out: what a well-behaved receiver sees, and what becomes of its answer."""

import asyncio
import ssl
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from domain.bounded_answer import HEADERS_KEPT
from domain.guarded_socket import OPEN
from domain.outcome import Delivered, Failed, Outcome
from domain.sender import KEEP_ALIVE, Sender
from domain.vocabulary import AttemptOutcome, HttpMethod
from tests.domain.certificates import make_certificates, server_context
from tests.domain.hostile_receivers import RECEIVERS
from tests.domain.name_server import NameServer
from tests.domain.sending import LOOPBACK, PATIENT, connections, request_to, sending, sending_by, serving
from tests.few_files import few_files
from tests.receiver import Answer, Receiver, receiving
from tests.waiting import until


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
    assert outcome.duration > timedelta()
    assert received.body == b"{}"
    assert {name: received.headers[name] for name, _ in headers} == dict(headers)
    assert received.headers["Accept-Encoding"] == "identity"
    assert "Cookie" not in received.headers


async def test_nothing_is_said_of_what_we_are_made_of(receiver: Receiver) -> None:
    async with sending() as sender:
        await sender.send(request_to(receiver.url, headers=()))
    assert set(receiver.requests[0].headers) == {"Host", "Accept", "Accept-Encoding", "Content-Length"}


async def test_cookies_are_not_kept(receiver: Receiver, names: NameServer) -> None:
    # By name: aiohttp's cookie jar ignores the cookies of bare addresses.
    url = receiver.url.replace("127.0.0.1", "jar.test")
    receiver.answer(Answer(200, {"Set-Cookie": "a=b; Path=/"}))
    async with sending_by(names, LOOPBACK) as sender:
        for _ in range(2):
            await sender.send(request_to(url))
    assert "Cookie" not in receiver.requests[1].headers


@pytest.mark.parametrize("method", HttpMethod)
async def test_connections_are_kept(method: HttpMethod, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("domain.sender.KEEP_ALIVE", 600)
    async with sending() as sender:
        with connections() as connected:
            for _ in range(3):
                assert isinstance(await sender.send(request_to(receiver.url, method)), Delivered)
    assert len(connected) == 1


async def test_an_idle_connection_is_closed_before_its_receiver_would(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of the common servers, Node is the first to close idle connections, after five seconds.
    assert KEEP_ALIVE < 5
    monkeypatch.setattr("domain.sender.KEEP_ALIVE", 0.1)
    async with sending() as sender:
        await sender.send(request_to(receiver.url))
        await until(lambda: not OPEN, 10)


async def test_no_connection_is_kept_while_too_many_are_open(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domain.sender.IDLE_CONNECTIONS", 0)
    async with receiving() as other, Sender(LOOPBACK, PATIENT, 1) as sender:
        with connections() as connected:
            for url in (receiver.url, other.url, other.url, receiver.url):
                assert isinstance(await sender.send(request_to(url)), Delivered)
    assert [f"http://127.0.0.1:{port}/" for _, port in connected] == [receiver.url, other.url, other.url]


async def test_no_more_requests_are_under_way_at_once_than_there_may_be(receiver: Receiver) -> None:
    gate = asyncio.Event()
    receiver.answer(Answer(after=gate))
    async with Sender(LOOPBACK, PATIENT, 1) as sender:
        with connections() as connected:
            sent = [asyncio.create_task(sender.send(request_to(receiver.url))) for _ in range(2)]
            await receiver.wait_for(1)
            assert len(connected) == 1
            gate.set()
            outcomes = await asyncio.gather(*sent)
    assert [type(outcome) for outcome in outcomes] == [Delivered, Delivered]


@pytest.mark.parametrize("chunk", [60 * 1024, 100], ids=["at once", "in chunks"])
@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_long_answer_is_read_whole_and_its_connection_kept(
    scheme: str, chunk: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domain.sender.KEEP_ALIVE", 600)
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


async def test_a_2xx_is_a_success_whatever_it_says_beside_it() -> None:
    assert isinstance(await answered_with(b"HTTP/1.1 200 " + b"O" * 20_000 + b"\r\n"), Delivered)


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
    """The outcome of a request that is answered with this status line, these headers and no body."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(len(request_to("").body))
        with suppress(ConnectionError):
            writer.write(head + b"Content-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
        writer.close()

    async with serving(serve) as url, sending(limits=PATIENT) as sender:
        return await sender.send(request_to(url))


@pytest.mark.parametrize("status", [300, 304, 399, 400, 401, 404, 410, 500, 503, 599])
async def test_any_other_status_is_a_failure(status: int, receiver: Receiver) -> None:
    receiver.answer(status)
    async with sending() as sender:
        outcome = await sender.send(request_to(receiver.url))
    assert isinstance(outcome, Failed)
    assert outcome.kind is AttemptOutcome.HTTP_ERROR
    assert outcome.answer is not None
    assert outcome.answer.status == status
    assert outcome.error.endswith("redirects are not followed.") == (status < 400)
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


@pytest.mark.parametrize(
    ("own", "before"),
    [
        pytest.param(
            (), {f"X-{number}": "1" for number in range(HEADERS_KEPT)}, id="behind more headers than are kept"
        ),
        pytest.param((("X-Api-Key", "3600"),), {}, id="that reads like a secret of the request"),
    ],
)
async def test_a_wait_is_heeded_that_the_log_does_not_show(
    own: tuple[tuple[str, str], ...], before: dict[str, str], receiver: Receiver
) -> None:
    receiver.answer(Answer(429, {**before, "Retry-After": "3600"}))
    async with sending() as sender:
        outcome = await sender.send(request_to(receiver.url, headers=own))
    assert isinstance(outcome, Failed)
    assert ("Retry-After", "3600") not in (outcome.answer or pytest.fail("there was no answer")).headers
    assert outcome.retry_after == timedelta(hours=1)


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
    assert outcome.duration > timedelta()
    assert (outcome.kind, outcome.error) == (AttemptOutcome.CONNECTION_FAILED, "The receiver refused the connection.")


async def test_an_attempt_for_which_we_lack_room_does_not_count(receiver: Receiver) -> None:
    async with sending() as sender:
        with few_files(3):
            outcome = await sender.send(request_to(receiver.url))
    assert outcome.kind is AttemptOutcome.INTERRUPTED
