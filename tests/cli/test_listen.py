"""`hookline listen`: what it says of receivers and servers that are not as they should be."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from yarl import URL

from cli.forward import Relayed, Result, forward
from cli.listen import BadOptionError, Listener, Source, source_of
from cli.output import Output
from cli.talk import LostError, RefusedByServerError, shown, talking
from domain.vocabulary import EventType

RELAYED = Relayed("a-delivery", "post.published", "POST", [("Content-Type", "application/json")], b"{}")
ANSWERS = {
    "garbage": b"\xff\xfe\x00 garbage\r\n\r\n",
    "nothing": b"",
    "half of a head": b"HTTP/1.1 200 OK\r\nContent-",
}


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[str]:
    """A server that answers a request with these bytes and closes; its host and port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def forwarded(url: str) -> Result:
    return await forward(RELAYED, URL(url))


async def lost(url: str) -> str:
    """The sentence about a server that cannot be talked to."""
    with pytest.raises(LostError) as caught:
        async with talking(URL(url), "a token"):
            pass
    return str(caught.value)


async def test_nobody_listening_is_said_in_a_sentence(closed_port: str) -> None:
    # `localhost` has two addresses on most machines.
    url = f"{closed_port.replace('127.0.0.1', 'localhost')}hook"
    assert (await forwarded(url)).error == "The receiver refused the connection."
    assert await lost(url) == f"{url} cannot be reached."
    assert await lost(url.replace("//", "//me:sesame@")) == f"{url} cannot be reached."


def test_an_address_is_told_without_its_password() -> None:
    assert str(shown(URL("https://me:sesame@localhost:1/hook?a=b"))) == "https://localhost:1/hook?a=b"


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ("garbage", "What the receiver sent is not an HTTP answer."),
        ("nothing", "The receiver closed the connection without an answer."),
        ("half of a head", "The receiver closed the connection without an answer."),
    ],
)
async def test_a_receiver_that_answers_nonsense_is_told_of_in_a_sentence(answer: str, sentence: str) -> None:
    async with answering(ANSWERS[answer]) as place:
        result = await forwarded(f"http://{place}/hook")
    assert (result.status, result.error) == (None, sentence)


async def test_what_a_worker_takes_for_an_answer_is_one_here_too() -> None:
    headers = b"A: " + b"b" * 20_000 + b"\r\n" + b"A: b\r\n" * 500
    async with answering(b"HTTP/1.1 200 OK\r\n" + headers + b"Content-Length: 0\r\n\r\n") as place:
        result = await forwarded(f"http://{place}/hook")
    assert (result.status, result.error) == (200, None)


async def test_no_redirect_is_followed_here_either() -> None:
    async with answering(b"HTTP/1.1 307 Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n") as place:
        result = await forwarded(f"http://{place}/hook")
    assert (result.status, result.error) == (307, None)


async def test_a_receiver_that_hangs_is_told_of_and_waited_for_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.forward.FORWARD_SECONDS", 0.05)
    over = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()
        over.set()

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as server, asyncio.timeout(30):
        result = await forwarded(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook")
        await over.wait()
    assert (result.status, result.error) == (None, "The receiver did not answer in time.")


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_a_server_that_answers_nonsense_is_told_of_in_a_sentence(answer: bytes) -> None:
    async with answering(answer) as place:
        assert (
            await lost(f"http://{place}/graphql") == f"http://{place}/graphql does not answer as a web server should."
        )


async def test_tls_where_there_is_none_is_said_in_a_sentence() -> None:
    async with answering(b"HTTP/1.1 400 Bad Request\r\n\r\n") as place:
        url = f"https://{place}/graphql"
        assert (await forwarded(url)).error == "The receiver and Hookline could not agree on TLS."
        assert await lost(url) == f"{url} does not speak TLS, or has no valid certificate."


@pytest.mark.parametrize("said", ["no JSON", "[]", "{}", '{"type": "hello"}'])
async def test_a_websocket_of_something_else_is_told_of_in_a_sentence(said: str) -> None:
    async def serve(request: web.Request) -> web.WebSocketResponse:
        opened = web.WebSocketResponse(protocols=("graphql-transport-ws",))
        await opened.prepare(request)
        await opened.send_str(said)
        await opened.receive()
        return opened

    async with serving(serve) as url:
        with pytest.raises(RefusedByServerError, match="does not answer as Hookline does"):
            async with talking(url, "a token"):
                pass


@asynccontextmanager
async def serving(serve: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[URL]:
    """A web server with this handler; its URL."""
    application = web.Application()
    application.router.add_get("/", serve)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield URL(f"http://127.0.0.1:{runner.addresses[0][1]}/")
    finally:
        await runner.cleanup()


def change(cursor: str, delivery: str) -> dict[str, Any]:
    """The message that this delivery had its first attempt."""
    told = {"uuid": delivery, "event": {"type": "POST_CREATED"}}
    request = {"method": "POST", "headers": [], "body": "{}"}
    data = {"deliveryStatusChanged": {"cursor": cursor, "delivery": told, "request": request}}
    return {"type": "next", "payload": {"data": data}}


def ended(code: str) -> dict[str, Any]:
    """The message that a subscription has ended in an error."""
    return {"type": "error", "payload": [{"message": f"That is {code}.", "extensions": {"code": code}}]}


class NoChance:
    """A random factor that makes every pause 0, and keeps what it would have been in `pauses`."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def __rmul__(self, pause: float) -> float:
        self.pauses.append(pause)
        return 0.0


def telling(
    connections: list[list[dict[str, Any]]], after: list[str]
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """A server that sends each connection its messages; `after` gets the cursor that each resumes from."""
    opened = {"viewer": {"workspace": {"name": "Test"}, "token": {"role": "ADMIN"}}, "liveCursor": "0"}

    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(protocols=("graphql-transport-ws",))
        await socket.prepare(request)
        await socket.receive()
        await socket.send_json({"type": "connection_ack"})
        if not after:
            await socket.receive()
            await socket.send_json({"type": "next", "payload": {"data": opened}})
            await socket.send_json({"type": "complete"})
        after.append((await socket.receive_json())["payload"]["variables"]["after"])
        for message in connections[len(after) - 1]:
            await socket.send_json(message)
        await socket.receive()
        return socket

    return serve


async def test_it_goes_on_after_what_passes_and_ends_at_what_does_not(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = NoChance()
    monkeypatch.setattr("random.uniform", lambda *_: chance)
    monkeypatch.setattr("cli.listen.SHORTEST_PAUSE", 100)
    monkeypatch.setattr("cli.listen.LONGEST_PAUSE", 300)
    monkeypatch.setattr("cli.listen.MOST_REMEMBERED", 1)
    unreadable = {"type": "next", "payload": {"errors": [{"message": "Unreadable."}], "data": None}}
    connections = [
        [change("1", "a"), change("2", "b"), ended("UNAVAILABLE")],
        [{"type": "complete"}],
        [ended("INTERNAL")],
        # MOST_REMEMBERED is 1: it remembers b, which came last, and no longer a.
        [change("3", "b"), ended("RATE_LIMITED")],
        [change("4", "a"), unreadable, ended("FORBIDDEN")],
    ]
    after: list[str] = []
    taken: list[str] = []

    async def take(relayed: Relayed) -> None:
        taken.append(relayed.delivery)

    async with serving(telling(connections, after)) as url, asyncio.timeout(30):
        listener = Listener(Source(url, "t"), URL("http://me:sesame@localhost/"), take, Output())
        with pytest.raises(RefusedByServerError, match="The server says: That is FORBIDDEN"):
            await listener.listen()
    assert (after, taken) == (["0", "2", "2", "2", "3"], ["a", "b", "a"])
    # They grow, and start over after a connection that brought a change.
    assert chance.pauses == [100, 200, 300, 100]
    told = capsys.readouterr().err
    assert "A delivery could not be read: Unreadable." in told
    assert "The server says: That is UNAVAILABLE. Connecting again" in told
    assert "The server ended the subscription. Connecting again" in told
    assert told.count("Connected again.") == 4
    assert "sesame" not in told


def test_what_is_given_goes_before_what_up_has_left(tmp_path: Path) -> None:
    access = tmp_path / "hookline.json"
    access.write_text('{"url": "http://left:1", "token": "left"}')
    found = source_of("given:2", None, access, ("post.published,ACCOUNT_ADDED", "post.published"), None)
    assert (str(found.url), found.token) == ("http://given:2/graphql", "left")
    assert found.events == (EventType.POST_PUBLISHED, EventType.ACCOUNT_ADDED)
    found = source_of(None, " given\n", access, (), "w")
    assert (str(found.url), found.token, found.webhook) == ("http://left:1/graphql", "given", "w")
    with pytest.raises(BadOptionError, match="is not a URL of Hookline"):
        source_of("http://given:port", "t", access, (), None)


@pytest.mark.parametrize(
    ("leave", "why"),
    [
        pytest.param(lambda _: None, "is not there", id="nothing"),
        pytest.param(Path.mkdir, "cannot be read: Is a directory", id="a folder"),
        pytest.param(lambda path: path.write_text("{"), "does not hold them", id="no JSON"),
        pytest.param(lambda path: path.write_bytes(b"\xff"), "does not hold them", id="no text"),
        pytest.param(lambda path: path.write_text('{"url": "x"}'), "does not hold them", id="no token"),
    ],
)
def test_why_a_data_folder_does_not_tell_where_to_listen_is_said(
    tmp_path: Path, leave: Callable[[Path], object], why: str
) -> None:
    access = tmp_path / "hookline.json"
    leave(access)
    with pytest.raises(BadOptionError) as caught:
        source_of(None, None, access, (), None)
    assert str(caught.value) == (
        f"Say where to listen, with --url and --token: {access}, where `hookline up` writes both, {why}."
    )
