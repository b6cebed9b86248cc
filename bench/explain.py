"""How PostgreSQL executes the hot statements beside a million finished deliveries: `python -m bench.explain`."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import asyncpg

from bench.place import Place, filled, prepared
from domain import database, deliveries, delivery_log, owed

HISTORY = 1_000_000
DUE = 10_000
LEASE = timedelta(seconds=30)
PAGE = delivery_log._SEEN.replace(
    "DELIVERIES", "SELECT * FROM delivery WHERE workspace_id = $1 ORDER BY id DESC LIMIT 51"
)


async def plans(place: Place) -> None:
    """Print the plans."""
    async with filled(place, "http://127.0.0.1:9/", DUE, webhooks=100, history=HISTORY) as connection:
        for name, value in database.credentials(place.settings.database_url)["server_settings"].items():
            await connection.execute(f"SET {name} = '{value}'")
        rooms = (LEASE, list(range(1, 11)), [10] * 10, [False] * 10)
        await _explain(connection, "What is due", owed._DUE_WEBHOOKS, 1000)
        await _explain(connection, "A claim of 100", deliveries._CLAIM_FOR, *rooms)
        ids = [row["id"] for row in await connection.fetch(deliveries._CLAIM_FOR, *rooms)]
        await _explain(connection, "The record of those", deliveries._RECORD, *_results(ids))
        await _explain(connection, "A page of the log", PAGE, 1)


def _results(ids: list[int]) -> list[list[Any]]:
    headers = json.dumps([["Content-Type", "application/json"]] * 10)
    row: tuple[Any, ...] = (
        1, "succeeded", timedelta(0), False, 5, "succeeded", None, "http://127.0.0.1:9/", "POST", headers, 200, headers,
        "ok", False, "http://127.0.0.1:9/",
    )  # fmt: skip
    return [ids, *([value] * len(ids) for value in row)]


async def _explain(connection: asyncpg.Connection, title: str, sql: str, *values: Any) -> None:
    transaction = connection.transaction()
    await transaction.start()
    plan = await connection.fetch("EXPLAIN (ANALYZE, BUFFERS OFF, TIMING OFF) " + sql, *values)
    # EXPLAIN ANALYZE has executed the statement: undo that.
    await transaction.rollback()
    print(f"{title}\n")
    print("\n".join(f"    {row[0][:150]}" for row in plan), end="\n\n")


if __name__ == "__main__":
    with prepared() as place:
        asyncio.run(plans(place))
