"""What bounds a stranger below HTTP: sockets that count what they receive, and requests that renew the count.

Nothing in aiohttp bounds a flood of `100 Continue` answers or of chunk extensions, so the bytes are counted where they
come in. asyncio's own loop reads through `socket.recv` and `recv_into`; uvloop does not, and there the budget is not
kept: processes that call strangers run on asyncio's loop.
"""

import socket
from typing import TYPE_CHECKING, Final

from aiohttp import ClientConnectionError, ClientRequest, ClientResponse

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from aiohttp.connector import Connection

# Before the first request only a TLS handshake has any business to send us something.
HANDSHAKE_BUDGET: Final = 128 * 1024


class BudgetSpent(ConnectionError):
    """The answer was larger than anybody should send."""


class UnaskedAnswer(ClientConnectionError):
    """Something came in on an idle connection: it is no answer to a request that was not sent yet."""


class GuardedSocket(socket.socket):
    """A socket that may receive a given number of bytes, and breaks after that."""

    __slots__ = ("budget",)

    def __init__(self, family: int, type: int, proto: int) -> None:  # noqa: A002 - the base class's names
        super().__init__(family, type, proto)
        self.budget = HANDSHAKE_BUDGET
        OPEN[self.fileno()] = self

    def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
        """As socket.recv; raises BudgetSpent."""
        if self.budget <= 0:
            raise BudgetSpent
        data = super().recv(min(bufsize, self.budget), flags)
        self.budget -= len(data)
        return data

    def recv_into(self, buffer: "WriteableBuffer", nbytes: int = 0, flags: int = 0) -> int:
        """As socket.recv_into, which asyncio uses below TLS; raises BudgetSpent."""
        if self.budget <= 0:
            raise BudgetSpent
        count = super().recv_into(buffer, min(nbytes or memoryview(buffer).nbytes, self.budget), flags)
        self.budget -= count
        return count

    def close(self) -> None:
        """As socket.close."""
        OPEN.pop(self.fileno(), None)
        super().close()


# The sockets to strangers by file number, which is what asyncio's transports give away of theirs.
OPEN: Final[dict[int, GuardedSocket]] = {}


class GuardedResponse(ClientResponse):
    """A response that is given up at once, however much of the request the receiver has not taken yet."""

    def close(self) -> None:
        """Drop the connection. A plain close would wait for a receiver that reads nothing, for as long as it likes."""
        connection = self.connection
        if connection is not None and connection.transport is not None:
            connection.transport.abort()
        super().close()


def request_class(budget: int, most_open: int) -> type[ClientRequest]:
    """Requests that may each receive `budget` bytes; beyond `most_open` sockets their connections are not kept."""

    class GuardedRequest(ClientRequest):
        async def send(self, conn: "Connection") -> ClientResponse:
            protocol = conn.protocol
            # https://github.com/aio-libs/aiohttp/issues/13656: it would be taken for the answer to this request.
            if protocol is None or conn.transport is None or protocol.should_close:
                raise UnaskedAnswer
            guarded = OPEN.get(conn.transport.get_extra_info("socket").fileno())
            if guarded is not None:
                guarded.budget = budget
            if len(OPEN) > most_open:
                protocol.force_close()
            return await super().send(conn)

    return GuardedRequest
