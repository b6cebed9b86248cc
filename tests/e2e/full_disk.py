"""F17 in a mount namespace of its own, where PostgreSQL's data lie on a disk of a few megabytes that is then full.

`python -m tests.e2e.full_disk` runs it; mounting needs no root where the kernel lets anybody make user namespaces.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.e2e.system import System
from tests.e2e.world import World, entered

DISK_MEGABYTES = 160
DEADLINE_SECONDS = 180
# As root: mount, and go on as root. Else: root of a namespace to mount, and then nobody special again, for PostgreSQL
# does not run as root.
MOUNT = 'mount -t tmpfs -o size="$2"m none "$1/postgres-disk" && chmod 711 "$1" && '
AS_ROOT = ("unshare", "--mount", "sh", "-c", MOUNT + 'shift 2 && exec "$@"', "sh")
AS_ANYBODY = (
    "unshare", "--user", "--map-root-user", "--mount", "sh", "-c",
    MOUNT + 'shift 2 && exec unshare --user --map-user=1000 --map-group=1000 "$@"', "sh",
)  # fmt: skip


def run_apart() -> "subprocess.CompletedProcess[str] | None":
    """Run it in a namespace; None where there can be none."""
    with tempfile.TemporaryDirectory(prefix="hookline-disk-") as folder:
        (Path(folder) / "postgres-disk").mkdir()
        place = (*(AS_ROOT if os.geteuid() == 0 else AS_ANYBODY), folder, str(DISK_MEGABYTES))
        try:
            subprocess.run([*place, "true"], check=True, capture_output=True, timeout=30)
        except (OSError, subprocess.SubprocessError):
            return None
        command = [*place, sys.executable, "-m", "tests.e2e.full_disk", folder]
        return subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=DEADLINE_SECONDS, check=False
        )


class OnADisk(System):
    """PostgreSQL's data on the small disk, everything else beside it."""

    @property
    def disk(self) -> Path:
        """The disk."""
        return self.folder / "postgres-disk"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, data=folder / "postgres-disk" / "data", more={"max_wal_size": "32MB"})


async def main(folder: Path) -> None:
    """Fill the disk under load, and make room again."""
    system = OnADisk(folder)
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
            ballast = system.disk / "ballast"
            fill(ballast)
            await until_refused(world)
            # What is full stays so for a while.
            await asyncio.sleep(3)
            ballast.unlink()
            if system.postgres.process is None or system.postgres.process.poll() is not None:
                # PostgreSQL gives up where it cannot write its log; whoever watches over it starts it again.
                system.postgres.start()
            await system.healthy()
        await world.written(20)
    assert not [answer for answer in world.refused if not answer.startswith("503 ")], world.refused
    tally = await world.keeps_the_rule()
    print(tally, dict(world.refused), world.unanswered)


def fill(ballast: Path) -> None:
    """Write until there is no room, down to the last block."""
    with ballast.open("wb", buffering=0) as file:
        for size in (1024 * 1024, 4096, 512):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue


async def until_refused(world: World) -> None:
    """Wait until mutations fail. PostgreSQL goes on for a while in the room that it has set aside."""
    async with asyncio.timeout(60):
        while world.refused.total() + world.unanswered < 5:
            await asyncio.sleep(0.05)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
