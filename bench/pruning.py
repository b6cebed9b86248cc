"""What removing a million old deliveries does to new ones that are made meanwhile."""

import asyncio
import time
from statistics import mean

from bench.client import Api, api, record_events, session, webhook
from bench.documents import document
from bench.figures import Figure, percentile
from bench.latency import arrivals, waits
from bench.place import Place, connect, drained, receiver, workers

OLD = 1_000_000
RATE = 200
SECONDS = 15
# In turns, so that other load on the machine affects both.
TURNS = (False, True, True, False)
ROWS = ("p99_while_pruning", "pruned_per_second")
DAYS_90, TEN_YEARS = str(90 * 86400), str(3650 * 86400)


def pruning(place: Place) -> list[Figure]:
    """From the mutation's transaction to the request at the receiver, beside workers that prune and that do not."""
    took: dict[bool, list[float]] = {True: [], False: []}
    removed: list[float] = []
    with api(place) as to:
        asyncio.run(_grow_old(place))
        for prunes in TURNS:
            keep = DAYS_90 if prunes else TEN_YEARS
            told = {"HOOKLINE_KEEP_DELIVERIES": keep, "HOOKLINE_KEEP_ATTEMPT_BODIES": keep}
            with receiver() as url, workers(place, 1, **told):
                waited, removed_per_second = asyncio.run(_delivered(place, to, url, prunes=prunes))
            took[prunes] += waited
            if prunes:
                removed.append(removed_per_second)
    beside, without = (percentile(took[prunes], 0.99) for prunes in (True, False))
    return [
        Figure("p99_while_pruning", beside / without, "ratio",
               f"p99 of {RATE} deliveries/s while {OLD:,} old ones are removed ({beside:.1f} ms), to without "
               f"({without:.1f} ms)", 2),
        Figure("pruned_per_second", mean(removed), "1/s", "old deliveries removed meanwhile, with event and attempt",
               better="higher"),
    ]  # fmt: skip


async def _delivered(place: Place, to: Api, url: str, *, prunes: bool) -> tuple[list[float], float]:
    """Milliseconds that each delivery took, and old ones removed a second. Begins once pruning has begun."""
    connection = await connect(place)
    # A sweep that has just ended would rest for ten minutes.
    await connection.execute("UPDATE sweep SET position = 0, rest_until = now()")
    while prunes and not await connection.fetchval("SELECT position FROM sweep WHERE name = 'deliveries'"):
        await asyncio.sleep(0.1)
    async with session(to) as client:
        made = await webhook(client, to, url)
        old, began = await connection.fetchval(_OLD), time.monotonic()
        await record_events(client, to, RATE, SECONDS, prefix=f"{made} ")
        await drained(connection)
        removed_per_second = (old - await connection.fetchval(_OLD)) / (time.monotonic() - began)
        await connection.execute("UPDATE webhook SET active = false")
    await connection.close()
    return await waits(place, await arrivals(url), url), removed_per_second


async def _grow_old(place: Place) -> None:
    """Make a million deliveries of a year ago, with an event and an attempt each, of a webhook that is deleted."""
    connection = await connect(place)
    for statement, values in ((_WEBHOOK, ()), (_EVENTS, (document(1000), OLD)), (_DELIVERIES, ()), (_ATTEMPTS, ())):
        await connection.execute(statement, *values)
    for table in ("event", "delivery", "attempt"):
        await connection.execute(f"VACUUM ANALYZE {table}")
    await connection.close()


_OLD = "SELECT count(*) FROM delivery WHERE finished_at < now() - interval '91 days'"
_WEBHOOK = """
INSERT INTO webhook (uuid, workspace_id, name, callback_url, method, content_type, max_attempts, active, events,
    unreachable_in_a_row, created_at, updated_at, deleted_at)
SELECT gen_random_uuid(), min(id), 'old', 'http://example.com/', 'POST', 'application/json', 10, false, '{}', 0, now(),
    now(), now() FROM workspace
"""
_EVENTS = """
INSERT INTO event (workspace_id, type, document, occurred_at)
SELECT (SELECT min(id) FROM workspace), 'post.published', $1, now() - interval '1 year' FROM generate_series(1, $2::int)
"""
_DELIVERIES = """
INSERT INTO delivery (workspace_id, event_id, webhook_id, event_type, max_attempts, status, attempt_count,
    attempt_number, change, created_at, finished_at)
SELECT e.workspace_id, e.id, w.id, 'post.published', 10, 'succeeded', 1, 1, 3, e.occurred_at, e.occurred_at
FROM event e, webhook w WHERE w.name = 'old'
"""
_ATTEMPTS = """
INSERT INTO attempt (delivery_id, number, started_at, duration_ms, outcome, request_url, request_method,
    request_headers, response_status, response_body)
SELECT id, 1, created_at, 5, 'succeeded', 'http://example.com/', 'POST', '[]', 200, 'ok' FROM delivery
"""
