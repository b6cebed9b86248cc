"""Which HTTP status an answer has: the one table.

If the document or the variables are at fault, the audits of `graphql-http` want 200 under application/json, and 400
under application/graphql-response+json. Newer drafts of the specification want 422 and 294: change it here.
"""

from typing import Final

from api.execution import Outcome

GRAPHQL: Final = "application/graphql-response+json"
JSON: Final = "application/json"
EVENT_STREAM: Final = "text/event-stream"

# Of a well-formed request that could not be executed, whatever the media type.
REFUSED: Final = {
    "UNAUTHENTICATED": 401,
    "FORBIDDEN": 403,
    "QUERY_TOO_COMPLEX": 400,
    "RATE_LIMITED": 429,
    "UNAVAILABLE": 503,
    "TIMED_OUT": 503,
    "INTERNAL": 500,
}
# Of a document or variables at fault.
AT_FAULT: Final = {GRAPHQL: 400, JSON: 200}


def status_of(outcome: Outcome, media_type: str) -> int:
    """The status of an answer under this media type."""
    codes = outcome.codes()
    if outcome.executed:
        # No client may believe that a change was made if it was not: whatever else is in the answer, this is no 200.
        if codes & {"UNAVAILABLE", "TIMED_OUT"}:
            return 503
        return 500 if outcome.data is None and "INTERNAL" in codes else 200
    found = [REFUSED[code] for code in codes if code in REFUSED]
    return max(found) if found else AT_FAULT[media_type]


def negotiate(accept: str | None) -> str | None:
    """The media type to answer in: what the client prefers among ours; None if it accepts none of them.

    Clients that say nothing, or accept everything, are older than GraphQL's own media type: they get plain JSON.
    """
    if accept is None or not accept.strip():
        return JSON
    wishes = sorted(_wishes(accept), key=lambda wish: -wish[1])
    for media_type, quality in wishes:
        if quality <= 0:
            continue
        if media_type in {GRAPHQL, JSON, EVENT_STREAM}:
            return media_type
        if media_type in {"*/*", "application/*"}:
            return JSON
    return None


def takes_event_stream(accept: str | None) -> bool:
    """Whether the client names event streams among what it accepts, though it may prefer something else."""
    return any(media_type == EVENT_STREAM and quality > 0 for media_type, quality in _wishes(accept or ""))


def _wishes(accept: str) -> list[tuple[str, float]]:
    wishes = []
    for part in accept.split(","):
        media_type, *parameters = (word.strip().lower() for word in part.split(";"))
        quality = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    quality = float(parameter[2:])
                except ValueError:
                    quality = 0.0
            elif parameter.startswith("charset=") and parameter[8:].strip('"') not in {"utf-8", "utf8"}:
                quality = 0.0
        wishes.append((media_type, quality))
    return wishes
