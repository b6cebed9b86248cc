"""One door to the outside: domain/sender.py is the only production file that can open a connection to third parties."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PRODUCTION = ("api", "schema", "workers", "domain", "cli")
DOOR = ROOT / "domain" / "sender.py"

# A file that imports one of these means to open connections.
CLIENTS = {
    "aiodns", "ftplib", "http.client", "httpcore", "httpx", "imaplib", "nntplib", "poplib", "pycares", "requests",
    "smtplib", "telnetlib", "urllib.request", "urllib3", "websocket", "websockets", "xmlrpc.client",
}  # fmt: skip
# A call of one of these opens a connection, whatever the name of the module it comes from.
OPENERS = {
    "ClientSession", "TCPConnector", "UnixConnector", "GuardedConnector", "GuardedSocket", "ws_connect",
    "create_connection", "create_datagram_endpoint", "open_connection", "open_unix_connection",
    "create_unix_connection", "sock_connect", "connect_ex", "fromfd", "socketpair", "getaddrinfo", "gethostbyname",
    "urlopen",
}  # fmt: skip
# What some files may use all the same, because it leads to no third party.
OWN_SERVERS = {
    # The type of a request that uvicorn's server side reads.
    "api/uvicorn_protocols.py": {"websockets.http11", "websockets.http11.Request"},
    "domain/listening.py": {"socket.socket"},  # what our own processes listen on
    "cli/loading.py": {"import by name"},  # `api.main`, in the command that runs it
    # Asks our own API whether it is ready, and tests whether the port to listen on is free.
    "cli/programs.py": {"http.client", "socket.socket", "getaddrinfo"},
    "cli/servers.py": {"socket.socket"},  # the unix sockets of the private PostgreSQL and Redis
    # `hookline listen`: from the API to the person's own receiver, on their machine.
    "cli/talk.py": {"ClientSession", "ws_connect"},
    "cli/forward.py": {"ClientSession"},
}


def production_files() -> Iterator[Path]:
    for folder in PRODUCTION:
        yield from sorted((ROOT / folder).rglob("*.py"))


def doors(source: str) -> set[str]:
    """Everything in a file's text that can open a connection to the outside."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                found |= {alias.name for alias in names if _is_client(alias.name)}
            case ast.ImportFrom(module=str(module), names=names):
                dotted = {module, *(f"{module}.{alias.name}" for alias in names)}
                found |= {name for name in dotted if _is_client(name)}
                # A call by another name would not be seen below.
                found |= {alias.name for alias in names if alias.name in OPENERS and alias.asname}
            case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name)) if name in OPENERS:
                found.add(name)
            case ast.Call(func=ast.Attribute(value=ast.Name(id="socket" | "_socket"), attr="socket")):
                found.add("socket.socket")
            case ast.Call(func=ast.Attribute(value=ast.Name(id="aiohttp"), attr="request")):
                found.add("aiohttp.request")
            case ast.Call(func=ast.Name(id="__import__" | "import_module")):
                found.add("import by name")
    return found


def _is_client(name: str) -> bool:
    return any(name == client or name.startswith(client + ".") for client in CLIENTS)


@pytest.mark.parametrize("path", list(production_files()), ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_sender_opens_connections_to_the_outside(path: Path) -> None:
    if path != DOOR:
        assert doors(path.read_text()) - OWN_SERVERS.get(str(path.relative_to(ROOT)), set()) == set()


def test_the_sender_is_seen_as_a_door() -> None:
    assert {"ClientSession", "GuardedConnector", "GuardedSocket"} <= doors(DOOR.read_text())


@pytest.mark.parametrize(
    "source",
    [
        "import httpx",
        "import urllib.request",
        "from urllib import request",
        "from http import client as quiet",
        "import requests.sessions as innocent",
        "import socket\nsocket.socket()",
        "import socket\nsocket.create_connection(('a', 1))",
        "import asyncio\nasyncio.open_connection('a', 1)",
        "from asyncio import open_connection as walk\nwalk('a', 1)",
        "import aiohttp\naiohttp.ClientSession()",
        "import aiohttp as a\na.ClientSession()",
        "from aiohttp import ClientSession\nClientSession()",
        "from aiohttp import ClientSession as S\nS()",
        "import aiohttp\naiohttp.request('GET', 'http://a')",
        "loop.sock_connect(s, ('a', 1))",
        "def f():\n    import websockets",
        "__import__('httpx')",
    ],
)
def test_every_way_to_open_one_is_seen(source: str) -> None:
    assert doors(source)


@pytest.mark.parametrize(
    "source", ["import aiohttp\naiohttp.InvalidURL", "from urllib.parse import quote", "import asyncio"]
)
def test_what_opens_nothing_is_not_seen(source: str) -> None:
    assert not doors(source)
