"""What becomes known about a request while it is answered: for its log line, and for those who ask about its id."""

import secrets
from dataclasses import dataclass, field
from typing import Any

from starlette.types import Scope

from api.execution import Prepared

# In characters. Clients choose the name of an operation.
LONGEST_NAME = 60


@dataclass
class Facts:
    """The facts of one request. No secret ever becomes one."""

    address: str
    request_id: str = field(default_factory=lambda: secrets.token_hex(8))
    token_id: int | None = None
    kind: str | None = None
    operation: str | None = None
    cost: int | None = None
    codes: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, scope: Scope) -> "Facts":
        """The facts of this request, begun when they are first asked for."""
        found: Facts | None = scope.get("hookline.facts")
        if found is None:
            client = scope.get("client")
            found = scope["hookline.facts"] = cls(address=client[0] if client else "local")
        return found

    def note(self, prepared: Prepared) -> None:
        """Note what the request asks for."""
        self.kind = prepared.kind
        name = prepared.node.name
        self.operation = name.value[:LONGEST_NAME] if name else None
        self.cost = prepared.cost

    def told(self) -> dict[str, Any]:
        """The facts, for a log line; None for what is not known."""
        return {
            "request_id": self.request_id,
            "address": self.address,
            "token_id": self.token_id,
            "kind": self.kind,
            "operation": self.operation,
            "cost": self.cost,
            "codes": sorted(self.codes) or None,
        }
