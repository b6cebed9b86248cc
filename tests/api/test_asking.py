"""Reading requests: within, at and beyond each bound, and from clients that leave before everything has arrived."""

import asyncio
from collections.abc import Iterable
from urllib.parse import urlencode, urlsplit

import pytest
from starlette.datastructures import Headers
from starlette.types import Message
from structlog.testing import capture_logs

from api.asking import GoneAway, Malformed, check_content_type, from_body, from_query_string, read_body
from tests.api.conftest import Api
from tests.waiting import until


async def body_of(parts: Iterable[bytes], headers: dict[str, str]) -> bytes:
    """Read a body that arrives in these parts, with a limit of ten bytes."""
    messages: list[Message] = [{"type": "http.request", "body": part, "more_body": True} for part in parts]

    async def receive() -> Message:
        return messages.pop(0) if messages else {"type": "http.request"}

    return await read_body(receive, Headers(headers), 10)


@pytest.mark.parametrize("headers", [{}, {"content-length": "10"}], ids=["of unknown length", "declared"])
async def test_a_body_may_be_as_long_as_it_may_be(headers: dict[str, str]) -> None:
    assert await body_of([b"12345", b"67890"], headers) == b"1234567890"
    with pytest.raises(Malformed) as refused:
        await body_of([b"12345", b"67890", b"1"], headers)
    assert refused.value.status == 413


@pytest.mark.parametrize("length", ["11", "9" * 5_000])
async def test_a_body_that_is_declared_too_long_is_not_read(length: str) -> None:
    async def receive() -> Message:
        raise AssertionError

    with pytest.raises(Malformed) as refused:
        await read_body(receive, Headers({"content-length": length}), 10)
    assert refused.value.status == 413


async def test_half_a_body_is_no_body() -> None:
    async def receive() -> Message:
        return {"type": "http.disconnect"}

    with pytest.raises(GoneAway):
        await read_body(receive, Headers(), 10)


@pytest.mark.parametrize("path", ["/graphql", "/session"])
async def test_who_leaves_within_a_request_is_no_error_of_ours(api: Api, path: str) -> None:
    parts = urlsplit(api.url)
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {api.token}\r\nContent-Type: application/json\r\n"
    with capture_logs() as lines:
        _, writer = await asyncio.open_connection(parts.hostname, parts.port)
        writer.write(f"{head}Content-Length: 100\r\n\r\n{{".encode())
        await writer.drain()
        writer.close()
        await until(lambda: lines)
    assert [line["event"] for line in lines] == ["request"]


@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "application/json"},
        {"content-type": "Application/JSON; Charset=UTF-8"},
        {"content-type": 'application/json;charset="utf8"'},
        {"content-type": "application/json; charset=us-ascii; a=b"},
        {"content-type": "application/json", "content-encoding": "Identity"},
    ],
)
def test_json_is_known_however_it_is_written(headers: dict[str, str]) -> None:
    check_content_type(Headers(headers))


@pytest.mark.parametrize("half", [r"\ud83d", r"\ud83d!", r"\ude00"])
def test_half_an_emoji_is_named_for_what_it_is(half: str) -> None:
    with pytest.raises(Malformed, match="The body contains half of a character"):
        from_body(f'{{"query": "{{ a }}", "variables": {{"name": "{half}"}}}}'.encode())


def test_a_url_says_what_a_body_says() -> None:
    parameters = {"query": "{ a }", "operationName": "b", "variables": '{"c": "é"}', "extensions": "{}"}
    there = from_query_string(urlencode(parameters).encode())
    here = from_body('{"query": "{ a }", "operationName": "b", "variables": {"c": "é"}, "extensions": {}}'.encode())
    assert there == here
    assert (here.query, here.operation_name, here.variables) == ("{ a }", "b", {"c": "é"})


def test_an_empty_name_is_none() -> None:
    assert from_body(b'{"query": "{ a }", "operationName": ""}').operation_name is None
    assert from_query_string(b"query={a}&operationName=").operation_name is None


@pytest.mark.parametrize("query_string", [b"query={a}&a=&a=", b"query={a}&extensions=[]", b"query=%20", b"query=%FF"])
def test_what_is_odd_in_a_url_is_refused(query_string: bytes) -> None:
    with pytest.raises(Malformed):
        from_query_string(query_string)
