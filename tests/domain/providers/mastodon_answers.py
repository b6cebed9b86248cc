"""Scripted answers of a server with the Mastodon API, and a text on its way to it."""

import json
from typing import Any

from domain.providers.interface import PublishingAccount
from domain.providers.mastodon import Mastodon
from domain.sender import Sender
from tests.providers.tries import Tries
from tests.receiver import Answer, Receiver

VERIFY = "/api/v1/accounts/verify_credentials"
LIST = "/api/v1/accounts/7/statuses"
POST = "/api/v1/statuses"
ACCOUNT = {
    "id": "7",
    "username": "alice",
    "display_name": "Alice",
    "url": "https://social.example/@alice",
    "avatar": "https://social.example/a.png",
}
GUARD = Answer(403, {"Content-Type": "text/html"}, "<!DOCTYPE html><title>Just a moment...</title>")


def said(document: Any, status: int = 200, **headers: str) -> Answer:
    """A JSON answer."""
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, json.dumps(document))


def status(number: int, text: str = "Hello") -> dict[str, Any]:
    """A status as servers return it."""
    return {"id": str(number), "content": f"<p>{text}</p>", "url": f"https://social.example/@alice/{number}"}


def on_its_way(sender: Sender, receiver: Receiver, text: str = "Hello") -> Tries:
    """A text on its way to the account."""
    server = receiver.url.rstrip("/")
    account = PublishingAccount("7@social.example", "alice", {}, {"server": server, "token": "secret"})
    return Tries(Mastodon(), sender, account, text)


def posted(receiver: Receiver) -> list[Any]:
    """The bodies of all statuses that were posted."""
    return [json.loads(each.body) for each in receiver.requests if (each.method, each.path) == ("POST", POST)]
