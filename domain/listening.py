"""Where our own processes listen."""

import socket
import sys
from typing import Final

from domain.errors import Misconfigured

# Who takes nothing of an answer for so long has gone, or means to fill our memory.
UNTAKEN_SECONDS: Final = 60.0


def listener(host: str, port: int, setting: str) -> socket.socket:
    """What is bound there; `::` is every address, of IPv4 too. Raises Misconfigured, which names the setting."""
    # Neither library says so well that it cannot, and asyncio, left to bind `::` itself, takes IPv6 alone.
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sys.platform == "linux":
            # Each connection inherits it; the servers of HTTP that we use wait for a reader for ever.
            bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(UNTAKEN_SECONDS * 1000))
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise Misconfigured(f"{setting}: cannot listen on {host}:{port}: {error.strerror or error}.") from error
    return bound
