"""Dispatch: creating deliveries, with an event or because a person asks for one."""

from collections.abc import Mapping, Sequence
from typing import Any

from domain import audit, deliveries
from domain.audit import Note
from domain.changes import STATE, change_of
from domain.database import rows
from domain.errors import wrong_state
from domain.live import Order
from domain.queue import Owed
from domain.tables import Delivery, Event, Webhook
from domain.unit import Unit
from domain.vocabulary import FINISHED, EventType

Row = Mapping[str, Any]


async def create_with_event(unit: Unit, event_type: EventType, document: str, note: Note | None = None) -> None:
    """Store an event with one delivery for each active webhook that listens to it, in one statement.

    The same statement stores the audit note, if there is one: a round trip costs more than a row.
    """
    made = await rows(_CREATE_WITH_EVENT, unit.workspace.id, event_type, document, *(note or _NOTHING))
    _leave(unit, [row for row in made if row["id"] is not None])


async def create_test(unit: Unit, webhook: Webhook, event: Event) -> Delivery:
    """Create a test delivery of this event, even if the webhook is inactive or does not listen to such events."""
    made = await rows(_CREATE, event.id, webhook.id, webhook.max_attempts, True, None)
    _leave(unit, made)
    return await Delivery.get(id=made[0]["id"])


async def retry(unit: Unit, delivery_id: int) -> Delivery:
    """Send a finished delivery again, as a new delivery of the same event. Raises Refused."""
    original = await deliveries.locked(unit, delivery_id)
    webhook = await Webhook.get(id=original.webhook_id)
    if original.status not in FINISHED:
        wrong_state("This delivery has not finished yet; it will be tried again by itself.")
    if webhook.deleted_at:
        wrong_state("The webhook of this delivery has been deleted.")
    made = await rows(_CREATE, original.event_id, webhook.id, webhook.max_attempts, original.is_test, original.id)
    _leave(unit, made)
    delivery = await Delivery.get(id=made[0]["id"])
    await audit.record(unit, "delivery.retry", delivery, retry_of=str(original.uuid))
    return delivery


_NOTHING = (None,) * len(Note._fields)


def _leave(unit: Unit, made: Sequence[Row]) -> None:
    unit.announce(change_of(row, row["created_at"], Order.NEXT) for row in made)
    unit.deliver(Owed(row["id"], row["webhook_id"], row["workspace_id"]) for row in made)


# Returns one row for each delivery; if no webhook listens, one row with only the event.
_MAKE = """
WITH EVENT, made AS (
    INSERT INTO delivery (workspace_id, event_id, webhook_id, event_type, max_attempts, is_test, retry_of_id)
    SELECTION
    RETURNING *
), noted AS (
    INSERT INTO unsettled (delivery_id, from_change) SELECT id, 1 FROM made
)
SELECT STATE, e.uuid AS event_uuid, e.occurred_at AS event_occurred_at
FROM e LEFT JOIN made d ON true LEFT JOIN webhook w ON w.id = d.webhook_id
""".replace("STATE", STATE)

# clock_timestamp() and not now(), which is when the transaction began: a transaction that waited for a lock would stamp
# a newer state with an older time.
_CREATE_WITH_EVENT = _MAKE.replace(
    "EVENT",
    """e AS (
        INSERT INTO event (workspace_id, type, document, occurred_at) VALUES ($1, $2, $3, clock_timestamp()) RETURNING *
    ), audited AS (
        INSERT INTO audit_event (COLUMNS, occurred_at)
        SELECT $4::bigint, $5::bigint, $6::text, $7::text, $8::bigint, $9::jsonb, clock_timestamp()
        WHERE $6::text IS NOT NULL
    )""".replace("COLUMNS", audit.COLUMNS),
).replace(
    "SELECTION",
    """SELECT e.workspace_id, e.id, w.id, e.type, w.max_attempts, false, NULL
    FROM e JOIN webhook w ON w.workspace_id = e.workspace_id
    WHERE w.active AND w.deleted_at IS NULL AND e.type = ANY (w.events)""",
)
_CREATE = _MAKE.replace("EVENT", "e AS (SELECT * FROM event WHERE id = $1)").replace(
    "SELECTION",
    "SELECT workspace_id, id, $2::bigint, type, $3::smallint, $4::bool, $5::bigint FROM e",
)
