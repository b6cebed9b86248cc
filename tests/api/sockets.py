"""Where sockets are opened, and what is asked on them."""

import asyncio
from contextlib import suppress
from typing import Any

from tests.api.conftest import Api

NAME = "{ viewer { workspace { name } } }"
WATCH = "subscription { deliveryStatusChanged { cursor status } }"


def ws(api: Api) -> str:
    """Where to open sockets."""
    return api.graphql.replace("http", "ws", 1)


async def swallowing(*_: object) -> Any:
    """As redis-py may: lose the first cancellation. What comes after it, for a client that is gone, never ends."""
    with suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    await asyncio.Event().wait()
