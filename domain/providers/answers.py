"""What the HTTP clients of all networks share: asking, reading answers, waiting, and the server that a person names."""

import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from domain.errors import FaultCode
from domain.providers.interface import BadInput, Caller, ProviderUnreachable, TryLater
from domain.request import HIDDEN, SHORTEST_HIDDEN
from domain.retry import parse_retry_after
from domain.sender import CallFailed
from domain.vocabulary import AttemptOutcome

LONGEST_WAIT: Final = timedelta(hours=24)
SHORTEST_WAIT: Final = timedelta(seconds=1)
# For a rate limit that names no end: the windows of both networks are five minutes.
LIMIT_WAIT: Final = timedelta(minutes=5)
# After a failure that may have made the post: long enough for a slow server to finish what it had begun.
AMBIGUOUS_WAIT: Final = timedelta(seconds=30)
# How many characters of a network's text are shown and kept.
LONGEST_MESSAGE: Final = 300
LONGEST_LABEL: Final = 200
LONGEST_KEY: Final = 200
LONGEST_ADDRESS: Final = 2048

# Values in a document, counted by brackets and commas. Each takes about a hundred bytes of memory during the exchange
# with the network: 1 MiB of the smallest would take 30 MiB. Twenty statuses have a few thousand.
MOST_VALUES: Final = 50_000

NOT_AVAILABLE: Final = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class Reply:
    """A network's answer, its JSON decoded; `document` is None if it is not JSON, or has more than MOST_VALUES."""

    status: int
    headers: Mapping[str, str]
    document: Any
    # The credentials in the request: the answer may repeat them.
    secrets: Sequence[str] = field(default=(), repr=False)

    @property
    def ok(self) -> bool:
        return 200 <= self.status <= 299

    @property
    def temporary(self) -> bool:
        """Whether the same request may succeed later."""
        return self.status >= 500 or self.status in NOT_AVAILABLE

    @property
    def strange(self) -> bool:
        """Whether this is probably not from the network itself, which would name an error, but from a proxy that leads
        nowhere, or a bot check in front of the server (https://github.com/ihabunek/toot/issues/106)."""
        return 300 <= self.status <= 399 or (self.status in {403, 404, 405} and not self.at("error"))

    def at(self, *path: str) -> Any:
        """The value at this path of the document; None if there is none."""
        value = self.document
        for key in path:
            value = value.get(key) if isinstance(value, dict) else None
        return value

    def text(self, *path: str) -> str:
        """The string at this path; "" if there is none."""
        value = self.at(*path)
        return value if isinstance(value, str) else ""

    def words(self, *path: str) -> str:
        """The string at this path, fit to be shown: cut, in one line, and without the request's secrets."""
        text = self.text(*path)
        for secret in self.secrets:
            text = text.replace(secret, HIDDEN)
        return label(text, LONGEST_MESSAGE)


async def ask(
    caller: Caller,
    method: str,
    url: str,
    *,
    token: str | None = None,
    headers: Mapping[str, str] | None = None,
    body: Any = None,
    secret: str | None = None,
) -> Reply:
    """One request, `body` sent as JSON; `secret` is the credential in that body. Raises CallFailed."""
    own = {"Accept": "application/json", **(headers or {})}
    if token is not None:
        own["Authorization"] = f"Bearer {token}"
    answer = await caller.call(method, url, headers=own, json=body)
    lowered = {name.lower(): value for name, value in answer.headers}
    secrets = [text for text in (token, secret) if text is not None and len(text) >= SHORTEST_HIDDEN]
    return Reply(answer.status, lowered, _decoded(answer.body), secrets)


def _decoded(body: bytes) -> Any:
    if sum(map(body.count, (b"[", b"{", b","))) > MOST_VALUES:
        return None
    # RecursionError: JSON nested thousands deep.
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def label(value: Any, longest: int = LONGEST_LABEL) -> str:
    """A name as a network gives it, in one line that can be stored and shown; "" if it gives none."""
    if not isinstance(value, str):
        return ""
    line = " ".join("".join(map(_visible, value[: longest * 2])).split())
    return line if len(line) <= longest else line[: longest - 1] + "…"


def with_words(message: str, reply: Reply) -> str:
    """The message, with the network's own explanation if it gives one."""
    words = reply.words("message") or reply.words("error_description") or reply.words("error")
    return f"{message}: {words}" if words else f"{message}."


def _visible(character: str) -> str:
    # Halves of surrogate pairs and NUL cannot be stored; characters that change the direction would reorder the text
    # around them. Joiners stay: emoji and many scripts need them.
    unseen = unicodedata.category(character) in {"Cc", "Cs"} or unicodedata.bidirectional(character) in _TURNING
    return " " if unseen else character


_TURNING: Final = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})


def key(value: Any) -> str | None:
    """An id as a network gives it; None if it is not one that can be kept."""
    is_key = isinstance(value, str) and 0 < len(value) <= LONGEST_KEY and value.isascii() and value.isprintable()
    return value if is_key else None


def web_address(value: Any) -> str | None:
    """An address that may be shown as a link or a picture, unlike a hostile server's "javascript:"; None otherwise."""
    is_web = isinstance(value, str) and value.startswith(("https://", "http://")) and len(value) <= LONGEST_ADDRESS
    return value if is_web and value.isprintable() else None


def wait_asked_for(reply: Reply, now: datetime) -> timedelta | None:
    """How long the network asks us to wait, between one second and a day; None if it does not say.

    It says so in Retry-After or, only with 429, in X-RateLimit-Reset as a date (Mastodon), or in RateLimit-Reset as
    unix seconds (Bluesky) or as seconds from now (the IETF's draft).
    """
    wait = parse_retry_after(reply.headers.get("retry-after"), now)
    if wait is None and reply.status == 429:
        wait = _until_reset(reply.headers.get("x-ratelimit-reset") or reply.headers.get("ratelimit-reset"), now)
    return None if wait is None else min(max(wait, SHORTEST_WAIT), LONGEST_WAIT)


# A number of seconds below this is a wait, otherwise it is a time: no limit lasts for 30 years.
_EARLIEST_UNIX_TIME: Final = 1_000_000_000


def _until_reset(value: str | None, now: datetime) -> timedelta | None:
    if value is None:
        return None
    try:
        if not value.isdigit():
            reset = datetime.fromisoformat(value)
            return (reset if reset.tzinfo else reset.replace(tzinfo=UTC)) - now
        if int(value) < _EARLIEST_UNIX_TIME:
            return timedelta(seconds=int(value))
        return datetime.fromtimestamp(int(value), UTC) - now
    except (ValueError, OverflowError, OSError):
        return None


def try_later(reply: Reply, now: datetime, host: str) -> TryLater:
    """What to do about an answer that is `temporary`, or `strange`: it may be the page of an hour's maintenance."""
    if reply.status == 429:
        wait = wait_asked_for(reply, now) or LIMIT_WAIT
        return TryLater(wait, f"{host} limits how much may be posted just now.")
    wait = wait_asked_for(reply, now) or AMBIGUOUS_WAIT
    return TryLater(max(wait, AMBIGUOUS_WAIT), f"{host} is not working just now (status {reply.status}).")


_REASONS: Final = {
    AttemptOutcome.TIMED_OUT: "did not answer in time",
    AttemptOutcome.DNS_FAILED: "has a name that cannot be found",
    AttemptOutcome.TLS_FAILED: "has no valid certificate",
    AttemptOutcome.CONNECTION_FAILED: "cannot be reached",
    AttemptOutcome.ADDRESS_REFUSED: "has an address that is not allowed",
    AttemptOutcome.HTTP_ERROR: "is not working just now",
    AttemptOutcome.INVALID_RESPONSE: "did not answer as a web server should",
}


def failed_call(failure: CallFailed, host: str) -> TryLater:
    """What to do about a request without an answer."""
    reason = _REASONS.get(failure.kind, "cannot be reached")
    return TryLater(AMBIGUOUS_WAIT, f"{host} {reason}.")


def unreachable(failure: CallFailed, host: str) -> ProviderUnreachable | BadInput:
    """What to tell a person who adds an account on a server that does not answer."""
    message = f"{host} {_REASONS.get(failure.kind, 'cannot be reached')}."
    if failure.kind is AttemptOutcome.ADDRESS_REFUSED:
        return BadInput("server", message, FaultCode.ADDRESS_REFUSED)
    return ProviderUnreachable(message)


def server_url(given: str | None, default: str | None = None) -> str:
    """The base address of the server that a person named: "social.example", or an address, of which only scheme, host
    and port are kept. Raises BadInput."""
    address = (given or default or "").strip()
    if not address:
        raise BadInput("server", "Name the server, for example https://mastodon.social.", FaultCode.REQUIRED)
    if "://" not in address:
        address = f"https://{address}"
    try:
        split = urlsplit(address)
        host, port = split.hostname, split.port
    except ValueError:
        raise BadInput("server", "This is not the address of a server.") from None
    if split.scheme.lower() not in {"http", "https"} or not host or "@" in split.netloc or not _is_host(host):
        raise BadInput("server", "This is not the address of a server.")
    named = f"[{host}]" if ":" in host else host
    return f"{split.scheme.lower()}://{named}" + (f":{port}" if port is not None else "")


def _is_host(host: str) -> bool:
    return len(host) <= 253 and not any(each.isspace() or each in "\"<>\\^`{|}%'" for each in host)


def host_of(server: str) -> str:
    """The host (and port) of a server's base address, as a person names the server."""
    return server.partition("://")[2]


def required(value: str | None, field: str, message: str) -> str:
    """The value. Raises BadInput with the message if it is missing."""
    if not value:
        raise BadInput(field, message, FaultCode.REQUIRED)
    return value
