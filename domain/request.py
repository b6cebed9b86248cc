"""The exact bytes and headers of an attempt, and which headers a person may add to them. Pure."""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from urllib.parse import quote_plus

from yarl import URL

from domain import signing
from domain.errors import Fault, FaultCode
from domain.payloads import instant
from domain.version import USER_AGENT
from domain.vocabulary import ContentType, EventType, HttpMethod

Headers = tuple[tuple[str, str], ...]

MOST_HEADERS = 20
LONGEST_NAME = 100
LONGEST_VALUE = 1024
# Characters of a callback URL, and of what the log keeps of it.
LONGEST_URL = 2048
# A document of this many characters is encoded once, and shared by all deliveries that follow.
LARGE = 32 * 1024
HIDDEN = "(hidden)"
# Secrets of this length or more are hidden if an answer repeats them; hiding shorter ones would garble the answer.
SHORTEST_HIDDEN = 4

# These belong to a connection and not to a request (RFC 9110, section 7.6.1), or decide how a message is framed.
_HOP_BY_HOP = {"connection", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade", "http2-settings"}
_FRAMING = {"content-length", "content-encoding", "expect", "accept-encoding"}
# These would pretend that the request came from elsewhere, or went to another host.
_ORIGIN = {"host", "cookie", "forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip"}
# Metadata services of cloud machines want to see these before they hand out credentials.
_METADATA = {"metadata", "metadata-flavor", "metadata-token", "x-metadata-token", "x-google-metadata-request"}
# Ours, as `build` spells them.
_OURS = frozenset({
    "Content-Type", "User-Agent", "X-Hookline-Event", "X-Hookline-Occurred-At", "X-Hookline-Delivery",
    "X-Hookline-Attempt", "webhook-id", "webhook-timestamp", "webhook-signature", "X-Signature", "X-Signature-Previous",
})  # fmt: skip
_RESERVED = frozenset(_HOP_BY_HOP | _FRAMING | _ORIGIN | _METADATA | {name.lower() for name in _OURS})
_RESERVED_PREFIXES = ("proxy-", "x-forwarded-", "x-aws-ec2-metadata-", "x-hookline-", "webhook-")

# What quote_plus makes of each byte: calling it with whole documents takes twice as long.
_FORM = [quote_plus(bytes([byte])) for byte in range(256)]

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
_PRINTABLE = re.compile(r"[\x20-\x7e]*")
_SECRET_WORDS = (
    "auth",
    "token",
    "key",
    "secret",
    "passw",
    "pwd",
    "cookie",
    "signature",
    "credential",
    "session",
    "jwt",
)
_SECRET_VALUE = re.compile(r"(bearer|basic|digest|token)\s", re.IGNORECASE)


@dataclass(slots=True)
class Assignment:
    """All that one attempt needs, as the claim reads it from the database."""

    delivery_uuid: str
    number: int
    event_uuid: str
    event_type: EventType
    occurred_at: datetime
    document: str = field(repr=False)
    url: str
    method: HttpMethod = HttpMethod.POST
    content_type: ContentType = ContentType.JSON
    secret: str | None = field(default=None, repr=False)
    # Also signs, while a rotation overlaps.
    previous_secret: str | None = field(default=None, repr=False)
    headers: Headers = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class OutgoingRequest:
    """A request as it goes out; the sender adds what the connection needs (Host, Content-Length)."""

    url: str
    method: HttpMethod
    headers: Headers = field(repr=False)
    body: bytes = field(repr=False)


def build(assignment: Assignment, now: datetime) -> OutgoingRequest:
    """The request of one attempt. `webhook-id` is the event's uuid: the same for all attempts, resends and replays."""
    body = encode(assignment.document, assignment.content_type)
    message_id = assignment.event_uuid
    timestamp = int(now.timestamp())
    headers = [
        ("Content-Type", assignment.content_type.value),
        ("User-Agent", USER_AGENT),
        ("X-Hookline-Event", assignment.event_type.value),
        ("X-Hookline-Occurred-At", instant(assignment.occurred_at)),
        ("X-Hookline-Delivery", assignment.delivery_uuid),
        ("X-Hookline-Attempt", str(assignment.number)),
        ("webhook-id", message_id),
        ("webhook-timestamp", str(timestamp)),
    ]
    if assignment.secret is not None:
        headers += _signatures(assignment.secret, assignment.previous_secret, message_id, timestamp, body)
    if assignment.headers:
        headers += [header for header in assignment.headers if not _is_reserved(header[0])]
    return OutgoingRequest(assignment.url, assignment.method, tuple(headers), body)


def encode(document: str, content_type: ContentType) -> bytes:
    """The body that carries a document."""
    return _encoded(document, content_type) if len(document) < LARGE else _encoded_once(document, content_type)


def _encoded(document: str, content_type: ContentType) -> bytes:
    if content_type is ContentType.FORM:
        return ("payload=" + "".join([_FORM[byte] for byte in document.encode()])).encode("ascii")
    return document.encode()


# An event may have a thousand webhooks, whose bodies are in flight together. Without this, each would be a copy, and
# encoding a form of 500 kB takes 50 ms.
_encoded_once = lru_cache(maxsize=2)(_encoded)


def visible_url(request: OutgoingRequest) -> str:
    """The URL as the log shows it: as it goes out, in yarl's normal form and without its fragment."""
    try:
        url = str(URL(request.url).with_fragment(None))
    except ValueError:
        return request.url  # it goes nowhere
    # Percent-encoding may have made it longer than the log has room for.
    return url[:LONGEST_URL]


def visible_headers(request: OutgoingRequest) -> list[tuple[str, str]]:
    """The headers as the log shows them: ours in full, a person's own through `hide`."""
    return [(name, value if name in _OURS else hide(name, value)) for name, value in request.headers]


def hidden_values(request: OutgoingRequest) -> list[str]:
    """The values that `visible_headers` hides, in every spelling that a receiver may send back.

    The longest come first, so that no part of one stays visible.
    """
    hidden = [value for name, value in request.headers if name not in _OURS and hide(name, value) != value]
    # Also without a scheme such as Bearer.
    parts = {part for value in hidden for part in (value, value.rpartition(" ")[2]) if len(part) >= SHORTEST_HIDDEN}
    return sorted({spelling for part in parts for spelling in _spellings(part)}, key=len, reverse=True)


def hide(name: str, value: str) -> str:
    """The value of a person's own header, or a stand-in if its name or its value sounds secret."""
    return HIDDEN if _sounds_secret(name) or _SECRET_VALUE.match(value) else value


def keep_hidden(headers: Headers, stored: Headers) -> Headers:
    """These headers, with the stored value wherever a client sends back the stand-in that `hide` showed."""
    secrets = {name.lower(): value for name, value in stored if hide(name, value) == HIDDEN}
    return tuple((name, secrets.get(name.lower(), value) if value == HIDDEN else value) for name, value in headers)


def _spellings(value: str) -> Iterator[str]:
    yield value
    yield (escaped := json.dumps(value)[1:-1])
    # PHP also escapes slashes; Go and Rails escape what has a meaning in HTML.
    yield escaped.replace("/", "\\/")
    yield re.sub("[<>&]", lambda found: f"\\u{ord(found[0]):04x}", escaped)


def check_headers(headers: Sequence[tuple[str, str]]) -> list[Fault]:
    """Everything that is wrong with the headers that a person wants to add; paths are ("0", "name") and the like."""
    if len(headers) > MOST_HEADERS:
        return [Fault(FaultCode.LIMIT_REACHED, f"A webhook may have at most {MOST_HEADERS} headers of its own.")]
    faults: list[Fault] = []
    seen: set[str] = set()
    for index, (name, value) in enumerate(headers):
        faults += _check_name(name, seen, (str(index), "name"))
        faults += _check_value(value, (str(index), "value"))
        seen.add(name.lower())
    return faults


def _signatures(secret: str, previous: str | None, message_id: str, timestamp: int, body: bytes) -> Headers:
    standard = signing.standard_signature(signing.standard_key(secret), message_id, timestamp, body)
    plain = ("X-Signature", signing.hex_signature(secret.encode(), body))
    if previous is None:
        return (("webhook-signature", standard), plain)
    older = signing.standard_signature(signing.standard_key(previous), message_id, timestamp, body)
    return (
        ("webhook-signature", f"{standard} {older}"),
        plain,
        ("X-Signature-Previous", signing.hex_signature(previous.encode(), body)),
    )


def _check_name(name: str, seen: set[str], path: tuple[str, ...]) -> list[Fault]:
    if not name:
        return [Fault(FaultCode.REQUIRED, "A header needs a name.", path)]
    if len(name) > LONGEST_NAME:
        return [Fault(FaultCode.TOO_LONG, f"A header's name may have at most {LONGEST_NAME} characters.", path)]
    if not _TOKEN.fullmatch(name):
        return [Fault(FaultCode.INVALID, "A header's name may contain only letters, digits and !#$%&'*+-.^_`|~.", path)]
    if _is_reserved(name):
        return [Fault(FaultCode.INVALID, f"The header {name} cannot be set by a webhook.", path)]
    if name.lower() in seen:
        return [Fault(FaultCode.TAKEN, f"The header {name} is there more than once.", path)]
    return []


def _check_value(value: str, path: tuple[str, ...]) -> list[Fault]:
    if value == HIDDEN:
        message = (
            f"No secret value is stored for a header of this name, so {HIDDEN} cannot keep one. Give the value itself."
        )
        return [Fault(FaultCode.INVALID, message, path)]
    if len(value) > LONGEST_VALUE:
        return [Fault(FaultCode.TOO_LONG, f"A header's value may have at most {LONGEST_VALUE:,} characters.", path)]
    if not _PRINTABLE.fullmatch(value) or value != value.strip():
        message = "A header's value must be printable ASCII, with no space at either end."
        return [Fault(FaultCode.INVALID, message, path)]
    return []


@lru_cache(maxsize=1024)
def _is_reserved(name: str) -> bool:
    # CGI, and so PHP, does not distinguish X_Signature from X-Signature (RFC 3875, section 4.1.18).
    lower = name.lower().replace("_", "-")
    return lower in _RESERVED or lower.startswith(_RESERVED_PREFIXES)


@lru_cache(maxsize=1024)
def _sounds_secret(name: str) -> bool:
    lower = name.lower()
    return any(word in lower for word in _SECRET_WORDS)
