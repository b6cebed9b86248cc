"""The sockets of our own servers."""

import asyncio
import socket
import sys

import pytest

from domain import listening

LONGER_THAN_ALL_BUFFERS = 64 * 1024 * 1024


@pytest.mark.skipif(sys.platform != "linux", reason="no other system can be asked for it")
async def test_who_takes_nothing_of_an_answer_for_long_is_let_go_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listening, "UNTAKEN_SECONDS", 0.5)
    ended: asyncio.Future[OSError | None] = asyncio.get_running_loop().create_future()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(bytes(LONGER_THAN_ALL_BUFFERS))
        try:
            await writer.drain()
        except OSError as error:
            ended.set_result(error)
        else:
            ended.set_result(None)

    with listening.listener("127.0.0.1", 0, "HOOKLINE_PORT") as bound, socket.socket() as silent:
        async with await asyncio.start_server(answer, sock=bound):
            await asyncio.get_running_loop().run_in_executor(None, silent.connect, bound.getsockname())
            async with asyncio.timeout(60):
                assert isinstance(await ended, TimeoutError)
