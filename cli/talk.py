"""graphql-transport-ws from the client's side, for `hookline listen`.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
from yarl import URL

from domain.errors import HooklineError
from domain.failures import classify
from domain.vocabulary import AttemptOutcome

PROTOCOL = "graphql-transport-ws"
CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 20.0
# After this long, a silent server is asked whether it is still there.
HEARTBEAT_SECONDS = 20.0
CLOSE_SECONDS = 1.0
LONGEST_MESSAGE = 16 * 1024 * 1024
FORBIDDEN = 4403
NOT_HOOKLINE = "That server does not answer as Hookline does."


class RefusedByServerError(HooklineError):
    """Asking again would be of no use."""


class LostError(HooklineError):
    """The connection is gone, or of no use for now."""


@asynccontextmanager
async def talking(url: URL, token: str) -> AsyncIterator["Talk"]:
    """A connection that is authenticated. Raises LostError and RefusedByServerError."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        talk = Talk(await _connected(session, url))
        try:
            await talk.initialise(token)
            yield talk
        finally:
            await talk.close()


async def _connected(session: aiohttp.ClientSession, url: URL) -> aiohttp.ClientWebSocketResponse:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            return await session.ws_connect(
                url,
                protocols=(PROTOCOL,),
                heartbeat=HEARTBEAT_SECONDS,
                max_msg_size=LONGEST_MESSAGE,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS),
            )
    except aiohttp.WSServerHandshakeError as error:
        raise LostError(
            f"{shown(url)} answers {error.status} instead of opening a WebSocket. Is that Hookline's address?"
        ) from None
    except Exception as error:  # noqa: BLE001 - whatever aiohttp makes of what answers there
        raise LostError(f"{shown(url)} {_fault(error)}.") from None


def shown(url: URL) -> URL:
    """The URL as it may be shown: without its user and password."""
    return url.with_user(None)


def _fault(error: Exception) -> str:
    match classify(error)[0]:
        case AttemptOutcome.TIMED_OUT:
            return "does not answer"
        case AttemptOutcome.DNS_FAILED:
            return "has a name that cannot be found"
        case AttemptOutcome.TLS_FAILED:
            return "does not speak TLS, or has no valid certificate"
        case _ if isinstance(error, aiohttp.ClientConnectorError):
            return "cannot be reached"
    return "does not answer as a web server should"


class Talk:
    """One operation at a time over one WebSocket. Raises LostError and RefusedByServerError."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._operation = 0

    async def initialise(self, token: str) -> None:
        """Authenticate."""
        await self._send({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}})
        if (await self._soon())["type"] != "connection_ack":
            raise RefusedByServerError(NOT_HOOKLINE)

    async def ask(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        """The data of one query. An error in it counts as a lost connection."""
        await self.subscribe(query, variables)
        message = await self._soon()
        errors = message["payload"] if message["type"] == "error" else message["payload"].get("errors")
        if errors:
            raise LostError(f"The server says: {errors[0]['message']}")
        await self._soon()  # the message `complete`
        data: dict[str, Any] = message["payload"]["data"]
        return data

    async def subscribe(self, query: str, variables: Mapping[str, Any]) -> None:
        """Begin an operation."""
        self._operation += 1
        payload = {"query": query, "variables": variables}
        await self._send({"id": str(self._operation), "type": "subscribe", "payload": payload})

    async def receive(self) -> dict[str, Any]:
        """The next message that is neither a ping nor a pong."""
        while True:
            message = await self._socket.receive()
            if message.type is not aiohttp.WSMsgType.TEXT:
                raise _end(self._socket.close_code, message.extra)
            found = _message(message.data)
            if found["type"] == "ping":
                await self._send({"type": "pong"})
            elif found["type"] != "pong":
                return found

    async def close(self) -> None:
        """Close the connection; waits at most a second for the answer."""
        await self._socket.close()

    async def _soon(self) -> dict[str, Any]:
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await self.receive()
        except TimeoutError:
            raise LostError("The server does not answer.") from None

    async def _send(self, message: Mapping[str, Any]) -> None:
        try:
            await self._socket.send_json(message)
        except (OSError, aiohttp.ClientError):
            raise LostError("The connection broke.") from None


def _message(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or "type" not in found:
        raise RefusedByServerError(NOT_HOOKLINE)
    return found


def _end(code: int | None, reason: Any) -> HooklineError:
    if code == FORBIDDEN:
        return RefusedByServerError("The server refuses this token: it is wrong, was revoked, or has expired.")
    said = f": {str(reason).rstrip('.')}" if reason else ""
    return LostError("The connection broke." if code in (None, 1006) else f"The server closed ({code}{said}).")
