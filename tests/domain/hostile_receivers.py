"""Receivers that mean harm: each function is one of them, and says what its attempt must end as.

`python -m tests.domain.hostile_receivers FOLDER` serves them all, each on a port of its own, until its input is closed,
and prints {name: port} first. A process of its own, so that what flooding costs the flooder is not counted as ours.
FOLDER holds NAME.pem for each certificate.
"""

import asyncio
import functools
import gzip
import json
import os
import socket
import ssl
import struct
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from domain.vocabulary import AttemptOutcome
from tests.domain.certificates import server_context

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

SUCCEEDED = AttemptOutcome.SUCCEEDED
HTTP_ERROR = AttemptOutcome.HTTP_ERROR
TIMED_OUT = AttemptOutcome.TIMED_OUT
BROKEN = AttemptOutcome.CONNECTION_FAILED
TLS = AttemptOutcome.TLS_FAILED
INVALID = AttemptOutcome.INVALID_RESPONSE

OK = b"HTTP/1.1 200 OK\r\n"
MEBIBYTE = 1024 * 1024
# Longer than any deadline of the tests, so that it is the sender that ends it.
PATIENCE = 30.0


@dataclass(frozen=True)
class Hostile:
    """One receiver. `certificate` names the one that it shows; without it speaks plain TCP."""

    name: str
    serve: Serve
    outcomes: frozenset[AttemptOutcome]
    certificate: str | None
    scheme: str


RECEIVERS: dict[str, Hostile] = {}


def hostile(
    *outcomes: AttemptOutcome, certificate: str | None = None, scheme: str = "http"
) -> Callable[[Serve], Serve]:
    """Registers a receiver whose attempts end as one of `outcomes`: which one may hang on how its bytes arrive."""

    def register(serve: Serve) -> Serve:
        name = getattr(serve, "__name__", "")
        RECEIVERS[name] = Hostile(name, serve, frozenset(outcomes), certificate, "https" if certificate else scheme)
        return serve

    return register


async def take_request(reader: asyncio.StreamReader) -> bytes:
    """The head of a request."""
    return await reader.readuntil(b"\r\n\r\n")


async def forever() -> None:
    """Nothing happens any more."""
    await asyncio.sleep(PATIENCE)


async def drip(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Byte after byte, slowly enough for any deadline, quickly enough for any idle timeout."""
    for byte in data:
        writer.write(bytes((byte,)))
        await writer.drain()
        await asyncio.sleep(0.03)


async def flood(writer: asyncio.StreamWriter, piece: bytes, most: int = 64 * MEBIBYTE) -> None:
    """The piece over and over, as fast as the other side takes it."""
    block = piece * max(1, 64 * 1024 // len(piece))
    for _ in range(most // len(block)):
        writer.write(block)
        await writer.drain()
    await forever()


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST instead of FIN."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes) -> None:
    """Take the request, say this and close."""
    await take_request(reader)
    writer.write(data)
    await writer.drain()


# Silence and slowness.


@hostile(TIMED_OUT)
async def never_answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await forever()


@hostile(TIMED_OUT)
async def never_reads(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    # Its request is larger than all buffers on the way.
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    await forever()


@hostile(TIMED_OUT)
async def drips_its_status_line(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await drip(writer, b"HTTP/1.1 200 " + b"O" * 4000)


@hostile(TIMED_OUT)
async def drips_its_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await drip(writer, OK + b"A: b\r\n" * 1000)


@hostile(TIMED_OUT)
async def stops_within_its_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Content-Le")
    await forever()


@hostile(TIMED_OUT)
async def says_continue_and_nothing_more(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, b"HTTP/1.1 100 Continue\r\n\r\n")
    await forever()


@hostile(SUCCEEDED)
async def drips_its_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Content-Length: 100000\r\n\r\n")
    await drip(writer, b"x" * 1000)


@hostile(HTTP_ERROR)
async def drips_the_body_of_an_error(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, b"HTTP/1.1 500 No\r\nContent-Length: 100000\r\n\r\n")
    await drip(writer, b"x" * 1000)


@hostile(SUCCEEDED)
async def stops_within_its_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Content-Length: 100\r\n\r\nhalf of it")
    await forever()


@hostile(SUCCEEDED)
async def never_ends_its_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"\r\nno length, no end")
    await forever()


# Floods and bombs.


@hostile(SUCCEEDED)
async def floods_its_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"\r\n")
    await flood(writer, b"x" * 1024)


@hostile(SUCCEEDED)
async def floods_a_chunked_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Transfer-Encoding: chunked\r\n\r\n")
    await flood(writer, b"400\r\n" + b"x" * 1024 + b"\r\n")


@hostile(SUCCEEDED)
async def floods_chunks_of_one_byte(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Transfer-Encoding: chunked\r\n\r\n")
    await flood(writer, b"1\r\nx\r\n")


@hostile(SUCCEEDED)
async def floods_chunk_extensions(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Transfer-Encoding: chunked\r\n\r\n1;")
    await flood(writer, b"a=b;")


@hostile(SUCCEEDED)
async def floods_small_chunk_extensions(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Transfer-Encoding: chunked\r\n\r\n")
    await flood(writer, b"1;" + b"e" * 2000 + b"\r\nx\r\n")


@hostile(SUCCEEDED, INVALID)
async def floods_trailers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n")
    await flood(writer, b"A: b\r\n")


@hostile(INVALID)
async def floods_continues(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await take_request(reader)
    await flood(writer, b"HTTP/1.1 100 Continue\r\n\r\n")


@hostile(INVALID)
async def floods_short_continues(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await take_request(reader)
    await flood(writer, b"HTTP/1.1 100\r\n\r\n")


@hostile(INVALID)
async def floods_early_hints(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await take_request(reader)
    await flood(writer, b"HTTP/1.1 103 Early Hints\r\n" + b"Link: </a>\r\n" * 40 + b"\r\n")


@hostile(INVALID)
async def floods_its_status_line(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, b"HTTP/1.1 200 ")
    await flood(writer, b"O")


@hostile(INVALID)
async def floods_one_header(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"A: ")
    await flood(writer, b"b")


@hostile(INVALID)
async def floods_the_name_of_a_header(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK)
    await flood(writer, b"A")


@hostile(INVALID)
async def floods_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK)
    await flood(writer, b"A: b\r\n")


@hostile(INVALID)
async def floods_folded_lines(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"A: b\r\n")
    await flood(writer, b" b\r\n")


@hostile(INVALID)
async def floods_empty_lines(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await take_request(reader)
    await flood(writer, b"\r\n")


@hostile(SUCCEEDED)
async def sends_a_thousand_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"".join(b"A%d: b\r\n" % n for n in range(1000)) + b"Content-Length: 0\r\n\r\n")


@hostile(SUCCEEDED)
async def sends_as_many_headers_as_fit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"A:\r\n" * 8000 + b"Content-Length: 0\r\n\r\n")


@hostile(SUCCEEDED)
async def sends_sixty_cookies(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    cookies = b"".join(b"Set-Cookie: c%d=%b; Path=/\r\n" % (n, b"v" * 500) for n in range(60))
    await answer(reader, writer, OK + cookies + b"Content-Length: 0\r\n\r\n")


@hostile(SUCCEEDED)
async def sends_a_gzip_bomb(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    bomb = _bomb()
    await answer(reader, writer, OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb)


@hostile(SUCCEEDED)
async def says_deflate_and_sends_garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Content-Encoding: deflate\r\nContent-Length: 10\r\n\r\nno packing")


@functools.cache
def _bomb() -> bytes:
    packed = bytes(64 * MEBIBYTE)
    for _ in range(2):
        packed = gzip.compress(packed, 9)
    return packed


# Lies about length and form.


@hostile(SUCCEEDED)
async def promises_more_than_it_sends(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Content-Length: 1000\r\n\r\nten bytes.")


@hostile(SUCCEEDED)
async def sends_more_than_it_promised(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Content-Length: 3\r\n\r\nabc" + b"HTTP/1.1 500 Injected\r\n\r\n" * 3)


@hostile(SUCCEEDED, INVALID)
async def sends_garbage_after_its_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Content-Length: 3\r\n\r\nabc and more")


@hostile(INVALID)
async def sends_a_quarter_mebibyte_of_cookies(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    cookies = b"".join(b"Set-Cookie: c%d=%b; Path=/\r\n" % (n, b"v" * 4000) for n in range(60))
    await answer(reader, writer, OK + cookies + b"Content-Length: 0\r\n\r\n")


@hostile(INVALID)
async def sends_two_lengths(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd")


@hostile(INVALID)
async def sends_a_negative_length(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Content-Length: -1\r\n\r\nabcd")


@hostile(INVALID)
async def sends_a_length_of_thirty_digits(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Content-Length: " + b"9" * 30 + b"\r\n\r\nabcd")


@hostile(SUCCEEDED)
async def promises_nine_exabytes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Content-Length: 9000000000000000000\r\n\r\n")
    await flood(writer, b"x" * 1024)


@hostile(INVALID)
async def sends_length_and_chunks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")


@hostile(SUCCEEDED)
async def sends_a_chunk_of_no_size(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await take_request(reader)
    writer.write(OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    await writer.drain()
    await asyncio.sleep(0.05)
    writer.write(b"zebra\r\nabc\r\n")
    await writer.drain()


@hostile(SUCCEEDED)
async def sends_a_chunk_of_huge_size(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Transfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n")
    await flood(writer, b"x" * 1024)


@hostile(SUCCEEDED)
async def answers_twice(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, (OK + b"Content-Length: 0\r\n\r\n") * 2)
    await forever()


@hostile(SUCCEEDED)
async def answers_before_it_was_asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(OK + b"Content-Length: 2\r\n\r\nok")
    await writer.drain()
    await forever()


# No HTTP, or hardly.


@hostile(BROKEN)
async def closes_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


@hostile(BROKEN)
async def resets_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    reset(writer)


@hostile(BROKEN)
async def closes_after_the_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await take_request(reader)


@hostile(BROKEN)
async def resets_after_the_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await take_request(reader)
    reset(writer)


@hostile(BROKEN)
async def resets_within_its_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Content-")
    await asyncio.sleep(0.05)
    reset(writer)


@hostile(SUCCEEDED)
async def resets_within_its_body(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"Content-Length: 100\r\n\r\nhalf of it")
    await asyncio.sleep(0.05)
    reset(writer)


@hostile(INVALID)
async def speaks_smtp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail.example ESMTP ready\r\n")
    await answer(reader, writer, b"502 5.5.2 Error: command not recognized\r\n")


@hostile(INVALID)
async def speaks_ssh(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")
    await forever()


@hostile(INVALID)
async def speaks_http_0_9(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, b"<html>It works!</html>\n")


@hostile(INVALID)
async def speaks_http_2(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80" + bytes(12))


@hostile(INVALID)
async def speaks_noise(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await take_request(reader)
    await flood(writer, os.urandom(4096))


@hostile(INVALID)
async def answers_status_000(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, b"HTTP/1.1 000 Nothing\r\nContent-Length: 0\r\n\r\n")


@hostile(INVALID)
async def answers_status_999(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, b"HTTP/1.1 999 Denied\r\nContent-Length: 0\r\n\r\n")


@hostile(INVALID)
async def answers_a_status_of_four_digits(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n")


@hostile(INVALID)
async def answers_a_status_in_words(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, b"HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n")


@hostile(INVALID)
async def switches_protocols(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, b"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
    await flood(writer, b"\x81\x02hi")


@hostile(HTTP_ERROR)
async def redirects_to_itself(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, b"HTTP/1.1 307 Again\r\nLocation: /\r\nContent-Length: 0\r\n\r\n")


@hostile(HTTP_ERROR)
async def redirects_to_a_file(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, b"HTTP/1.1 302 F\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n")


@hostile(HTTP_ERROR)
async def asks_for_a_wait_beyond_reason(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, b"HTTP/1.1 429 No\r\nRetry-After: " + b"9" * 4000 + b"\r\nContent-Length: 0\r\n\r\n")


@hostile(INVALID)
async def sends_a_header_without_a_colon(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"this is no header\r\nContent-Length: 0\r\n\r\n")


@hostile(INVALID)
async def sends_nul_in_a_header(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, OK + b"A: b\x00c\r\nContent-Length: 0\r\n\r\n")


@hostile(SUCCEEDED)
async def sends_bytes_that_are_no_text(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    garbage = bytes(range(256)) + b"\xed\xa0\x80" * 20
    await answer(reader, writer, OK + b"A: \xff\xed\xa0\x80\r\nContent-Length: %d\r\n\r\n" % len(garbage) + garbage)


@hostile(SUCCEEDED)
async def names_a_charset_that_is_slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    body = b"a.b" * 20_000
    head = OK + b"Content-Type: text/plain; charset=idna\r\nContent-Length: %d\r\n\r\n" % len(body)
    await answer(reader, writer, head + body)


# TLS. A receiver with a certificate gets here once the handshake is done, which most of these prevent.


async def unreached(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says that the sender trusted what it should not."""
    await answer(reader, writer, OK + b"Content-Length: 0\r\n\r\n")


@hostile(TLS, certificate="self-signed")
async def shows_a_certificate_of_its_own(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await unreached(reader, writer)


@hostile(TLS, certificate="expired")
async def shows_an_expired_certificate(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await unreached(reader, writer)


@hostile(TLS, certificate="other-host")
async def shows_a_certificate_of_another_host(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await unreached(reader, writer)


@hostile(TLS, certificate="unknown-authority")
async def shows_a_certificate_of_nobody(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await unreached(reader, writer)


@hostile(SUCCEEDED, certificate="good")
async def floods_its_body_over_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await floods_its_body(reader, writer)


@hostile(INVALID, certificate="good")
async def floods_continues_over_tls(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await floods_continues(reader, writer)


@hostile(TIMED_OUT, scheme="https")
async def never_shakes_hands(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await forever()


@hostile(TLS, scheme="https")
async def answers_tls_in_plain_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()
    await forever()


@hostile(BROKEN, scheme="https")
async def resets_the_handshake(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    reset(writer)


@hostile(TLS, scheme="https")
async def refuses_the_handshake(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    # A fatal alert: handshake_failure.
    writer.write(b"\x15\x03\x03\x00\x02\x02\x28")
    await writer.drain()
    await forever()


@hostile(TIMED_OUT, scheme="https")
async def floods_the_handshake_with_empty_records(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    # A record that announces 16 KiB and drips.
    writer.write(b"\x16\x03\x03\x40\x00")
    await drip(writer, b"\x02" * 1000)


async def _serve(receiver: Hostile, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    # The sender ends most of these conversations from its side.
    with suppress(OSError, EOFError, asyncio.LimitOverrunError):
        await receiver.serve(reader, writer)
    writer.close()


def _context(receiver: Hostile, folder: Path) -> ssl.SSLContext | None:
    if receiver.certificate is None:
        return None
    return server_context(folder / f"{receiver.certificate}.pem")


async def main(folder: Path) -> None:
    """Serve them all until the input is closed."""
    ports = {}
    for name, receiver in RECEIVERS.items():
        serve = functools.partial(_serve, receiver)
        server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=_context(receiver, folder), limit=MEBIBYTE)
        ports[name] = server.sockets[0].getsockname()[1]
    print(json.dumps(ports), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
