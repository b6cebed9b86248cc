"""`hookline doctor`: what is configured, reachable and migrated, what is wrong, and what to do about it."""

import asyncio
import errno
import json
import resource
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import asyncpg
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError
from rich.table import Table
from rich.text import Text

from cli import ailments, sealed
from cli.output import Output, duration
from cli.postgres import Server
from cli.programs import is_our_api, try_port
from domain import backlog, database, queue, tracing
from domain import settings as reading
from domain.errors import HooklineError, Misconfigured
from domain.live import served_by
from domain.settings import Settings
from domain.vault import Vault

KEY_TO_LOOK_WITH = bytes(reading.KEY_BYTES)
# Receivers refuse signatures that are five minutes old; a few seconds are noise.
CLOCK_NOISE = timedelta(seconds=5)
CLOCK_FAULT = timedelta(seconds=60)
LONG_DUE = timedelta(minutes=1)
REDIS_SECONDS = 2.0


class Verdict(StrEnum):
    """The result of a check."""

    OK = "ok"
    WARNING = "warning"
    FAULT = "fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, and what to do if something is wrong."""

    check: str
    verdict: Verdict
    says: str
    remedy: str = ""


MARKS = {Verdict.OK: ("ok", "green"), Verdict.WARNING: ("warning", "yellow"), Verdict.FAULT: ("FAULT", "bold red")}


async def run(environ: Mapping[str, str], output: Output, *, as_json: bool) -> bool:
    """Examine what these variables describe, and show each finding; returns whether none of them is a fault."""
    well = True
    async for finding in examine(environ):
        well &= finding.verdict is not Verdict.FAULT
        show(finding, output, as_json=as_json)
    return well


def show(finding: Finding, output: Output, *, as_json: bool) -> None:
    """One finding, for people or for programs."""
    if as_json:
        fields = {"check": finding.check, "verdict": finding.verdict, "says": finding.says, "remedy": finding.remedy}
        output.say(json.dumps(fields))
        return
    mark, style = MARKS[finding.verdict]
    output.show(_row(Text(mark, style), Text(finding.check, "bold"), Text(finding.says)))
    if finding.remedy:
        output.show(_row(Text(), Text(), Text(finding.remedy, "cyan")))


def _row(mark: Text, check: Text, says: Text) -> Table:
    """One row; a text that is too long for the terminal wraps within its column."""
    row = Table.grid(padding=(0, 2, 0, 0))
    row.add_column(width=7, justify="right")
    row.add_column(width=8)
    row.add_row(mark, check, says)
    return row


async def examine(environ: Mapping[str, str]) -> AsyncIterator[Finding]:
    """The findings of all checks, each as soon as it is there. No check changes anything permanently."""
    values, faults = reading.read(environ)
    settings = Settings(**{"database_url": "", "redis_url": "", "secret_keys": (KEY_TO_LOOK_WITH,), **values})
    for name in reading.unread(environ):
        yield Finding(
            "settings", Verdict.WARNING, f"{name} is not a setting of Hookline", ailments.remedy_for_name(name)
        )
    for finding in told(settings, faults):
        yield finding
    yield files(settings)
    if not ailments.trusts_anybody():
        yield Finding("trust", Verdict.WARNING, *ailments.TRUSTS_NOBODY)
    yield await asyncio.to_thread(port, settings)
    if settings.redis_url:
        async for finding in redis(settings):
            yield finding
    if settings.database_url:
        async for finding in postgres(settings, datetime.now(UTC), can_open="secret_keys" in values):
            yield finding


def told(settings: Settings, faults: Sequence[Misconfigured]) -> Iterator[Finding]:
    """Whether the settings can be read (`faults` are those that cannot) and do not contradict each other."""
    found = [*faults, *settings.contradictions()]
    try:
        tracing.check(settings)
    except Misconfigured as error:
        found.append(error)
    for fault in found:
        yield Finding("settings", Verdict.FAULT, str(fault), ailments.remedy_for_setting(str(fault)))
    if not found:
        yield Finding("settings", Verdict.OK, "all required settings are set, and they do not contradict each other")


def files(settings: Settings) -> Finding:
    """Whether the processes may open as many sockets as they are told to hold."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    sockets, name = max(
        (settings.worker_concurrency, "HOOKLINE_WORKER_CONCURRENCY"),
        (settings.sockets_per_process, "HOOKLINE_SOCKETS_PER_PROCESS"),
    )
    needed = sockets + 200
    if most != resource.RLIM_INFINITY and most < needed:
        return Finding(
            "files",
            Verdict.WARNING,
            f"a process may open {most} files, and {name} needs {sockets}",
            f"Raise the limit (ulimit -Hn {needed}), or lower {name}.",
        )
    return Finding("files", Verdict.OK, "enough files may be open at once")


def port(settings: Settings) -> Finding:
    """Whether the API can listen, or does so already."""
    place = f"{settings.host}:{settings.port}"
    try:
        try_port(settings.host, settings.port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            says = f"cannot listen on {place}: {error.strerror or error}"
            return Finding("port", Verdict.FAULT, says, ailments.remedy_for_listening(error))
        if is_our_api(settings.host, settings.port):
            return Finding("port", Verdict.OK, f"Hookline's API answers at {place}")
        return Finding(
            "port",
            Verdict.FAULT,
            f"another program listens on {place}",
            f"Stop it (`ss -ltnp 'sport = :{settings.port}'` names it), or set HOOKLINE_PORT to another port.",
        )
    return Finding("port", Verdict.OK, f"{place} is free")


async def redis(settings: Settings) -> AsyncIterator[Finding]:
    """Whether Redis answers, does what is needed, and keeps what it is given."""
    try:
        client = queue.connect(settings.redis_url)
    except Misconfigured as error:
        yield Finding("redis", Verdict.FAULT, str(error), ailments.CORRECT_IT)
        return
    try:
        async with asyncio.timeout(REDIS_SECONDS):
            about = await client.info()
            # arq calls DBSIZE when it starts, and live updates use scripts.
            await client.dbsize()
            await client.register_script("return 1")()
            if unfit := ailments.of_redis(about):
                yield Finding("redis", Verdict.FAULT, *unfit)
                return
            for place in ailments.REDIS_PLACES:
                await client.set(f"{place}doctor", "", ex=1)
            # Streams, and sorted sets, such as arq's queue. There are no keys of these names, and none are made.
            await client.xadd("hookline:doctor:none", {"e": ""}, nomkstream=True)
            await client.xread({"hookline:doctor:none": 0})
            await client.zadd("arq:doctor:none", {"e": 0}, xx=True)
            yield Finding("redis", Verdict.OK, f"{ailments.name_of_redis(about)} answers")
            async for finding in _kept(client):
                yield finding
    except (RedisError, OSError, TimeoutError) as error:
        yield Finding("redis", Verdict.FAULT, *ailments.of_redis_away(error))
    finally:
        await client.aclose()


async def _kept(client: Redis) -> AsyncIterator[Finding]:
    try:
        for name, wanted, why in ailments.REDIS_SETTINGS:
            found = (await client.config_get(name)).get(name, wanted)
            if found != wanted:
                yield Finding("redis", Verdict.WARNING, f"{name} is {found}: {why}", f"Set {name} to {wanted}.")
    except ResponseError as error:
        if not ailments.is_refused_command(error):
            raise
        says = "it does not show its configuration; check appendonly and noeviction yourself"
        yield Finding("redis", Verdict.OK, says)


async def postgres(settings: Settings, now: datetime, *, can_open: bool) -> AsyncIterator[Finding]:
    """Whether PostgreSQL answers and is migrated, its clock and our keys are right, and what is due in it is done.

    `now` is this machine's time. `can_open` says whether the settings have keys to try.
    """
    try:
        server = await Server.met(settings)
    except (*database.OUT_OF_REACH, asyncpg.PostgresError, HooklineError) as error:
        yield Finding("database", Verdict.FAULT, *ailments.of_postgres(error, settings.database_url))
        return
    for says, remedy in server.faults():
        yield Finding("database", Verdict.FAULT, says, remedy)
        return
    yield Finding("database", Verdict.OK, f"PostgreSQL {server.version} answers")
    for says, remedy in server.doubts(settings.database_url):
        yield Finding("session", Verdict.WARNING, says, remedy)
    yield clock(now, server.time)
    async with database.connected(settings):
        if not await database.is_migrated():
            says = "the tables are missing, or of an earlier version"
            yield Finding("tables", Verdict.FAULT, says, server.remedy_for_tables())
            return
        yield Finding("tables", Verdict.OK, "every migration of this version has run")
        if settings.redis_url and await serves_another(settings):
            yield Finding("redis", Verdict.FAULT, *ailments.FOREIGN)
        if can_open:
            yield await keys(Vault(settings.secret_keys))
        yield await work()


async def serves_another(settings: Settings) -> bool:
    """Whether Redis, if it answers, says that it serves a database other than the connected one."""
    with suppress(RedisError, OSError, TimeoutError, Misconfigured):
        async with asyncio.timeout(REDIS_SECONDS), queue.connect(settings.redis_url) as client:
            return await served_by(client) not in {None, await database.identity()}
    return False


def clock(ours: datetime, theirs: datetime) -> Finding:
    """Whether this machine and the database agree what time it is."""
    ahead = ours - theirs
    if abs(ahead) <= CLOCK_NOISE:
        return Finding("clock", Verdict.OK, "this machine and the database agree what time it is")
    direction = "ahead of" if ahead > timedelta(0) else "behind"
    return Finding(
        "clock",
        Verdict.FAULT if abs(ahead) >= CLOCK_FAULT else Verdict.WARNING,
        f"this machine's clock is {duration(abs(ahead))} {direction} the database's: tokens end at the wrong "
        "time, and if the database's is wrong, receivers may refuse signatures as too old",
        "Let NTP set the clock of whichever is wrong (`timedatectl set-ntp true`).",
    )


async def keys(vault: Vault) -> Finding:
    """Whether the keys open the sealed values."""
    looked = await sealed.look(vault)
    if looked.unopened:
        return Finding("keys", Verdict.FAULT, sealed.unopened(looked), sealed.REMEDY)
    if not looked.all_of_them:
        return Finding(
            "keys",
            Verdict.OK,
            f"the keys open the first {looked.opened:,} of the sealed values; there was no time for more",
        )
    return Finding("keys", Verdict.OK, "the keys open what is sealed" if looked.opened else "nothing is sealed yet")


async def work() -> Finding:
    """Whether workers deliver and publish what is due."""
    owed = await backlog.measure()
    counts = {
        "deliveries": (owed.due, owed.oldest_due),
        "posts": (owed.due_posts, owed.oldest_due_post),
    }
    late = [
        f"{what} due: {count:,}, the oldest for {duration(oldest)}"
        for what, (count, oldest) in counts.items()
        if oldest > LONG_DUE
    ]
    if late:
        remedy = "Start `hookline worker`, or more of them; `hookline status` shows how it goes."
        return Finding("work", Verdict.WARNING, "; ".join(late), remedy)
    return Finding("work", Verdict.OK, f"deliveries due: {owed.due:,}, in flight: {owed.in_flight:,}")
