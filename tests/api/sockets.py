"""The URL of sockets, and what is asked on them."""

import asyncio
from contextlib import suppress
from typing import Any

from tests.api.conftest import Api

NAME = "{ viewer { workspace { name } } }"
WATCH = "subscription { deliveryStatusChanged { cursor status } }"


def ws(api: Api) -> str:
    """The URL at which to open sockets."""
    return api.graphql.replace("http", "ws", 1)


async def swallowing(*_: object) -> Any:
    """Swallow the first cancellation, as redis-py may. What follows, for a client that is gone, never ends."""
    with suppress(asyncio.CancelledError):
        await asyncio.Event().wait()
    await asyncio.Event().wait()
