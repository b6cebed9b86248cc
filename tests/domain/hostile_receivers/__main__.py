"""Serves all hostile receivers, each on a port of its own, until its input is closed."""

import asyncio
import functools
import json
import ssl
import sys
from contextlib import suppress
from pathlib import Path

from tests.domain.certificates import server_context
from tests.domain.hostile_receivers import RECEIVERS
from tests.domain.hostile_receivers.hostile import MEBIBYTE, Hostile


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
