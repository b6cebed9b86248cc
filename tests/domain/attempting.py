"""A delivery that is owed, and one attempt of it: claimed, recorded, or never ended."""

from datetime import timedelta
from typing import Any

from domain import deliveries
from domain.database import rows
from domain.live import Change
from domain.outcome import Answer, Delivered, Failed, Outcome
from domain.request import OutgoingRequest
from domain.tables import Delivery
from domain.unit import Actor, Domain
from domain.verdicts import result_of
from domain.vocabulary import AttemptOutcome, HttpMethod
from tests.domain.doing import happen, listen

LEASE = timedelta(seconds=30)
TOOK = timedelta(milliseconds=12)
SENT = OutgoingRequest("https://example.com/in", HttpMethod.POST, (("X-Hookline-Attempt", "1"),), b"{}")
WELL = Delivered(Answer(200, (), "ok", False), TOOK)
ILL = Failed(AttemptOutcome.HTTP_ERROR, "The receiver answered 500.", TOOK, Answer(500, (), "no", False))


async def owe(domain: Domain, admin: Actor, **webhook: Any) -> Delivery:
    """A delivery that is due now."""
    await listen(domain, admin, **webhook)
    event = await happen(domain, admin)
    return await Delivery.get(event_id=event.id)


async def claim(*wanted: Delivery) -> list[Any]:
    return list(await deliveries.claim([delivery.id for delivery in wanted], LEASE))


async def record(row: Any, outcome: Outcome) -> list[Change]:
    return deliveries.ended(await deliveries.record([result_of(row, SENT, outcome, 0.0)]))


async def now_due(delivery: Delivery) -> None:
    await rows("UPDATE delivery SET due_at = now() WHERE id = $1", delivery.id)


async def lease_ran_out(delivery: Delivery) -> None:
    await rows("UPDATE delivery SET leased_until = now() - interval '1 second' WHERE id = $1", delivery.id)
    await rows("UPDATE unsettled SET check_at = now() WHERE delivery_id = $1", delivery.id)
