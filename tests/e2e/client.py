"""A client as people write them: GraphQL over HTTP, and a subscription over a websocket."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

ANSWER_SECONDS = 15
SUBSCRIPTION = """
subscription($webhook: ID) { deliveryStatusChanged(webhookId: $webhook, after: "0") {
  cursor status attempt { number outcome } delivery { uuid waitingFor }
} }
"""


class Refused(Exception):
    """The API answered, and did not do it."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body

    @property
    def code(self) -> str:
        """The code of the first error."""
        errors = self.body.get("errors") if isinstance(self.body, dict) else None
        return str(errors[0]["extensions"]["code"]) if errors else ""


class Unanswered(Exception):
    """Nothing, or nothing whole, came back: what was asked for may have happened or not."""


class Client:
    """Calls the API with one token. Made by `calling`."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def ask(self, query: str, **variables: Any) -> Any:
        """The data of an answer without errors. Raises Refused or Unanswered."""
        try:
            async with self._session.post(self._url, json={"query": query, "variables": variables}) as response:
                status, body = response.status, await response.json(content_type=None)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise Unanswered(type(error).__name__) from None
        if status != 200 or not isinstance(body, dict) or body.get("errors"):
            raise Refused(status, body)
        return body["data"]

    async def change(self, mutation: str, **variables: Any) -> Any:
        """The payload of a mutation that must find no fault in its input."""
        (payload,) = (await self.ask(mutation, **variables)).values()
        assert not payload["errors"], payload["errors"]
        return payload

    async def webhook(self, url: str, *events: str, **more: Any) -> str:
        """Make a webhook; returns its id."""
        new = {"name": "Hook", "callbackUrl": url, "events": events or ("POST_CREATED",), "secret": "s3cret", **more}
        made = await self.change(
            "mutation($new: WebhookCreateInput!) { webhookCreate(input: $new) "
            "{ webhook { id } errors { field message } } }",
            new=new,
        )
        return str(made["webhook"]["id"])

    async def account(self, server: str = "ok") -> dict[str, Any]:
        """Connect a sandbox account."""
        added = await self.change(
            "mutation($server: String!) { accountAdd(input: {provider: SANDBOX, server: $server}) "
            "{ account { id uuid } errors { field message } } }",
            server=server,
        )
        return dict(added["account"])

    async def post(self, account: str, **more: Any) -> dict[str, Any]:
        """Write a post: one event, and one delivery for each webhook that listens to POST_CREATED."""
        made = await self.change(
            "mutation($new: PostCreateInput!) { postCreate(input: $new) "
            "{ post { id uuid } errors { field message } } }",
            new={"body": "Hello", "accountIds": [account], **more},
        )
        return dict(made["post"])

    @asynccontextmanager
    async def subscribed(self, webhook: str | None = None) -> AsyncIterator[list[dict[str, Any]]]:
        """A list that grows with each change of a delivery, starting with the oldest that is kept."""
        changes: list[dict[str, Any]] = []
        token = self._session.headers["Authorization"]
        async with self._session.ws_connect(self._url, protocols=["graphql-transport-ws"]) as socket:
            await socket.send_json({"type": "connection_init", "payload": {"authorization": token}})
            assert (await socket.receive_json())["type"] == "connection_ack"
            asked = {"query": SUBSCRIPTION, "variables": {"webhook": webhook}}
            await socket.send_json({"id": "1", "type": "subscribe", "payload": asked})
            reading = asyncio.create_task(_read(socket, changes))
            try:
                yield changes
            finally:
                reading.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await reading


async def _read(socket: aiohttp.ClientWebSocketResponse, changes: list[dict[str, Any]]) -> None:
    async for message in socket:
        if message.type is aiohttp.WSMsgType.TEXT:
            told = message.json()
            if told["type"] == "next":
                changes.append(told["payload"]["data"]["deliveryStatusChanged"])


@asynccontextmanager
async def calling(url: str, token: str) -> AsyncIterator[Client]:
    """A client, while the block lasts."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    headers = {"Authorization": f"Bearer {token}"}
    # Connections that are kept would be dead after each kill of the API.
    connector = aiohttp.TCPConnector(force_close=True, limit=200)
    async with aiohttp.ClientSession(headers=headers, timeout=timeout, connector=connector) as session:
        yield Client(session, f"{url}/graphql")
