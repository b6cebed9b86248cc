"""What our worker is measured against: the same signed POSTs out of a bare aiohttp loop, nothing recorded.

`python -m bench.bare URL COUNT CONCURRENCY DOCUMENT_BYTES` prints requests per second and CPU seconds as JSON.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

import aiohttp

from bench.documents import document
from domain.request import Assignment, build
from domain.vocabulary import EventType


async def main(url: str, count: int, concurrency: int, size: int) -> None:
    """Send, and print how fast."""
    text = document(size)
    todo = iter(range(count))
    connector = aiohttp.TCPConnector(limit=concurrency)
    async with aiohttp.ClientSession(connector=connector) as session:
        started, cpu = time.monotonic(), time.process_time()
        await asyncio.gather(*(_send(session, url, text, todo) for _ in range(concurrency)))
        seconds, cpu = time.monotonic() - started, time.process_time() - cpu
    print(json.dumps({"per_second": count / seconds, "cpu_us": cpu / count * 1e6}))


async def _send(session: aiohttp.ClientSession, url: str, text: str, todo: Iterator[int]) -> None:
    for _ in todo:
        assignment = Assignment(
            delivery_uuid=str(uuid4()), number=1, event_uuid=str(uuid4()), event_type=EventType.POST_PUBLISHED,
            occurred_at=datetime.now(UTC), document=text, url=url, secret="a secret of some length",
        )  # fmt: skip
        request = build(assignment, datetime.now(UTC))
        async with session.post(request.url, data=request.body, headers=request.headers) as answer:
            await answer.read()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
