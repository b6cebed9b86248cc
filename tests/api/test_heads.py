"""What comes before and after a body is bounded, whatever a client sends, and otherwise gets in nobody's way."""

import asyncio
import socket
from collections.abc import Iterator
from itertools import repeat
from urllib.parse import urlsplit

import pytest

from api.uvicorn_protocols import MAX_HEAD_BYTES
from tests.api.conftest import Api

PIECE = 16 * 1024
# Far more than may be sent, and far less than would do harm.
MOST_PIECES = 200


async def told_at(api: Api, *pieces: bytes) -> tuple[bytes, int]:
    """The answer to these bytes, read to the end of the connection, and how many of the bytes were taken."""
    parts = urlsplit(api.url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    sent = 0
    try:
        async with asyncio.timeout(30):
            for piece in pieces:
                writer.write(piece)
                try:
                    await writer.drain()
                except ConnectionError:
                    break
                sent += len(piece)
                # Let the server read: it has not taken what still lies in the kernel's buffers.
                await asyncio.sleep(0.001)
            try:
                return await reader.read(), sent
            except ConnectionError:
                return b"", sent
    finally:
        writer.close()


def endless(begin: bytes, piece: bytes) -> Iterator[bytes]:
    yield begin
    yield from repeat(piece, MOST_PIECES)


HEAD = b"POST /graphql HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        pytest.param(HEAD + b"X-Long: ", b"a" * PIECE, id="a header without an end"),
        pytest.param(HEAD, b"X-Many: a\r\n" * (PIECE // 11), id="headers without an end"),
        pytest.param(b"GET /", b"a" * PIECE, id="a path without an end"),
        pytest.param(CHUNKED, b"X-Trailer: a\r\n" * (PIECE // 14), id="trailers without an end"),
    ],
)
async def test_a_head_or_a_trailer_without_an_end_is_cut_off(api: Api, begin: bytes, piece: bytes) -> None:
    answer, sent = await told_at(api, *endless(begin, piece))

    assert b" 431 " in answer.partition(b"\r\n")[0] or not answer
    # The kernel's buffers hold some megabytes besides what the server takes.
    assert sent < MOST_PIECES * PIECE
    assert (await api.post("{ viewer { workspace { name } } }"))[0] == 200


async def test_a_head_that_is_too_large_is_said_to_be(api: Api) -> None:
    answer, _ = await told_at(api, b"GET / HTTP/1.1\r\nX-Long: " + b"a" * (MAX_HEAD_BYTES + 1))

    assert answer.startswith(b"HTTP/1.1 431 Request Header Fields Too Large\r\n")


async def test_requests_on_one_connection_are_counted_one_by_one(api: Api) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: a\r\nX-Long: " + b"a" * (MAX_HEAD_BYTES // 2) + b"\r\n\r\n"
    last = request.replace(b"Host: a", b"Host: a\r\nConnection: close")

    answer, _ = await told_at(api, request, request, request, request, last)

    assert answer.count(b"HTTP/1.1 200 OK") == 5


async def test_a_body_is_no_head(api: Api) -> None:
    long = (
        b'{"query": "{ viewer { workspace { name } } }", "extensions": {"of": "'
        + b"x" * (MAX_HEAD_BYTES + PIECE)
        + b'"}}'
    )

    status, _ = await api.raw("POST", long, content_type="application/json")

    assert status == 200


BODY = b'{"query": "{ viewer { workspace { name } } }"}'
ANSWER = b'"data":{"viewer":{"workspace":{"name":"Test"}}}'
# How Java's HttpClient begins on http://.
HTTP_2 = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAA\r\n"
# It opens a socket only with GET (RFC 6455, section 4.1).
SOCKET = b"Connection: Upgrade\r\nUpgrade: websocket\r\n"
SIZED = b"Content-Length: %d\r\n\r\n" % len(BODY)
IN_CHUNKS = b"Transfer-Encoding: chunked\r\n\r\n"
CHUNK = b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
LAST = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("wish", [pytest.param(HTTP_2, id="HTTP/2"), pytest.param(SOCKET, id="a socket")])
@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param((SIZED + BODY + LAST,), id="at once"),
        pytest.param((SIZED, BODY, LAST), id="in pieces"),
        pytest.param((SIZED + BODY[:10], BODY[10:] + LAST), id="cut within the body"),
        pytest.param((IN_CHUNKS + CHUNK + LAST,), id="in a chunk"),
    ],
)
async def test_who_would_rather_speak_another_protocol_is_answered_in_this_one(
    api: Api, wish: bytes, pieces: tuple[bytes, ...]
) -> None:
    head = HEAD + b"Authorization: Bearer " + api.token.encode() + b"\r\n" + wish

    answer, _ = await told_at(api, head + pieces[0], *pieces[1:])

    assert answer.count(b"HTTP/1.1 200 OK") == 2, answer
    assert ANSWER in answer
    assert answer.endswith(b'{"status":"ok"}')


@pytest.mark.parametrize(
    ("version", "connection"),
    [pytest.param(b"1.1", b"close, Upgrade", id="close"), pytest.param(b"1.0", b"Upgrade", id="HTTP/1.0")],
)
async def test_who_would_rather_speak_another_protocol_on_a_connection_that_ends_is_answered(
    api: Api, version: bytes, connection: bytes
) -> None:
    head = b"GET /healthz HTTP/%b\r\nHost: a\r\nConnection: %b\r\nUpgrade: h2c\r\n\r\n" % (version, connection)

    answer, _ = await told_at(api, head)

    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b'{"status":"ok"}')


async def test_a_body_is_never_taken_for_a_request(api: Api) -> None:
    head = HEAD + HTTP_2 + b"Content-Length: %d\r\n\r\n" % len(LAST)

    answer, _ = await told_at(api, head, LAST, LAST)

    assert answer.startswith(b"HTTP/1.1 401 Unauthorized\r\n")
    assert answer.count(b"HTTP/1.1 200 OK") == 1


async def test_many_wishes_for_another_protocol_come_at_once(api: Api) -> None:
    wish = b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + HTTP_2 + b"\r\n"

    answer, _ = await told_at(api, wish * 1_000 + LAST)

    assert answer.count(b"HTTP/1.1 200 OK") == 1_001


async def test_this_is_no_proxy(api: Api) -> None:
    answer, _ = await told_at(api, b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 400 ")


async def test_the_head_and_the_body_of_an_answer_come_together(api: Api) -> None:
    parts = urlsplit(api.url)

    def answers() -> list[bytes]:
        with socket.create_connection((parts.hostname, parts.port), timeout=30) as client:
            found = []
            for _ in range(50):
                client.sendall(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
                # Returns what is there as soon as anything is: only the head, if the body comes later.
                found.append(client.recv(MAX_HEAD_BYTES))
            return found

    # In a thread: on the server's own loop, the client would read only when everything is written.
    for answer in await asyncio.to_thread(answers):
        head, _, body = answer.partition(b"\r\n\r\n")
        assert body
        assert f"content-length: {len(body)}".encode() in head


async def test_a_head_without_a_body_arrives(api: Api) -> None:
    answer, _ = await told_at(api, b"HEAD /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 ")
    assert answer.endswith(b"\r\n\r\n")
