"""Reading the parameters of a GraphQL request from whatever a client has sent. What cannot be read is Malformed."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import orjson
from starlette.datastructures import Headers
from starlette.types import Receive

from api.execution import Asked
from domain.errors import HooklineError

MAX_PARAMETERS = 100
CHARSETS = {"utf-8", "utf8", "us-ascii"}


class Malformed(HooklineError):
    """The request cannot be read; `status` is that of the answer."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.status = status


class HashAlone(Malformed):
    """A query's hash came in its place, as automatic persisted queries begin. We keep none."""

    def __init__(self) -> None:
        # These exact words make the clients of Apollo and urql send the query itself, and no hash from then on.
        super().__init__("PersistedQueryNotSupported")


class GoneAway(HooklineError):
    """The client left before it had sent its request."""


async def read_body(receive: Receive, headers: Headers, limit: int) -> bytes:
    """The body, of at most `limit` bytes. Raises Malformed (413) or GoneAway."""
    too_large = Malformed(f"The body may have {limit:,} bytes.", 413)
    declared = headers.get("content-length", "")
    if declared.isdigit() and (len(declared) > 18 or int(declared) > limit):
        raise too_large
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise GoneAway
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise too_large
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def check_content_type(headers: Headers) -> None:
    """Raises Malformed (415) for anything but uncompressed JSON in UTF-8."""
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Malformed("Send the request uncompressed.", 415)
    media_type, *parameters = (word.strip().lower() for word in headers.get("content-type", "").split(";"))
    if media_type != "application/json":
        raise Malformed("Send the request as application/json.", 415)
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip().strip('"') not in CHARSETS:
            raise Malformed("Send the request in UTF-8.", 415)


def from_body(body: bytes) -> Asked:
    """The request in a body. Raises Malformed."""
    if not body:
        raise Malformed("The body is empty; send a JSON object with a query.")
    return from_object(decoded(body, "The body"))


def from_query_string(query_string: bytes) -> Asked:
    """The request in a URL. Raises Malformed."""
    if query_string.count(b"&") >= MAX_PARAMETERS:
        raise Malformed(f"A URL may carry at most {MAX_PARAMETERS} parameters.")
    try:
        pairs = parse_qsl(query_string.decode("ascii"), keep_blank_values=True, errors="strict")
    except ValueError:  # UnicodeDecodeError is one
        raise Malformed("The URL's parameters cannot be read as UTF-8.") from None
    parameters: dict[str, Any] = dict(pairs)
    if len(parameters) < len(pairs):
        raise Malformed("A parameter is in the URL twice.")
    for name in ("variables", "extensions"):
        if parameters.get(name):
            parameters[name] = decoded(parameters[name].encode(), f"The parameter {name}")
        else:
            parameters.pop(name, None)
    return from_object({**parameters, "operationName": parameters.get("operationName") or None})


def decoded(text: bytes | str, what: str) -> Any:
    """JSON, decoded; orjson bounds the nesting, and takes neither bad UTF-8 nor lone surrogates. Raises Malformed."""
    try:
        return orjson.loads(text)
    except (orjson.JSONDecodeError, RecursionError) as error:
        if "surrogate in string" in str(error):
            # JSON.stringify() writes the half of an emoji that slice() leaves: to its sender, this looks like JSON.
            raise Malformed(f"{what} contains half of a character, perhaps from a text cut inside an emoji.") from None
        raise Malformed(f"{what} is not JSON in UTF-8.") from None


def from_object(value: Any) -> Asked:
    """The request in a decoded value: the parameters of GraphQL over HTTP, ignoring others. Raises Malformed."""
    if not isinstance(value, dict):
        raise Malformed("A request must be a JSON object; batches are not taken.")
    query = value.get("query")
    extensions = value.get("extensions")
    if not query and isinstance(extensions, dict) and "persistedQuery" in extensions:
        raise HashAlone
    if not isinstance(query, str) or not query.strip():
        raise Malformed("The request needs a query, as a string.")
    name = value.get("operationName")
    if name is not None and not isinstance(name, str):
        raise Malformed("operationName must be a string or null.")
    for parameter in ("variables", "extensions"):
        if value.get(parameter) is not None and not isinstance(value[parameter], dict):
            raise Malformed(f"{parameter} must be an object or null.")
    variables: Mapping[str, Any] = value.get("variables") or {}
    # Some clients send an empty name instead of none.
    return Asked(query, name or None, variables)
