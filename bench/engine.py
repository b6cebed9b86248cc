"""The delivery engine while it works off a backlog, against a bare aiohttp loop that sends the same."""

import asyncio
import json
import os
import subprocess
import sys
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from asyncpg import Connection

from bench.figures import Figure
from bench.place import Place, cpu_seconds, drained, filled, receiver, workers

DELIVERIES = 20_000
# Bytes of a document.
SIZE = 1000
BARE_CONCURRENCY = 100
BACKLOG_ROWS = ("deliveries_per_second", "cpu_per_delivery", "deliveries_per_second_absolute")
VARIATION_ROWS = (
    "receivers_50_ms", "receivers_250_ms", "payload_16_kb", "one_webhook", "webhooks_per_event_10", "two_workers",
    "four_workers",
)  # fmt: skip
MEMORY_ROWS = ("memory_100000_due",)


@dataclass(frozen=True)
class Throughput:
    """The result of delivering a backlog."""

    per_second: float
    cpu_us: float
    memory_mib: float


def backlog(place: Place) -> list[Figure]:
    """One worker process and the bare loop, in turns; the best of two each."""
    pairs = [(bare_loop(), worked_off(place)) for _ in range(2)]
    bare, ours = (max(column, key=lambda found: found.per_second) for column in zip(*pairs, strict=True))
    return [
        Figure("deliveries_per_second", ours.per_second / bare.per_second, "ratio",
               "one worker, 20,000 due, to a bare aiohttp loop sending the same signed POSTs", 0.5, "higher"),
        Figure("cpu_per_delivery", ours.cpu_us / bare.cpu_us, "ratio", "the worker's CPU, to the loop's", 2.5),
        Figure("deliveries_per_second_absolute", ours.per_second, "1/s",
               f"{ours.cpu_us:.0f} us of CPU each; the bare loop: {bare.per_second:.0f}/s at {bare.cpu_us:.0f} us"),
    ]  # fmt: skip


def variations(place: Place) -> list[Figure]:
    """What slow receivers, large payloads, few or many webhooks and more processes do to the rate."""
    base = worked_off(place).per_second
    figures = []
    for name, what, rate in (
        ("receivers_50_ms", "receivers that take 50 ms", worked_off(place, 10_000, delay_ms=50).per_second),
        ("receivers_250_ms", "receivers that take 250 ms", worked_off(place, 5_000, delay_ms=250).per_second),
        ("payload_16_kb", "16 kB payloads, to 1 kB", worked_off(place, 10_000, size=16_000).per_second),
        ("one_webhook", "all to one webhook, to 100 webhooks", worked_off(place, webhooks=1).per_second),
        ("webhooks_per_event_10", "10 webhooks per event, to 1", worked_off(place, per_event=10).per_second),
        ("two_workers", f"2 workers, to 1 ({os.cpu_count()} cores)", worked_off(place, processes=2).per_second),
        ("four_workers", f"4 workers, to 1 ({os.cpu_count()} cores)", worked_off(place, processes=4).per_second),
    ):  # fmt: skip
        figures.append(Figure(name, rate / base, "ratio", f"{what}: {rate:.0f}/s of {base:.0f}/s", better="higher"))
    return figures


def memory(place: Place) -> list[Figure]:
    """What a long backlog costs in memory."""
    held = worked_off(place, 100_000).memory_mib
    return [Figure("memory_100000_due", held, "MiB", "the worker's memory when 100,000 deliveries were due")]


def worked_off(
    place: Place,
    deliveries: int = DELIVERIES,
    *,
    webhooks: int = 100,
    size: int = SIZE,
    delay_ms: float = 0,
    per_event: int = 1,
    processes: int = 1,
    history: int = 0,
) -> Throughput:
    """Deliver a backlog with `processes` workers, beside `history` deliveries that have finished before."""
    with receiver(delay_ms) as url:
        filling = filled(place, url, deliveries, webhooks=webhooks, size=size, per_event=per_event, history=history)
        return asyncio.run(_worked_off(place, filling, deliveries, processes))


async def _worked_off(
    place: Place, filling: AbstractAsyncContextManager[Connection], deliveries: int, processes: int
) -> Throughput:
    async with filling as connection:
        await connection.execute("UPDATE delivery SET due_at = now() + interval '1 day' WHERE finished_at IS NULL")
        # Makes room for the updates to come, as autovacuum does on a running system.
        await connection.execute("VACUUM ANALYZE delivery")
        with workers(place, processes) as running:
            before = sum(cpu_seconds(process) for process in running)
            await connection.execute("UPDATE delivery SET due_at = now() WHERE finished_at IS NULL")
            await drained(connection)
            cpu = sum(cpu_seconds(process) for process in running) - before
            held = max(process.memory_info().rss for process in running) / 2**20
        seconds = await connection.fetchval(
            "SELECT extract(epoch FROM max(finished_at) - min(claimed_at)) FROM delivery WHERE claimed_at IS NOT NULL"
        )
    return Throughput(deliveries / float(seconds), cpu / deliveries * 1e6, held)


def bare_loop() -> Throughput:
    """The same requests from a bare aiohttp loop."""
    with receiver() as url:
        command = [sys.executable, "-m", "bench.bare", url, str(DELIVERIES), str(BARE_CONCURRENCY), str(SIZE)]
        told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return Throughput(told["per_second"], told["cpu_us"], 0)
