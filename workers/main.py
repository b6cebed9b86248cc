"""The worker process: delivers and publishes. One of the two files that import arq; the other is domain/queue.py."""

import asyncio
import contextlib
import gc
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from time import monotonic

import orjson
import structlog
from arq import ArqRedis, func
from arq.typing import WorkerCoroutine
from arq.worker import Worker
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from domain import logs, open_files, queue, tasks
from domain.errors import Unavailable, reason_of
from domain.live import ForeignRedis
from domain.queue import DELIVER, PUBLISH, QUEUE_NAME
from domain.settings import Settings
from domain.unit import Domain, opened
from workers import health, lookout, metrics
from workers.deliver import deliver
from workers.engine import Engine
from workers.prune import Prune
from workers.publish import Publisher, publish
from workers.replay import copy_forever
from workers.rescue import Rescue
from workers.reseal import Resealing

# Jobs end when their deliveries have begun, so a few at once are enough.
JOBS_AT_ONCE = 20
# How often Redis is asked for jobs. 10 ms would save 2.6 % of a core, but add 3 ms to the median time to the request.
POLL_SECONDS = 0.005
# After a while without jobs, Redis is asked less often: the next job is found up to 25 ms later, and an idle worker
# takes 4 % of a core, not 11 %.
QUIET_AFTER_SECONDS = 1.0
QUIET_POLL_SECONDS = 0.025
JOB_SECONDS = 300
# How often a key is written to Redis: one that is full, or has lost its disk or replicas, answers but takes no writes.
HEARTBEAT_SECONDS = 10
AWAY_SECONDS = 0.5

log = structlog.get_logger(__name__)


def run(settings: Settings) -> None:
    """Work until SIGTERM or SIGINT; then finish what is in flight and return within the shutdown deadline."""
    logs.configure(settings)
    asyncio.run(work(settings))


async def work(settings: Settings) -> None:
    """Like `run`, in an event loop that runs already."""
    stopping = asyncio.Event()
    for signal_ in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_, stopping.set)
    open_files.allow_many()
    _collect_garbage_seldom()
    async with AsyncExitStack() as stack:
        domain = await stack.enter_async_context(opened(settings))
        engine = await stack.enter_async_context(Engine(domain).running())
        publisher = await stack.enter_async_context(Publisher(domain).running())
        metrics.watch(domain.outlet, lambda: settings.worker_concurrency - engine.lanes.free)
        rescue = Rescue(domain, engine, publisher.take_due, Resealing(domain).once)
        await stack.enter_async_context(health.served(settings, rescue.pulse))
        running = [
            asyncio.create_task(rescue.forever(), name="rescue"),
            asyncio.create_task(take_hints(domain, engine, publisher), name="hints"),
            asyncio.create_task(copy_forever(domain), name="replays"),
            asyncio.create_task(Prune(settings).forever(), name="prune"),
            asyncio.create_task(lookout.look_forever(), name="lookout"),
        ]
        log.info("worker.started")
        await stopping.wait()
        log.info("worker.stopping")
        rescue.pulse.stopping = True
        await tasks.end(*running)
        # Both at once. In turn, they could take the deadline twice, and the engine would begin attempts while the
        # publisher waits for its posts.
        await asyncio.gather(engine.stop(), publisher.stop())
    log.info("worker.stopped")


async def take_hints(domain: Domain, engine: Engine, publisher: Publisher) -> None:
    """Take jobs from Redis for as long as it is there; while it is away, the database loop does the work."""
    while True:
        redis = queue.connect(domain.settings.redis_url)
        worker = _hint_taker(redis, engine, publisher)
        try:
            await domain.hub.live.claim()
            # The jobs of old hints may have expired, and arq logs a line for each of those.
            await queue.Queue(redis).forget_stale()
            await worker.async_run()
        except (RedisConnectionError, RedisTimeoutError, ForeignRedis, OSError) as error:
            metrics.REDIS_REACHED.set(0)
            log.warning("worker.redis_away", error=type(error).__name__)
            await asyncio.sleep(AWAY_SECONDS)
        except Unavailable as error:
            # Without the database we cannot tell whose hints these are.
            log.warning("worker.database_away", error=reason_of(error))
            await asyncio.sleep(AWAY_SECONDS)
        except Exception as error:  # noqa: BLE001 (arq stumbles over what a stranger wrote there, and would for ever)
            metrics.REDIS_REACHED.set(0)
            log.warning("worker.queue_broken", error=type(error).__name__)
            await forget_hints(redis)
            await asyncio.sleep(AWAY_SECONDS)
        finally:
            # arq's close() cancels the jobs that wait for Redis, raises what they and broken jobs raise, and leaves its
            # connections open.
            with contextlib.suppress(Exception, asyncio.CancelledError):
                await worker.close()
            with contextlib.suppress(RedisError, OSError):
                await redis.aclose(close_connection_pool=True)


async def forget_hints(redis: ArqRedis) -> None:
    """Empty the queue. The database loop finds everything that the hints were about."""
    with contextlib.suppress(RedisError, OSError):
        await redis.delete(QUEUE_NAME)


class HintTaker(Worker):
    """arq's worker, but it asks Redis less often while there are no jobs, and keeps the gauge of Redis."""

    _last_jobs_at = 0.0

    async def start_jobs(self, job_ids: list[bytes]) -> None:
        """Called for each look at the queue, with the jobs found there."""
        await super().start_jobs(job_ids)
        if job_ids:
            self._last_jobs_at = monotonic()
        elif monotonic() - self._last_jobs_at > QUIET_AFTER_SECONDS:
            await asyncio.sleep(QUIET_POLL_SECONDS)

    async def record_health(self) -> None:
        """Called after each look at the queue. Writes every HEARTBEAT_SECONDS; raises what redis-py raises if Redis
        takes no changes."""
        await super().record_health()
        metrics.REDIS_REACHED.set(1)


def _hint_taker(redis: ArqRedis, engine: Engine, publisher: Publisher) -> HintTaker:
    functions: Sequence[WorkerCoroutine] = (deliver, publish)
    return HintTaker(
        functions=[func(function, name=name) for function, name in zip(functions, (DELIVER, PUBLISH), strict=True)],
        queue_name=QUEUE_NAME,
        redis_pool=redis,
        handle_signals=False,
        poll_delay=POLL_SECONDS,
        max_jobs=JOBS_AT_ONCE,
        job_timeout=JOB_SECONDS,
        health_check_interval=HEARTBEAT_SECONDS,
        keep_result=0,
        max_tries=1,
        retry_jobs=False,
        ctx={"engine": engine, "publisher": publisher},
        # JSON, not pickle: those who can write to Redis must not be able to run code here.
        job_serializer=orjson.dumps,
        job_deserializer=orjson.loads,
    )


def _collect_garbage_seldom() -> None:
    # A thousand attempts in flight are many young objects and little garbage: looking through them every 700
    # allocations cost a tenth of the worker's time.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
