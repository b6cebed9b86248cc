"""The dashboard and GraphiQL in a real Chromium, on all of Hookline as `hookline up` runs it."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import asyncpg
import pytest

from cli.opening import settings_of
from cli.programs import CHECKOUT
from tests import node
from tests.running import Up, ask, environment, hookline, up

HERE = Path(__file__).parent
# The script that measures must have the machine to itself.
SCRIPTS = {"dashboard.test.mjs": (), "speed.test.mjs": (pytest.mark.alone,)}
BUILT = CHECKOUT / "web" / "dist" / "index.html"
# The longest script takes a good minute on two idle cores.
SECONDS = 900
LARGE = 10_000

# For an event that no test causes, so the number of its deliveries does not change.
MAKE_WEBHOOK = """mutation {
  webhookCreate(
    input: {name: "Large", callbackUrl: "http://127.0.0.1:9999/", events: [ACCOUNT_UNAUTHORIZED], maxAttempts: 1}
  ) {
    webhook { id uuid } errors { message }
  }
}"""
TEST_IT = """mutation($id: ID!) {
  webhookTest(id: $id, eventType: ACCOUNT_UNAUTHORIZED) { delivery { uuid } errors { message } }
}"""
# Copies of one delivery over the last two days, oldest first, four in five of them succeeded.
MULTIPLY = """
INSERT INTO delivery (uuid, workspace_id, event_id, webhook_id, event_type, status, is_test, max_attempts,
                      attempt_count, interrupted_count, attempt_number, due_at, retry_after, change, created_at,
                      finished_at)
SELECT gen_random_uuid(), workspace_id, event_id, webhook_id, event_type,
       CASE WHEN number % 5 = 0 THEN 'failed' ELSE 'succeeded' END, false, 1, 1, 0, 1, made, false, 3, made,
       made + interval '80 milliseconds'
FROM delivery, generate_series(1, $2) AS number,
     LATERAL (SELECT now() - interval '2 days' + number * interval '17 seconds' AS made) AS times
WHERE uuid = $1::uuid
"""


async def make_large_webhook(access: dict[str, Any], database_url: str) -> str:
    """A webhook with 10,000 deliveries in its log; its id."""
    webhook_id: str = ask(access, MAKE_WEBHOOK)["webhookCreate"]["webhook"]["id"]
    delivery = ask(access, TEST_IT, id=webhook_id)["webhookTest"]["delivery"]
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(MULTIPLY, delivery["uuid"], LARGE - 1)
    finally:
        await connection.close()
    return webhook_id


def names_of(script: str) -> list[str]:
    """The tests of a script in their order: they run together, because later ones use what earlier ones have made."""
    text = (HERE / script).read_text()
    parts = re.findall(r"^import '\./(dashboard/.+)';", text, re.MULTILINE)
    whole = [text, *((HERE / part).read_text() for part in parts)]
    return [name for each in whole for name in re.findall(r"^test\('(.+)', async", each, re.MULTILINE)]


@pytest.fixture(scope="module")
def verdicts_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], dict[str, str | None]]]:
    """Runs a script, once; the outcome of each of its tests: None if it passed, otherwise the failure's text.

    All scripts run on one system.
    """
    assert BUILT.exists(), "the pages are not built: make web"
    node.install(HERE)
    folder = tmp_path_factory.mktemp("browser")
    with up(folder / "data") as running:
        running.until_ready()
        told = about(running, folder / "data")
        yield cache(lambda script: run(script, told, folder / f"{script}.xml"))
        assert running.stop() == 0


def token_of_a_new_workspace(data: Path) -> str:
    """An admin's token for a new workspace, in which nothing has happened yet."""
    assert hookline("workspace", "create", "New", "--data", str(data)).returncode == 0
    return hookline("token", "create", "--workspace", "New", "--role", "admin", "--data", str(data)).stdout.strip()


def about(running: Up, data: Path) -> dict[str, str]:
    """The variables that tell the scripts about the running system."""
    access, settings = running.access, settings_of(data)
    (link,) = re.findall(r"^http://\S+/signin#code=\S+$", running.output, re.MULTILINE)
    return environment(
        LINK=link,
        HOOKLINE_URL=access["url"],
        HOOKLINE_TOKEN=access["token"],
        WORKER_PID=str(running.parts()["worker"].pid),
        LARGE_WEBHOOK=asyncio.run(make_large_webhook(access, settings.database_url)),
        NEW_TOKEN=token_of_a_new_workspace(data),
        REDIS_URL=settings.redis_url,
        PYTHON=sys.executable,
    )


def run(script: str, told: dict[str, str], report: Path) -> dict[str, str | None]:
    reporters = ["--test-reporter=spec", "--test-reporter-destination=stdout"]
    reporters += ["--test-reporter=junit", f"--test-reporter-destination={report}"]
    command = [str(node.NODE), "--test", *reporters, script]
    done = subprocess.run(command, cwd=HERE, env=told, capture_output=True, text=True, timeout=SECONDS, check=False)
    print(done.stdout, done.stderr, sep="\n")
    found = {case.attrib["name"]: case.findtext("failure") for case in ElementTree.parse(report).iter("testcase")}
    # A script that cannot be read, or fails before its first test, reports none.
    assert found.keys() >= set(names_of(script)), done.stdout + done.stderr
    return found


@pytest.mark.parametrize(
    ("script", "name"),
    [
        pytest.param(script, name, marks=marks, id=name)
        for script, marks in SCRIPTS.items()
        for name in names_of(script)
    ],
)
def test_in_a_real_browser(script: str, name: str, verdicts_of: Callable[[str], dict[str, str | None]]) -> None:
    assert verdicts_of(script)[name] is None, verdicts_of(script)[name]
