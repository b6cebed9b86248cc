"""Which web pages may speak with us."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers


def origin_allowed(headers: Headers, scheme: str, allowed: tuple[str, ...]) -> bool:
    """Whether a page of this origin may speak with us. A request without an origin does not come from a browser."""
    origin = headers.get("origin")
    if origin is None:
        return True
    secure = {"ws": "http", "wss": "https"}.get(scheme, scheme)
    try:
        own = urlsplit(f"{secure}://{headers.get('host', '')}")
        found = urlsplit(origin)
    except ValueError:  # half an IPv6 address
        return False
    if found.hostname and (found.scheme, found.netloc.lower()) == (own.scheme, own.netloc.lower()):
        return True
    return origin in allowed
