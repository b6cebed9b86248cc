"""Reading what a stranger answers: bounded in size and time."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Final

from aiohttp import ClientResponse

from domain.guarded_socket import allow_more
from domain.outcome import Answer
from domain.request import HIDDEN

READ_AT_MOST: Final = 64 * 1024
KEPT: Final = 16 * 1024
# The status has decided already; the body is for the log.
BODY_WAIT: Final = 2.0
HEADERS_KEPT: Final = 64
NAME_KEPT: Final = 256
VALUE_KEPT: Final = 4096
_HIDDEN: Final = HIDDEN.encode()


async def read_answer(response: ClientResponse, deadline: float, hidden: Sequence[str]) -> Answer:
    """The answer as it is logged; `deadline` is in the loop's time. Whatever goes wrong with the body is no failure.

    `hidden` are secrets of the request, which a receiver may send back; they are replaced in the answer.
    """
    if response.content.is_eof() and response.content.exception() is None:
        body, whole = response.content.read_nowait(READ_AT_MOST), True
    else:
        body, whole = await _read_slowly(response, deadline)
    headers = response.raw_headers[:HEADERS_KEPT]
    for secret in hidden:
        body = body.replace(secret.encode(), _HIDDEN)
        headers = tuple((name, value.replace(secret.encode(), _HIDDEN)) for name, value in headers)
    cut = len(body) > KEPT or not whole
    headers = tuple((name[:NAME_KEPT], value[:VALUE_KEPT]) for name, value in headers)
    return Answer.from_wire(response.status, headers, body[:KEPT], truncated=cut)


async def _read_slowly(response: ClientResponse, deadline: float) -> tuple[bytes, bool]:
    body = bytearray()
    content = response.content
    try:
        # Any Exception: a broken body may raise anything, and the status has decided already.
        with contextlib.suppress(Exception):
            async with asyncio.timeout_at(min(deadline, asyncio.get_running_loop().time() + BODY_WAIT)):
                while len(body) < READ_AT_MOST and (chunk := await content.read(READ_AT_MOST - len(body))):
                    body += chunk
                    allow_more(response, len(chunk))
    finally:
        whole = content.at_eof() and content.exception() is None
        if not whole:
            response.close()
    return bytes(body), whole
