"""The built-in receiver of `hookline up`: shows a newcomer what a receiver gets, and checks it as any receiver should.

It listens on loopback alone, in the process of `hookline up` itself, and ends with it.
"""

import hmac
import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from aiohttp import web

from cli.output import Output
from domain import signing

HOST: Final = "127.0.0.1"
# This path distinguishes its own URL from one that a person has given its webhook.
PATH: Final = "/built-in-receiver"
NAME: Final = "receiver"
MAX_BODY_BYTES: Final = 4 * 1024 * 1024
CLOSE_SECONDS: Final = 1.0
LONGEST_SHOWN: Final = 60
# During the overlap of a rotation, the second one is made with the old secret (docs/receiving.md).
SIGNATURES: Final = ("X-Signature", "X-Signature-Previous")


class Receiver:
    """Prints a line for each delivery: genuine, or FORGED."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._secret = b""
        self._runner: web.AppRunner | None = None

    async def listen(self, secret: str, port: int = 0) -> str:
        """Listen on this port, or on a free one if it is taken; returns the URL. `secret` is the webhook's."""
        self._secret = secret.encode()
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_route("*", "/{path:.*}", self._take)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=CLOSE_SECONDS)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, HOST, port).start()
        except OSError:
            await web.TCPSite(self._runner, HOST, 0).start()
        return f"http://{HOST}:{self._runner.addresses[0][1]}{PATH}"

    async def close(self) -> None:
        """Stop listening. Does nothing if it does not listen."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()
        event = beginning(request.headers.get("X-Hookline-Event", "a request that names no event"))
        if not is_genuine(self._secret, body, request.headers):
            self._output.log(NAME, f"FORGED {event}: not signed with the secret of the built-in receiver")
            return web.Response(status=401, text="This is not signed with the secret of the built-in receiver.\n")
        self._output.log(NAME, f"genuine {event} {summary(_data_in(body, request.content_type))}".rstrip())
        return web.Response(text="Thank you.\n")


def is_genuine(secret: bytes, body: bytes, headers: Mapping[str, str]) -> bool:
    """Whether one of the signatures is that of the body's raw bytes."""
    expected = signing.hex_signature(secret, body).encode()
    given = [headers.get(name, "").encode(errors="replace") for name in SIGNATURES]
    return any(hmac.compare_digest(expected, signature) for signature in given)


def summary(data: Mapping[str, Any]) -> str:
    """What a person recognises the subject of an event by: the text of a post, the name of an account."""
    match data:
        case {"versions": [{"content": [{"body": str(text)}, *_]}, *_]}:
            return f'"{beginning(text)}"'
        case {"name": str(text)}:
            return f'"{beginning(text)}"'
        case _:
            return ""


def beginning(text: str) -> str:
    """The first words of a text, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_SHOWN else line[: LONGEST_SHOWN - 3] + "..."


def port_in(url: str) -> int | None:
    """The port in a URL of the built-in receiver; None if the URL is another receiver's."""
    try:
        parts = urlsplit(url)
        is_ours = (parts.scheme, parts.hostname, parts.path) == ("http", HOST, PATH)
        return parts.port if is_ours else None
    except ValueError:
        return None


def _data_in(body: bytes, content_type: str) -> Mapping[str, Any]:
    try:
        text = body.decode()
        if content_type == "application/x-www-form-urlencoded":
            text = parse_qs(text)["payload"][0]
        data = json.loads(text)["data"]
    except (ValueError, KeyError, TypeError):
        return {}
    return data if isinstance(data, dict) else {}
