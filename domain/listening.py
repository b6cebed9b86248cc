"""Where our own processes listen."""

import socket
import sys
from typing import Final

from domain.errors import Misconfigured

# A client that reads nothing of an answer for this long has gone, or wants to fill our memory.
UNTAKEN_SECONDS: Final = 60.0


def listener(host: str, port: int, setting: str) -> socket.socket:
    """A socket bound to this host and port; `::` is every address, IPv4 too. Raises Misconfigured with the setting."""
    # Bound here, because the servers' own errors are less clear, and asyncio would bind `::` to IPv6 alone.
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if sys.platform == "linux":
            # Each connection inherits it; the HTTP servers that we use would wait for a reader for ever.
            bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(UNTAKEN_SECONDS * 1000))
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise Misconfigured(f"{setting}: cannot listen on {host}:{port}: {error.strerror or error}.") from error
    return bound
