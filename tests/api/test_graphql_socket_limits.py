"""Who may open a socket, how soon they must say who they are, and how much each may have at once."""

from dataclasses import replace

import pytest
from websockets.exceptions import InvalidStatus

from api import graphql_socket
from api.uvicorn_protocols import READ_BYTES, WebSocketProtocol
from domain.settings import Settings
from tests.api.conftest import Api, running
from tests.api.protocol import opened
from tests.api.sockets import NAME, WATCH, ws
from tests.waiting import until


async def test_only_our_subprotocol_is_spoken(api: Api) -> None:
    for subprotocols in (["graphql-ws"], ["graphql-transport-ws2", "foo"], None):
        async with opened(ws(api), subprotocols=subprotocols) as socket:
            assert (await socket.closed())[0] == 4406


async def test_the_origin_is_checked(settings: Settings) -> None:
    async with running(replace(settings, allowed_origins=("https://app.example",))) as api:
        for origin in (None, api.url, "https://app.example"):
            async with opened(ws(api), origin=origin) as socket:
                await socket.quiet()
        for origin in (
            "https://evil.example",
            "null",
            api.url.replace("http:", "https:"),
            f"{api.url}.evil.example",
            "",
            "http://[",
            "http://a]b",
        ):
            with pytest.raises(InvalidStatus) as refused:
                async with opened(ws(api), origin=None, additional_headers={"Origin": origin}):
                    pass
            assert refused.value.response.status_code == 403, origin
            assert b"FORBIDDEN" in refused.value.response.body


async def test_a_socket_that_is_refused_is_no_error_of_ours(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(InvalidStatus):
        async with opened(ws(api), origin="https://evil.example"):
            pass
    await until(lambda: not api.server.server_state.tasks)
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


async def test_who_does_not_initialise_is_closed_in_time(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphql_socket, "INIT_SECONDS", 0.05)
    async with opened(ws(api)) as socket:
        assert await socket.closed() == (4408, "Connection initialisation timeout")
    counted = api.process.metrics.registry.get_sample_value
    assert counted("hookline_sockets_closed_total", {"code": "4408"}) == 1


async def test_there_may_be_only_so_many_sockets_of_a_process_and_of_a_token(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphql_socket, "INIT_SECONDS", 3_600.0)
    async with running(replace(settings, sockets_per_process=3, sockets_per_token=1)) as api:
        async with api.socket() as first:
            async with opened(ws(api)) as second:
                await second.initialise(api.token)
                assert await second.closed() == (4429, "Too many sockets with this token")
            _, other = await api.new_token()
            async with api.socket(other), opened(ws(api)):
                with pytest.raises(InvalidStatus) as refused:
                    async with opened(ws(api)):
                        pass
                assert refused.value.response.status_code == 503
            await first.quiet()
        async with api.socket():
            assert len(api.process.connections) == 1


async def test_there_may_be_only_so_many_operations_on_a_socket(settings: Settings) -> None:
    async with running(replace(settings, subscriptions_per_socket=2)) as api, api.socket() as socket:
        for id_ in ("1", "2", "3"):
            await socket.subscribe(id_, WATCH)
        message = await socket.receive()
        assert (message["id"], message["payload"][0]["extensions"]["code"]) == ("3", "RATE_LIMITED")
        await socket.send({"id": "1", "type": "complete"})
        await socket.subscribe("3", NAME)
        assert "data" in await socket.next("3")


async def test_who_floods_a_socket_is_read_bit_by_bit(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    pieces: list[int] = []
    async with api.socket() as socket:
        (connection,) = api.server.server_state.connections
        assert isinstance(connection, WebSocketProtocol)
        receive_data = connection.conn.receive_data

        def noting(data: bytes) -> None:
            pieces.append(len(data))
            receive_data(data)

        monkeypatch.setattr(connection.conn, "receive_data", noting)
        # Pongs that nobody asked for need no answer.
        pongs = b"\x8a\x80\0\0\0\0" * 100_000
        socket.connection.transport.write(pongs)
        await until(lambda: sum(pieces) >= len(pongs))
        await socket.quiet()
    assert max(pieces) <= READ_BYTES
