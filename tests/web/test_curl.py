"""The command that a delivery's page offers for repeating an attempt, run by a shell."""

import asyncio
from pathlib import Path

import pytest

from tests import node
from tests.receiver import Receiver

HERE = Path(__file__).parent
PAYLOAD = {"event": "post.created", "data": {"body": 'It\'s "quoted" \\ @file %00 [x] {y} 🎉'}}


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", '{"event":"post.created","data":{"body":"It\'s \\"quoted\\" \\\\ @file %00 [x] {y} 🎉"}}'),
        (
            "application/x-www-form-urlencoded",
            "payload=%7B%22event%22%3A%22post.created%22%2C%22data%22%3A%7B%22body%22%3A%22It%27s+%5C%22quoted%5C%22+%5C%5C"
            "+%40file+%2500+%5Bx%5D+%7By%7D+%F0%9F%8E%89%22%7D%7D",
        ),
    ],
    ids=["json", "form"],
)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_the_command_repeats_the_request(method: str, content_type: str, body: str, receiver: Receiver) -> None:
    own = {"Content-Type": content_type, "X-Quoted": 'it\'s; a "test"', "X-Empty": "", "User-Agent": ""}
    attempt = {
        "requestMethod": method,
        # By itself, curl would take this for many addresses.
        "requestUrl": receiver.url_of("/hook?ids[]=1&range=[1-3]&either={a,b}"),
        "requestHeaders": [{"name": name, "value": value} for name, value in own.items()],
    }
    command = node.run(HERE / "curl.mjs", given={"attempt": attempt, "delivery": {"event": {"payload": PAYLOAD}}})

    shell = await asyncio.create_subprocess_exec("sh", "-c", command, stdout=asyncio.subprocess.DEVNULL)

    assert await shell.wait() == 0
    (request,) = receiver.requests
    assert (request.method, request.path) == (method, "/hook?ids[]=1&range=[1-3]&either={a,b}")
    assert {name: request.headers.get(name) for name in own} == own
    assert request.body.decode() == body
