"""The README's tour, word for word, by a real shell; only the ports are changed, so that it finds them free."""

import asyncio
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

from cli.programs import CHECKOUT
from cli.up import free_port
from tests.e2e.client import calling
from tests.running import up

README = CHECKOUT / "README.md"
SECONDS = 60


def steps(url: str, receiver_port: int, data: Path) -> list[str]:
    """The commands of the tour."""
    text = README.read_text().replace("http://127.0.0.1:8000", url)
    text = text.replace("127.0.0.1:9000", f"127.0.0.1:{receiver_port}").replace(" 9000 ", f" {receiver_port} ")
    text = text.replace("var/hookline.json", str(data / "hookline.json"))
    text = text.replace(".venv/bin/python", shlex.quote(sys.executable))
    return re.findall(r"```sh\n(.*?)```", text, re.DOTALL)


def test_the_tour_ends_with_a_genuine_delivery_that_was_seen_live_and_with_one_that_waits(tmp_path: Path) -> None:
    with up(tmp_path / "var") as running:
        access = running.until_ready().access
        url = access["url"]
        receiver, *rest = steps(url, free_port("127.0.0.1", 0), running.data)
        received, seen = tmp_path / "received", tmp_path / "seen"
        # A person takes longer to type the next step than the watcher takes to begin.
        begun = f"until curl -s {url}/metrics | grep -q '^hookline_live_subscriptions 1'; do sleep 0.1; done"
        watching = [step.replace(" &\n", f" > {seen} &\n{begun}\n") for step in rest]
        pid = tmp_path / "pid"
        script = f"{receiver.strip()} > {received} &\necho $! > {pid}\n" + "".join(watching)
        shell = subprocess.Popen(["bash", "-c", f"{script}\nwait"], cwd=CHECKOUT, start_new_session=True)
        try:
            told = _wait_for(received, "genuine account.added")
            changes = _wait_for(seen, "SUCCEEDED")
            os.kill(int(pid.read_text()), signal.SIGTERM)
            asyncio.run(_connect_an_account(url, access["token"]))
            broken = _wait_for(seen, "RETRYING")
        finally:
            os.killpg(shell.pid, signal.SIGTERM)
            shell.wait(60)
    assert "'provider': 'sandbox'" in told
    assert re.findall(r"ACCOUNT_ADDED (\w+)", changes) == ["PENDING", "DELIVERING", "SUCCEEDED"]
    assert re.search(r"ACCOUNT_ADDED RETRYING next attempt at \d{4}-\d\d-\d\dT\S+Z$", broken)


async def _connect_an_account(url: str, token: str) -> None:
    async with calling(url, token) as client:
        await client.account()


def _wait_for(file: Path, words: str) -> str:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if file.exists() and words in file.read_text():
            return file.read_text()
        time.sleep(0.1)
    raise AssertionError(f"{words!r} did not come: {file.read_text() if file.exists() else 'nothing'}")
