"""Assignments: a claimed row with its secrets opened, ready to be made into a request."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import orjson

from domain.request import Assignment, Headers
from domain.vault import Vault
from domain.vocabulary import ContentType, EventType, HttpMethod

# Opened values that are kept, so that a busy webhook's secret is not opened for every delivery.
KEPT = 10_000


class Assignments:
    """Opens the secrets of claimed rows. Raises CannotOpen where a key is missing."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        # By all that a sealed value is bound to: it opens nowhere else, from here neither.
        self._opened: OrderedDict[tuple[bytes, int, str, str], str] = OrderedDict()

    def of(self, claimed: Mapping[str, Any]) -> Assignment:
        """All that the attempt needs."""
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
            secret=self._open(claimed, "sealed_secret"),
            previous_secret=self._open(claimed, "sealed_previous_secret"),
            headers=self._headers(claimed),
        )

    def _headers(self, claimed: Mapping[str, Any]) -> Headers:
        text = self._open(claimed, "sealed_headers")
        return tuple((name, value) for name, value in orjson.loads(text)) if text else ()

    def _open(self, claimed: Mapping[str, Any], column: str) -> str | None:
        sealed: bytes | None = claimed[column]
        if sealed is None:
            return None
        workspace_id, row = claimed["workspace_id"], str(claimed["webhook_uuid"])
        key = (sealed, workspace_id, row, column)
        opened = self._opened.get(key)
        if opened is None:
            opened = self._vault.open(sealed, workspace_id=workspace_id, row=row, field=column)
            self._opened[key] = opened
            if len(self._opened) > KEPT:
                self._opened.popitem(last=False)
        return opened
