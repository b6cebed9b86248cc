"""The tables, as Tortoise models. Nouns and their verbs live in the files named after them; here is only their shape.

Lists are read newest first by `id`, which grows with creation. What Tortoise cannot spell (partial indexes, defaults in
the database) is made by the migrations.
"""

from domain.tables.delivering import Attempt, Delivery, Event, Replay, Unsettled, Webhook
from domain.tables.people import AuditEvent, Token, Workspace
from domain.tables.publishing import Account, Post, PostAccount, PostChange

__all__ = [
    "Account", "Attempt", "AuditEvent", "Delivery", "Event", "Post", "PostAccount", "PostChange", "Replay", "Token",
    "Unsettled", "Webhook", "Workspace",
]  # fmt: skip
