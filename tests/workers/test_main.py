"""The worker as a process: it does all that the database holds, with or without Redis."""

import asyncio
import signal
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from cli.programs import try_port
from domain import resealing
from domain.database import rows
from domain.settings import Settings
from domain.tables import Delivery, Post, Replay
from domain.unit import Actor, Domain
from domain.vault import Vault
from domain.vocabulary import DeliveryStatus, PostStatus
from tests.conftest import SECRET_KEY
from tests.domain.doing import add_account, happen, listen, publish, write
from tests.domain.test_replays import start
from tests.domain.test_retention import delivered
from tests.e2e.process import Process
from tests.few_files import FEW_FILES, few_files
from tests.receiver import Answer, Receiver
from tests.waiting import until

NEW_KEY = bytes(range(100, 132))


@asynccontextmanager
async def worker(settings: Settings, folder: Path) -> AsyncIterator[tuple[Process, str]]:
    """A worker after the first round of its loop, without Redis and with one more key; and the URL of its own port.

    It starts with a low limit of open files.
    """
    port = try_port("127.0.0.1", 0)
    variables = {
        "HOOKLINE_DATABASE_URL": settings.database_url,
        "HOOKLINE_REDIS_URL": "redis://127.0.0.1:1",
        "HOOKLINE_SECRET_KEYS": ",".join(urlsafe_b64encode(key).decode() for key in (NEW_KEY, SECRET_KEY)),
        "HOOKLINE_ALLOWED_NETWORKS": "127.0.0.0/8",
        "HOOKLINE_METRICS_PORT": str(port),
        "HOOKLINE_READY_FILE": str(folder / "ready"),
        # The attempt that is held must outlast everything else: pruning may begin only after 15 s.
        "HOOKLINE_REQUEST_TIMEOUT": "120",
        "HOOKLINE_SHUTDOWN_DEADLINE": "120",
        "HOOKLINE_LEASE": "180",
    }
    process = Process("worker", variables, folder / "worker.log", (folder / "ready").exists)
    with few_files():
        process.launch()
    try:
        yield await process.ready(), f"http://127.0.0.1:{port}"
    finally:
        process.kill()


async def test_without_redis_a_worker_does_all_that_is_owed_and_finishes_what_it_has_begun(
    domain: Domain, admin: Actor, receiver: Receiver, tmp_path: Path
) -> None:
    webhook = await listen(domain, admin, callback_url=receiver.url, secret="s3cret")
    (old,) = await delivered(domain, admin, days_ago=91)
    await happen(domain, admin)
    await rows("UPDATE delivery SET status = 'failed', finished_at = now(), attempt_number = 1 WHERE id <> $1", old)
    replay = await start(domain, admin, webhook)
    post = await publish(domain, admin, (await write(domain, admin, await add_account(domain, admin))).id)
    let_go = asyncio.Event()
    receiver.answer(Answer(after=let_go))

    async with worker(domain.settings, tmp_path) as (process, url), aiohttp.ClientSession() as http:

        async def says(page: str, what: str) -> bool:
            async with http.get(f"{url}/{page}") as answer:
                return what in await answer.text()

        async def is_done() -> bool:
            return (
                await Post.exists(id=post.id, status=PostStatus.PUBLISHED)
                and await Replay.exists(id=replay.id, finished_at__isnull=False)
                and not await Delivery.exists(id=old)
                and await Delivery.filter(finished_at=None).count() == 1
                and not await resealing.left(Vault((NEW_KEY, SECRET_KEY)))
                and await says("metrics", "hookline_database_reached 1.0")
                and await says("metrics", "hookline_attempts_in_flight 1.0")
                and not await says("metrics", f"process_max_fds {FEW_FILES:.1f}")
            )

        await until(is_done)
        # What Ctrl-C sends; the tests of tests/e2e send SIGTERM.
        process.send(signal.SIGINT)
        await until(lambda: says("readyz", "unavailable"))
        let_go.set()
        assert await process.gone() == 0

    assert not await Delivery.exclude(status__in=(DeliveryStatus.FAILED, DeliveryStatus.SUCCEEDED)).exists()
