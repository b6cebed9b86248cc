"""F17: PostgreSQL has no room left to write. This is tested in two ways, each in a process of its own.

One fills a small disk, mounted in a namespace: that needs no root if the kernel lets anybody create user namespaces.
The other limits how large the running server's files may be, which anybody can do.
"""

import asyncio
import os
import resource
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil

from cli.servers import PrivatePostgres
from tests.e2e.system import System
from tests.e2e.world import World, entered

DISK, LIMIT = "a full disk", "files that may not grow"
DISK_MEGABYTES = 160
# Smaller than a segment of the write-ahead log, and larger than one of shared memory, which is a file, too, but on no
# disk. If its startup process ends for lack of one, PostgreSQL 18 waits for that process for ever.
LIMIT_BYTES = 2 * 1024 * 1024
DEADLINE_SECONDS = 240
# Root mounts, and stays root. Anybody else becomes root of a namespace to mount, and then an ordinary user again,
# because PostgreSQL does not run as root.
MOUNT = 'mount -t tmpfs -o size="$2"m none "$1/postgres-disk" && chmod 711 "$1" && '
AS_ROOT = ("unshare", "--mount", "sh", "-c", MOUNT + 'shift 2 && exec "$@"', "sh")
AS_ANYBODY = (
    "unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
    MOUNT + 'shift 2 && exec unshare --user --map-user=1000 --map-group=1000 "$@"', "sh",
)  # fmt: skip


def ways() -> list[str]:
    """The ways that this machine allows."""
    with tempfile.TemporaryDirectory(prefix="hookline-disk-") as folder:
        (Path(folder) / "postgres-disk").mkdir()
        try:
            subprocess.run([*_mounted(folder), "true"], check=True, capture_output=True, timeout=30)
        except (OSError, subprocess.SubprocessError):
            return [LIMIT]
    return [DISK, LIMIT]


def run_apart(way: str) -> "subprocess.CompletedProcess[str]":
    """Run the test in this way, in a process of its own."""
    with tempfile.TemporaryDirectory(prefix="hookline-disk-") as folder:
        (Path(folder) / "postgres-disk").mkdir()
        command = [*(_mounted(folder) if way == DISK else ()), sys.executable, "-m", "tests.e2e.full_disk", folder, way]
        return subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=DEADLINE_SECONDS, check=False
        )


def _mounted(folder: str) -> tuple[str, ...]:
    return (*(AS_ROOT if os.geteuid() == 0 else AS_ANYBODY), folder, str(DISK_MEGABYTES))


class OnADisk(System):
    """PostgreSQL's data on the small disk, everything else beside it."""

    @property
    def ballast(self) -> Path:
        """The file that fills the disk."""
        return self.folder / "postgres-disk" / "ballast"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, data=folder / "postgres-disk" / "data", more={"max_wal_size": "32MB"})

    def fill(self) -> None:
        """Write until there is no room, down to the last block."""
        with self.ballast.open("wb", buffering=0) as file:
            for size in (1024 * 1024, 4096, 512):
                try:
                    while True:
                        file.write(b"\0" * size)
                except OSError:
                    continue

    def make_room(self) -> None:
        """Make room on the disk again."""
        self.ballast.unlink()


class Limited(OnADisk):
    """The kernel refuses every write beyond LIMIT_BYTES of a file: with EFBIG, not ENOSPC as on a full disk."""

    def fill(self) -> None:
        """Limit every process of the server. Those that it starts later inherit the limit."""
        self._limit(LIMIT_BYTES)

    def make_room(self) -> None:
        """Lift the limit from the processes that still run."""
        self._limit(resource.getrlimit(resource.RLIMIT_FSIZE)[0])

    def _limit(self, most: int) -> None:
        assert self.postgres.process is not None
        if self.postgres.process.poll() is not None:
            return
        server = psutil.Process(self.postgres.process.pid)
        pids = [server.pid, *(child.pid for child in server.children(recursive=True))]
        # In a container, root may limit only processes of its own user. The server has another one: become that user.
        user, group = (server.uids().real, server.gids().real) if os.geteuid() == 0 else (None, None)
        groups = None if user is None else ()
        limit = partial(limit_files, pids, most)
        subprocess.run(["true"], check=True, user=user, group=group, extra_groups=groups, preexec_fn=limit)


def limit_files(pids: list[int], most: int) -> None:
    """Let these processes write no file beyond this many bytes."""
    for pid in pids:
        # It may have ended meanwhile.
        with suppress(ProcessLookupError):
            _, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, hard))


async def main(folder: Path, way: str) -> None:
    """Leave PostgreSQL no room under load, and make room again."""
    system = (OnADisk if way == DISK else Limited)(folder)
    try:
        await system.start(workers=1)
        async with entered(system) as world:
            await fill_and_empty(system, world)
    finally:
        system.stop()
    print("passed")


async def fill_and_empty(system: OnADisk, world: World) -> None:
    """The test itself."""
    await world.hook()
    async with world.load(per_second=50):
        await world.written(20)
        with world.fault(outage=True):
            system.fill()
            await until_refused(world)
            # Keep it full for a while.
            await asyncio.sleep(3)
            system.make_room()
            async with asyncio.TaskGroup() as together:
                watch = together.create_task(watch_over(system.postgres))
                await system.healthy()
                watch.cancel()
        await world.written(20)
    assert not [answer for answer in world.refused if not answer.startswith("503 ")], world.refused
    tally = await world.keeps_the_rule()
    print(tally, dict(world.refused), world.unanswered)


async def watch_over(postgres: PrivatePostgres) -> None:
    """Restart PostgreSQL if it ends: it does if it cannot write its log, perhaps a moment after there is room again."""
    while True:
        if postgres.process is None or postgres.process.poll() is not None:
            postgres.start()
        await asyncio.sleep(0.1)


async def until_refused(world: World) -> None:
    """Wait until mutations fail. PostgreSQL continues for a while in space that it has reserved."""
    async with asyncio.timeout(60):
        while world.refused.total() + world.unanswered < 5:
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
