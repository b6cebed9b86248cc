"""A proxy between our processes and their servers that can be told to fail.

`python -m tests.e2e.proxy NAME=LISTEN=TARGET ...` listens on unix sockets and forwards to others. Each line on its
standard input is a command, "NAME MODE [WORD]", answered by a line: how many connections hold something back.

    pass            forward everything, also what was held back
    silent          accept, and never forward or answer anything
    refuse          cut every connection, and close new ones at once
    hold WORD       forward, until a client sends WORD: from there on that connection is silent
    ask             change nothing

What a connection holds back is lost with its client, like a packet that was never sent.
"""

import asyncio
import sys
from contextlib import suppress

CHUNK_BYTES = 64 * 1024


class Gate:
    """One listening socket, its mode and its connections."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.mode = "pass"
        self.word = b""
        self.links: set[Link] = set()
        # How many connections it has refused so far.
        self.refused = 0

    async def serve(self, listen: str) -> asyncio.Server:
        return await asyncio.start_unix_server(self._accept, listen, limit=CHUNK_BYTES, backlog=512)

    def tell(self, mode: str, word: str) -> int:
        if mode != "ask":
            self.mode, self.word = mode, word.encode()
            for link in tuple(self.links):
                link.follow()
        return sum(bool(link.held) for link in self.links)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.mode == "refuse":
            self.refused += 1
            writer.transport.abort()
            return
        try:
            upstream = await asyncio.open_unix_connection(self.target, limit=CHUNK_BYTES)
        except OSError:
            writer.transport.abort()
            return
        await Link(self, (reader, writer), upstream).run()


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Link:
    """A client's connection, and the one to the server that belongs to it."""

    def __init__(self, gate: Gate, client: Stream, server: Stream) -> None:
        self._gate = gate
        self._client = client
        self._server = server
        self._stalled = gate.mode == "silent"
        self.held: list[tuple[asyncio.StreamWriter, bytes]] = []

    async def run(self) -> None:
        """Forward until one half ends."""
        self._gate.links.add(self)
        pumps = [
            asyncio.create_task(self._pump(self._client[0], self._server[1], from_client=True)),
            asyncio.create_task(self._pump(self._server[0], self._client[1], from_client=False)),
        ]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in pumps:
            pump.cancel()
        self.cut()

    def follow(self) -> None:
        """Do as the gate was told."""
        if self._gate.mode == "refuse":
            self.cut()
        elif self._gate.mode == "silent":
            self._stalled = True
        elif self._gate.mode == "pass":
            self._stalled = False
            for writer, chunk in self.held:
                writer.write(chunk)
            self.held.clear()

    def cut(self) -> None:
        """End both halves; what is held back is lost."""
        self._gate.links.discard(self)
        for _, writer in (self._client, self._server):
            if self.held:
                writer.transport.abort()
            else:
                writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, from_client: bool) -> None:
        with suppress(OSError):
            while chunk := await reader.read(CHUNK_BYTES):
                if self._gate.mode == "hold" and from_client and self._gate.word in chunk:
                    self._stalled = True
                if self._stalled:
                    self.held.append((writer, chunk))
                else:
                    writer.write(chunk)
                    await writer.drain()


async def main() -> None:
    """Serve until standard input ends."""
    gates: dict[str, Gate] = {}
    for argument in sys.argv[1:]:
        name, listen, target = argument.split("=")
        gates[name] = Gate(target)
        await gates[name].serve(listen)
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    print("ready", flush=True)
    while line := await commands.readline():
        name, mode, *word = line.decode().strip().split(" ", 2)
        print(gates[name].tell(mode, "".join(word)), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
