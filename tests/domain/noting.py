"""Attempts that end in one way or another, noted as signs of an endpoint's health."""

from datetime import timedelta

from domain import health
from domain.health import Health, Sign
from domain.outcome import Answer, Blocked, Delivered, Failed, Outcome
from domain.tables import Webhook
from domain.vocabulary import AttemptOutcome

LIMIT = timedelta(days=5)
TOOK = timedelta(milliseconds=1)
SLACK = timedelta(seconds=10)
WELL = Delivered(Answer(200, (), "", truncated=False), TOOK)
ERROR = Failed(AttemptOutcome.HTTP_ERROR, "500", TOOK, Answer(500, (), "", truncated=False))
GONE = Failed(AttemptOutcome.HTTP_ERROR, "410", TOOK, Answer(410, (), "", truncated=False), gone=True)
TIMED_OUT = Failed(AttemptOutcome.TIMED_OUT, "slow", TOOK)
OURS = Failed(AttemptOutcome.INTERRUPTED, "no sockets", TOOK)
BLOCKED = Blocked("no", TOOK)


async def note(webhook: Webhook, *outcomes: Outcome) -> Health | None:
    """Note attempts that were claimed just now and ended together."""
    return (await health.note([await sign(webhook, outcome) for outcome in outcomes], LIMIT)).get(webhook.id)


async def sign(webhook: Webhook, outcome: Outcome) -> Sign:
    await webhook.refresh_from_db()
    is_open = webhook.circuit_open_until is not None
    return Sign(
        webhook.id,
        webhook.callback_url,
        outcome,
        probed=is_open,
        was_failing=is_open or webhook.failing_since is not None,
    )
