"""Assignments: a claimed row with its secrets opened, ready to be made into a request."""

from collections.abc import Mapping
from typing import Any

import orjson

from domain.request import Assignment, Headers
from domain.vault import Vault
from domain.vocabulary import ContentType, EventType, HttpMethod


def assignment_of(vault: Vault, claimed: Mapping[str, Any]) -> Assignment:
    """All that the attempt needs. Raises CannotOpen if a key is missing."""
    return Assignment(
        delivery_uuid=str(claimed["uuid"]),
        number=claimed["attempt_number"],
        event_uuid=str(claimed["event_uuid"]),
        event_type=EventType(claimed["event_type"]),
        occurred_at=claimed["event_occurred_at"],
        document=claimed["document"],
        url=claimed["callback_url"],
        method=HttpMethod(claimed["method"]),
        content_type=ContentType(claimed["content_type"]),
        secret=_opened(vault, claimed, "sealed_secret"),
        previous_secret=_opened(vault, claimed, "sealed_previous_secret"),
        headers=_headers(vault, claimed),
    )


def _headers(vault: Vault, claimed: Mapping[str, Any]) -> Headers:
    text = _opened(vault, claimed, "sealed_headers")
    return tuple((name, value) for name, value in orjson.loads(text)) if text else ()


def _opened(vault: Vault, claimed: Mapping[str, Any], column: str) -> str | None:
    sealed: bytes | None = claimed[column]
    if sealed is None:
        return None
    row = str(claimed["webhook_uuid"])
    return vault.open(sealed, workspace_id=claimed["workspace_id"], row=row, field=column)
