"""What was committed is announced, even if a process dies or a server goes away in between."""

import asyncio
import shutil
import signal
import sys
import time
from pathlib import Path

from cli.programs import CHECKOUT
from domain.tables import Delivery
from tests.e2e.system import kill_server, start_again
from tests.live.watcher import Reader, Watcher, following, histories, order_of
from tests.live.world import World
from tests.running import environment
from tests.waiting import until

COUNT = 20
WHOLE = ["PENDING", "DELIVERING", "SUCCEEDED"]
# The database loop looks about every second, and at a new delivery only after five.
# That takes six seconds at most; the rest allows for a busy machine.
SOON = 40.0


def assert_whole(watcher: Watcher, count: int) -> None:
    """Every change once, in order, over one connection."""
    cursors = [order_of(change["cursor"]) for change in watcher.changes]
    assert cursors == sorted(set(cursors))
    seen = histories(watcher.changes)
    assert (len(seen), set(map(tuple, seen.values()))) == (count, {tuple(WHOLE)})
    assert watcher.connections == 1


async def test_a_process_that_dies_between_its_commit_and_its_announcement_loses_no_change(world: World) -> None:
    await world.listen(1)
    watcher = Watcher(world.system.url, world.token)
    system = world.system
    async with following(watcher):
        words = [system.postgres.url, system.redis.url, str(world.workspace_id), str(COUNT)]
        dying = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.live.dying", *words, cwd=CHECKOUT, env=environment()
        )
        assert await dying.wait() == -signal.SIGKILL
        assert await Delivery.filter(workspace_id=world.workspace_id).count() == COUNT
        await until(lambda: len(watcher.changes) >= 3 * COUNT, SOON, "all changes")
    assert_whole(watcher, COUNT)


async def test_a_worker_that_dies_before_it_could_announce_anything_loses_no_change(
    world: World, tmp_path: Path
) -> None:
    system = world.system
    (deaf,) = await system.with_workers(1, HOOKLINE_REDIS_URL=f"unix://{tmp_path}/nobody.sock")
    await world.listen(1)
    watcher = Watcher(system.url, world.token)
    async with following(watcher):
        await world.happen(COUNT)
        await world.all_finished(COUNT, SOON)
        assert {change["status"] for change in watcher.changes} <= {"PENDING"}
        deaf.kill()
        await system.with_workers(1)
        began = time.monotonic()
        await until(lambda: len(watcher.changes) >= 3 * COUNT, SOON, "all changes")
        print(f"announced {time.monotonic() - began:.1f} s after the next worker was ready")
    assert_whole(watcher, COUNT)


async def test_while_redis_is_away_subscribers_stay_and_then_get_what_they_missed(world: World) -> None:
    system = world.system
    await world.listen(1)
    watcher = Watcher(system.url, world.token)
    async with following(watcher):
        await world.happen(COUNT)
        await until(lambda: len(watcher.changes) >= 3 * COUNT, SOON)
        kill_server(system.redis, signal.SIGKILL)
        await world.happen(COUNT)
        await world.all_finished(2 * COUNT, SOON)
        start_again(system.redis)
        await until(lambda: len(watcher.changes) >= 6 * COUNT, SOON, "what was missed")
        await world.happen(COUNT)
        await until(lambda: len(watcher.changes) >= 9 * COUNT, SOON, "what came after")
    assert_whole(watcher, 3 * COUNT)
    assert watcher.gaps == []


async def test_where_redis_lost_everything_subscribers_stay_and_are_told_to_read_again(world: World) -> None:
    system = world.system
    await world.listen(1)
    watcher = Watcher(system.url, world.token)
    async with following(watcher):
        await world.happen(COUNT)
        await until(lambda: len(watcher.changes) >= 3 * COUNT, SOON)
        kill_server(system.redis, signal.SIGKILL)
        await world.happen(COUNT)
        await world.all_finished(2 * COUNT, SOON)
        for file in system.redis.data.glob("appendonlydir/*"):
            file.unlink()
        start_again(system.redis)
        await until(lambda: bool(watcher.gaps), SOON, "being told to read again")
        await world.happen(COUNT)
        new = {str(row["uuid"]) for row in await system.sql(_LAST, world.workspace_id, COUNT)}
        await until(lambda: _ended(watcher) >= new, SOON, "what came after")
    assert watcher.connections == 1
    assert len(watcher.gaps) == 1
    seen = histories(watcher.changes)
    assert {tuple(seen[uuid]) for uuid in new} == {tuple(WHOLE)}


async def test_where_redis_went_back_to_an_older_copy_who_was_away_is_told_to_read_again(
    world: World, tmp_path: Path
) -> None:
    system = world.system
    await world.listen(1)
    away, there = Reader(system.url, world.token), Reader(system.url, world.token)
    async with following(away):
        await world.happen(COUNT)
        await until(lambda: len(away.changes) >= 3 * COUNT, SOON)
    shutil.copytree(system.redis.data / "appendonlydir", tmp_path / "copy")
    async with following(there):
        await world.happen(COUNT)
        await until(lambda: len(there.changes) >= 6 * COUNT, SOON)
        kill_server(system.redis, signal.SIGKILL)
        shutil.rmtree(system.redis.data / "appendonlydir")
        shutil.move(tmp_path / "copy", system.redis.data / "appendonlydir")
        start_again(system.redis)
        # Until the API has noticed, it gives new subscribers what was lost from its own memory.
        await until(lambda: bool(there.gaps), SOON, "being told to read again")
        await world.happen(COUNT)
        async with following(away):
            await until(lambda: _all_ended(away) and _all_ended(there), SOON, "knowing every end")
    assert away.gaps
    assert there.gaps


def _all_ended(reader: Reader) -> bool:
    return list(reader.known().values()) == ["SUCCEEDED"] * 3 * COUNT


def _ended(watcher: Watcher) -> set[str]:
    return {uuid for uuid, history in histories(watcher.changes).items() if history[-1] == "SUCCEEDED"}


_LAST = "SELECT uuid FROM delivery WHERE workspace_id = $1 ORDER BY id DESC LIMIT $2"
