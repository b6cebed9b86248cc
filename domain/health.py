"""The health of an endpoint: when to spare it, and when to give up on it.

Timeouts and failed connections in a row open its circuit: nothing is sent for a while, then one delivery as a probe,
and so on with longer pauses until the endpoint answers. A webhook that did nothing but fail for days, or answered 410
Gone, is disabled. A period in which nothing was sent counts as at most one day of failing: an endpoint that gets a
delivery a week, and was down for two of them, may have been up in between.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from domain.database import rows
from domain.outcome import Outcome
from domain.vocabulary import AttemptOutcome

OPENS_AFTER = 5
FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(minutes=10)
# The longest wait of the schedule (domain/retry.py).
LONGEST_SILENCE = timedelta(days=1)
UNREACHABLE = frozenset(
    {
        AttemptOutcome.TIMED_OUT,
        AttemptOutcome.CONNECTION_FAILED,
        AttemptOutcome.DNS_FAILED,
        AttemptOutcome.TLS_FAILED,
    }
)


@dataclass(frozen=True, slots=True)
class Sign:
    """What one recorded attempt says about its endpoint."""

    webhook_id: int
    # Where it was sent: the failure of an earlier URL says nothing about the present one.
    callback_url: str
    outcome: Outcome
    # Whether it was the probe of an open circuit. A person's test passes an open circuit too, but is no probe: if it
    # fails, the pause does not grow.
    probed: bool
    # Whether the webhook was failing, or its circuit open, when the attempt was recorded.
    was_failing: bool


@dataclass(frozen=True, slots=True)
class Health:
    """A webhook's state after signs of its health were noted."""

    webhook_id: int
    workspace_id: int
    active: bool
    circuit_open_until: datetime | None
    # The value of a WebhookDisabledReason.
    disabled_reason: str | None
    # Whether this note disabled the webhook, or opened its circuit.
    was_disabled: bool
    was_opened: bool


async def note(signs: Sequence[Sign], failing_limit: timedelta) -> dict[int, Health]:
    """Note how attempts went; returns the webhooks whose state was touched, by id. Raises Unavailable.

    Most successes change nothing and cost nothing.
    """
    tallies: dict[tuple[int, str], _Tally] = {}
    for sign in signs:
        tallies.setdefault((sign.webhook_id, sign.callback_url), _Tally()).add(sign)
    telling = [(*place, tally) for place, tally in tallies.items() if tally.tells]
    if not telling:
        return {}
    noted = await rows(
        _NOTE,
        [webhook_id for webhook_id, _, _ in telling],
        [tally.succeeded for _, _, tally in telling],
        [tally.failed for _, _, tally in telling],
        [tally.answered for _, _, tally in telling],
        [tally.unreachable for _, _, tally in telling],
        [tally.probed for _, _, tally in telling],
        [tally.gone for _, _, tally in telling],
        failing_limit,
        OPENS_AFTER,
        FIRST_PAUSE,
        LONGEST_PAUSE,
        [callback_url for _, callback_url, _ in telling],
        LONGEST_SILENCE,
    )
    return {row["webhook_id"]: Health(**row) for row in noted}


@dataclass(slots=True)
class _Tally:
    """What one group of attempts says about one webhook."""

    succeeded: bool = False
    failed: bool = False
    answered: bool = False
    unreachable: int = 0
    probed: bool = False
    gone: bool = False
    was_failing: bool = False

    def add(self, sign: Sign) -> None:
        outcome = sign.outcome
        self.was_failing |= sign.was_failing
        self.probed |= sign.probed
        if outcome.kind is AttemptOutcome.INTERRUPTED:
            return
        if outcome.kind is AttemptOutcome.SUCCEEDED:
            self.succeeded = True
            return
        self.failed = True
        self.answered |= outcome.answer is not None
        self.unreachable += outcome.kind in UNREACHABLE
        self.gone |= outcome.gone

    @property
    def tells(self) -> bool:
        return self.failed or self.was_failing


# `bad` counts UNREACHABLE outcomes in a row. Any answer closes an open circuit; only its failed probe prolongs it.
_NOTE = """
WITH seen AS (
    SELECT * FROM unnest($1::bigint[], $2::bool[], $3::bool[], $4::bool[], $5::int[], $6::bool[], $7::bool[],
        $12::text[])
    AS seen (webhook_id, succeeded, failed, answered, unreachable, probed, gone, callback_url)
), was AS (
    SELECT w.id, w.active, w.circuit_open_until, seen.*,
        CASE
            WHEN seen.succeeded OR seen.answered THEN 0
            WHEN w.circuit_open_until IS NULL THEN least(w.unreachable_in_a_row + seen.unreachable, $9)
            WHEN seen.probed AND seen.unreachable > 0 THEN w.unreachable_in_a_row + 1
            ELSE w.unreachable_in_a_row
        END AS bad,
        CASE
            WHEN seen.succeeded THEN NULL
            WHEN seen.failed THEN
                coalesce(w.failing_since + greatest(now() - w.failed_at - $13::interval, interval '0'), now())
            ELSE w.failing_since
        END AS failing
    FROM seen JOIN webhook w ON w.id = seen.webhook_id AND w.callback_url = seen.callback_url
    ORDER BY w.id FOR UPDATE OF w
), verdict AS (
    SELECT *,
        CASE
            WHEN NOT active THEN NULL
            WHEN gone THEN 'gone'
            WHEN failed AND failing <= now() - $8::interval THEN 'failing'
        END AS disabled,
        CASE
            WHEN bad < $9 THEN NULL
            WHEN circuit_open_until IS NOT NULL AND NOT probed THEN circuit_open_until
            ELSE now() + least($10::interval * power(2, least(bad - $9, 10)), $11::interval)
        END AS open_until
    FROM was
), noted AS (
    UPDATE webhook w
    SET unreachable_in_a_row = v.bad, failing_since = v.failing, circuit_open_until = v.open_until,
        failed_at = CASE WHEN v.failed THEN now() ELSE w.failed_at END,
        active = w.active AND v.disabled IS NULL,
        disabled_reason = coalesce(v.disabled, w.disabled_reason),
        disabled_at = CASE WHEN v.disabled IS NULL THEN w.disabled_at ELSE now() END
    FROM verdict v WHERE w.id = v.id
    RETURNING w.id AS webhook_id, w.workspace_id, w.active, w.circuit_open_until, w.disabled_reason,
        v.disabled IS NOT NULL AS was_disabled, v.circuit_open_until IS NULL AND v.open_until IS NOT NULL AS was_opened
)
SELECT * FROM noted
"""
