"""The link that signs in, in a real Chromium."""

import re
import subprocess
from pathlib import Path

from cli.programs import CHECKOUT
from tests import node
from tests.running import environment, up

HERE = Path(__file__).parent
BUILT = CHECKOUT / "web" / "dist" / "index.html"
SECONDS = 120


def test_the_link_of_the_first_screen_opens_the_dashboard_signed_in_and_works_once(tmp_path: Path) -> None:
    assert BUILT.exists(), "the pages are not built: make web"
    node.install(HERE)
    with up(tmp_path / "data") as running:
        (link,) = re.findall(r"^http://\S+/signin#code=\S+$", running.until_ready().output, re.MULTILINE)
        command = [str(node.NODE), "--test", "--test-reporter=spec", "first_screen.test.mjs"]
        told = environment(LINK=link)
        done = subprocess.run(command, cwd=HERE, env=told, capture_output=True, text=True, timeout=SECONDS, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert running.stop() == 0
