"""The rows of the delivery engine."""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.place import Place, drained, filled, receiver, workers

DELIVERIES = 20_000
BARE_CONCURRENCY = 100


@dataclass(frozen=True)
class Throughput:
    """What delivering a backlog came to."""

    per_second: float
    cpu_us: float
    memory_mib: float


def throughput(
    place: Place,
    deliveries: int = DELIVERIES,
    *,
    webhooks: int = 100,
    size: int = 1000,
    delay_ms: float = 0,
    processes: int = 1,
) -> Throughput:
    """Deliver a backlog with so many worker processes."""
    with receiver(delay_ms) as url:
        return asyncio.run(_throughput(place, url, deliveries, webhooks, size, processes))


async def _throughput(place: Place, url: str, deliveries: int, webhooks: int, size: int, processes: int) -> Throughput:
    async with filled(place, url, deliveries, webhooks=webhooks, size=size) as connection:
        await connection.execute("UPDATE delivery SET due_at = now() + interval '1 day'")
        with workers(place, processes) as running:
            cpu = sum(_cpu(process) for process in running)
            await connection.execute("UPDATE delivery SET due_at = now()")
            await drained(connection, deliveries)
            cpu = sum(_cpu(process) for process in running) - cpu
            memory = max(process.memory_info().rss for process in running) / 2**20
        seconds = await connection.fetchval("SELECT extract(epoch FROM max(finished_at) - min(claimed_at)) FROM delivery")
    return Throughput(deliveries / float(seconds), cpu / deliveries * 1e6, memory)


def bare(deliveries: int = DELIVERIES, size: int = 1000, concurrency: int = BARE_CONCURRENCY) -> Throughput:
    """The same requests out of a bare aiohttp loop."""
    with receiver() as url:
        command = [sys.executable, "-m", "bench.bare", url, str(deliveries), str(concurrency), str(size)]
        told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return Throughput(told["per_second"], told["cpu_us"], 0)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system
