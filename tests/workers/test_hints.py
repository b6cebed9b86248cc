"""Taking hints from Redis: none of them is believed, and none of them is needed."""

import asyncio
import json
import pickle
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, time

import pytest
from structlog.testing import capture_logs

from domain import workspaces
from domain.live_scripts import SERVED
from domain.queue import QUEUE_NAME, STALE_SECONDS, Owed, Queue, connect
from domain.settings import Settings
from domain.tables import Delivery, Post
from domain.unit import Actor, Domain, opened
from domain.vocabulary import DeliveryStatus, PostStatus, Role
from tests.away import Gates, close, fall_silent, gated, reopen
from tests.domain.doing import add_account, happen, listen, publish, write
from tests.e2e.proxy import Gate
from tests.receiver import Receiver
from tests.waiting import until
from tests.workers.delivering import taking_hints
from workers.deliver import deliver
from workers.engine import Engine
from workers.main import AWAY_SECONDS, QUIET_POLL_SECONDS
from workers.metrics import REGISTRY

# arq 0.28 closes redis-py's connections with a deprecated method.
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")
REFUSED = ("worker.redis_away", "ForeignRedis")


@pytest.fixture
async def gates(settings: Settings) -> AsyncIterator[Gates]:
    async with gated(settings) as gates:
        yield gates


async def deliver_one(domain: Domain, actor: Actor) -> None:
    """Make an event and wait until a hint delivers it. Hints may get lost, so a lost one is sent again."""
    event = await happen(domain, actor)
    delivery = await Delivery.get(event_id=event.id)
    owed = [Owed(delivery.id, delivery.webhook_id, delivery.workspace_id)]

    async def is_done() -> bool:
        await delivery.refresh_from_db()
        if delivery.status is DeliveryStatus.PENDING and not await domain.redis.zcard(QUEUE_NAME):
            domain.outlet.deliver(owed)
            await domain.outlet.flush()
        return delivery.status is DeliveryStatus.SUCCEEDED

    await until(is_done)


async def put(domain: Domain, job: bytes, job_id: bytes = b"junk") -> None:
    """Write a job as a third party would."""
    await domain.redis.set(b"arq:job:" + job_id, job)
    await domain.redis.zadd(QUEUE_NAME, {job_id: datetime.now(UTC).timestamp() * 1000})


async def is_gone(domain: Domain, job_id: bytes = b"junk") -> bool:
    return await domain.redis.zscore(QUEUE_NAME, job_id) is None


class Trap:
    """Unpickling it makes a file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self._file,)


async def test_a_hint_is_delivered(domain: Domain, admin: Actor, receiver: Receiver) -> None:
    await listen(domain, admin, callback_url=receiver.url)

    async with taking_hints(domain):
        await deliver_one(domain, admin)

    assert (len(receiver.requests), await domain.redis.keys("arq:result:*")) == (1, [])


async def test_a_hint_of_a_post_has_it_published(domain: Domain, admin: Actor) -> None:
    post = await publish(domain, admin, (await write(domain, admin, await add_account(domain, admin))).id)

    async with taking_hints(domain), connect(domain.settings.redis_url) as redis:
        await Queue(redis).enqueue_post(post.id)
        await until(lambda: Post.exists(id=post.id, status=PostStatus.PUBLISHED))


async def test_a_queue_without_jobs_is_asked_less_often(domain: Domain) -> None:
    async with taking_hints(domain):
        begun = monotonic()
        await domain.redis.config_resetstat()
        while (asked := await looks_into_the_queue(domain)) < 10:
            await asyncio.sleep(QUIET_POLL_SECONDS)
        most = 1 + (monotonic() - begun) / QUIET_POLL_SECONDS

    assert asked <= most


async def looks_into_the_queue(domain: Domain) -> int:
    calls: int = (await domain.redis.info("commandstats")).get("cmdstat_zrangebyscore", {"calls": 0})["calls"]
    return calls


async def test_a_pickle_is_not_opened(domain: Domain, admin: Actor, receiver: Receiver, tmp_path: Path) -> None:
    sprung = tmp_path / "sprung"
    trap = pickle.dumps({"t": 1, "f": "deliver", "a": (Trap(sprung),), "k": {}, "et": 1})
    await listen(domain, admin, callback_url=receiver.url)

    async with taking_hints(domain):
        await put(domain, trap)
        await until(lambda: is_gone(domain))
        await deliver_one(domain, admin)

    assert not sprung.exists()
    # The trap does spring if it is unpickled.
    pickle.loads(trap)
    assert sprung.exists()


def job(function: str, *arguments: object) -> bytes:
    return json.dumps({"t": 1, "f": function, "a": arguments, "k": {}, "et": 1}).encode()


@pytest.mark.parametrize(
    "junk",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x00\xff", id="bytes"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"null", id="null"),
        pytest.param(job("no such function"), id="unknown function"),
        pytest.param(job("deliver"), id="no arguments"),
        pytest.param(job("deliver", [1], [1], []), id="lists of different lengths"),
        pytest.param(job("deliver", ["x"], ["y"], ["z"]), id="words for ids"),
        pytest.param(job("deliver", [[]], [[]], [[]]), id="lists for ids"),
        pytest.param(job("deliver", [2**70], [1], [1]), id="an id beyond all bounds"),
        pytest.param(job("deliver", [-1, 0, 10**9], [1, 1, 1], [1, 1, 1]), id="ids of nothing"),
        pytest.param(job("publish", "x"), id="a word for a post"),
        pytest.param(job("publish", {}), id="an object for a post"),
    ],
)
async def test_junk_is_dropped_and_the_next_hint_is_taken(
    domain: Domain, admin: Actor, receiver: Receiver, junk: bytes
) -> None:
    await listen(domain, admin, callback_url=receiver.url)

    async with taking_hints(domain) as task:
        with capture_logs():
            await put(domain, junk)
            await until(lambda: is_gone(domain))
            await deliver_one(domain, admin)
        assert not task.done()


async def test_junk_that_arq_itself_stumbles_over_ends_no_taking_of_hints_however_much_there_is(
    domain: Domain, admin: Actor, receiver: Receiver
) -> None:
    await listen(domain, admin, callback_url=receiver.url)

    async with taking_hints(domain) as task:
        with capture_logs() as lines:
            async with domain.redis.pipeline() as pipe:
                for number in range(3):
                    pipe.set(f"arq:job:{number}", b'{"t": 1, "f": [], "a": [], "k": {}, "et": 1}')
                    pipe.zadd(QUEUE_NAME, {str(number): time() * 1000})
                await pipe.execute()
            await until(lambda: "worker.queue_broken" in {line["event"] for line in lines})
            await deliver_one(domain, admin)
        assert not task.done()


async def test_stale_hints_are_forgotten_before_any_is_taken_for_their_jobs_may_be_gone(
    domain: Domain, caplog: pytest.LogCaptureFixture
) -> None:
    await domain.redis.zadd(QUEUE_NAME, {b"junk": (time() - STALE_SECONDS - 1) * 1000})
    async with taking_hints(domain):
        await until(lambda: is_gone(domain))
    assert "expired" not in caplog.text


@pytest.mark.parametrize("place", [[1], {}, "1", None, 2**63])
async def test_a_hint_without_a_workspace_leaves_nothing_behind(domain: Domain, admin: Actor, place: object) -> None:
    async with Engine(domain).running() as engine:
        await listen(domain, admin)
        delivery = await Delivery.get(event_id=(await happen(domain, admin)).id)

        with pytest.raises(ValueError, match="id"):
            await deliver({"engine": engine}, [delivery.id], [delivery.webhook_id], [place])  # type: ignore[list-item]

        assert engine.lanes.open == 0


async def test_a_hint_while_the_database_is_away_is_left_to_the_loop(gates: Gates) -> None:
    async with opened(gates.settings) as domain, Engine(domain).running() as engine:
        close(gates.postgres)
        with capture_logs() as lines:
            await deliver({"engine": engine}, [1], [1], [1])

        assert [line["event"] for line in lines] == ["deliver.database_away"]
        assert engine.lanes.free == domain.settings.worker_concurrency


async def test_a_queue_that_is_no_queue_is_replaced(domain: Domain, admin: Actor, receiver: Receiver) -> None:
    await listen(domain, admin, callback_url=receiver.url)
    await domain.redis.set(QUEUE_NAME, "mine now")

    with capture_logs() as lines:
        async with taking_hints(domain):
            await until(lambda: "worker.queue_broken" in {line["event"] for line in lines})
            await until(lambda: _is_free(domain))
            await deliver_one(domain, admin)


async def _is_free(domain: Domain) -> bool:
    return not await domain.redis.exists(QUEUE_NAME)


@pytest.mark.parametrize("fault", [close, fall_silent])
async def test_a_redis_that_goes_away_and_comes_back_is_heard_again(
    gates: Gates, receiver: Receiver, fault: Callable[[Gate], None]
) -> None:
    async with opened(gates.settings) as domain:
        admin = Actor(await workspaces.create("Test"), None, Role.ADMIN)
        await listen(domain, admin, callback_url=receiver.url)
        with capture_logs():
            async with taking_hints(domain) as task:
                for _ in range(2):
                    await deliver_one(domain, admin)
                    await until(lambda: REGISTRY.get_sample_value("hookline_redis_reached") == 1)
                    fault(gates.redis)
                    await until(lambda: REGISTRY.get_sample_value("hookline_redis_reached") == 0)
                    reopen(gates.redis)
                    assert not task.done()
                await deliver_one(domain, admin)


async def test_a_redis_that_serves_another_hookline_keeps_its_hints(
    domain: Domain, admin: Actor, receiver: Receiver
) -> None:
    await listen(domain, admin, callback_url=receiver.url)
    await domain.redis.set(SERVED, "another")
    await put(domain, job("deliver", [1], [1], [1]))
    with capture_logs() as lines:
        begun = monotonic()
        async with taking_hints(domain):
            await until(lambda: [(a["event"], a.get("error")) for a in lines].count(REFUSED) > 1)
            assert monotonic() - begun >= AWAY_SECONDS, "or it asks without a pause"
            assert not await is_gone(domain)
            await domain.redis.flushdb()
            await deliver_one(domain, admin)


async def test_without_the_database_no_hint_is_forgotten_that_may_be_of_others(settings: Settings) -> None:
    async with opened(replace(settings, database_url="postgresql://127.0.0.1:1/none")) as domain:
        await put(domain, job("deliver", [1], [1], [1]))
        with capture_logs() as lines:
            async with taking_hints(domain):
                await until(lambda: "worker.database_away" in {line["event"] for line in lines})
        assert not await is_gone(domain)


async def test_jobs_under_way_as_redis_falls_silent_do_not_end_the_taking_of_hints(
    gates: Gates, receiver: Receiver, redis_url: str
) -> None:
    async with opened(gates.settings) as domain:
        admin = Actor(await workspaces.create("Test"), None, Role.ADMIN)
        await listen(domain, admin, callback_url=receiver.url)
        with capture_logs() as lines:
            async with taking_hints(domain) as task:
                # The job has begun, and the connection that fetched it is silent from then on.
                gates.redis.tell("hold", "arq:retry:")
                async with connect(gates.settings.redis_url) as redis:
                    await Queue(redis).enqueue_post(1)
                await until(lambda: "worker.redis_away" in {line["event"] for line in lines} or task.done())
                reopen(gates.redis)

                await deliver_one(domain, admin)
                assert not task.done()
