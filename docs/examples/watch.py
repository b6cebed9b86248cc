"""Watch deliveries live over a websocket: python docs/examples/watch.py URL TOKEN [NAME]

Prints a line for each change of a delivery's status, as it is committed; with NAME, of that webhook's alone.
"""

import asyncio
import json
import signal
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

SUBSCRIPTION = """
subscription {
  deliveryStatusChanged { occurredAt status delivery { nextAttemptAt event { type } webhook { name } } }
}
"""


async def watch(url: str, token: str, name: str | None = None) -> None:
    """Subscribe, and print for as long as the connection lasts."""
    address = url.replace("http", "ws", 1) + "/graphql"
    async with connect(address, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
        await socket.send(json.dumps({"type": "connection_init", "payload": {"authorization": f"Bearer {token}"}}))
        await socket.recv()
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": SUBSCRIPTION}}))
        async for text in socket:
            message = json.loads(text)
            if message["type"] == "next":
                change = message["payload"]["data"]["deliveryStatusChanged"]
                delivery = change["delivery"]
                if name is None or (delivery["webhook"] or {}).get("name") == name:
                    told = [change["occurredAt"], delivery["event"]["type"], change["status"]]
                    if change["status"] == "RETRYING":
                        told.append(f"next attempt at {delivery['nextAttemptAt']}")
                    print(*told, flush=True)


# Ctrl-C ends it as it ends any program: Python would print where it was.
signal.signal(signal.SIGINT, signal.SIG_DFL)
try:
    asyncio.run(watch(*sys.argv[1:4]))
except (ConnectionClosed, OSError) as ended:
    sys.exit(f"Not connected: {ended}")
