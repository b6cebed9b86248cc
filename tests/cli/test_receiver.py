"""The receiver that comes with `hookline up`: what it takes, and what it shows."""

import asyncio
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import aiohttp
import psutil
import pytest

from cli import welcome
from cli.data_folder import DataFolder
from cli.output import Output
from cli.receiver import Receiver, beginning, port_in, summary
from domain import signing, workspaces
from domain.errors import Refused
from domain.settings import Settings
from domain.unit import opened

SECRET = "a secret"


@pytest.mark.parametrize(
    ("method", "body", "headers", "line"),
    [
        ("POST", b'{"data": {"name": "Ada"}}', {}, 'genuine x "Ada"'),
        ("PUT", b'{"data": {"uuids": []}}', {}, "genuine x"),
        (
            "POST",
            b"payload=%7B%22data%22%3A+%7B%22name%22%3A+%22Ada%22%7D%7D",
            {"Content-Type": "application/x-www-form-urlencoded"},
            'genuine x "Ada"',
        ),
        ("POST", '{"data": {"name": "a\\u001b[31mb\u202ec"}}'.encode(), {}, r'genuine x "a\x1b[31mb\u202ec"'),
        ("POST", b"\xff", {}, "genuine x"),
        ("POST", b"[]", {}, "genuine x"),
        ("POST", b'{"data": ["a"]}', {}, "genuine x"),
        ("POST", b"a=b", {"Content-Type": "application/x-www-form-urlencoded"}, "genuine x"),
        (
            "POST",
            b'{"data": {"versions": [{"content": [{"body": "%b"}, {"body": "b"}]}]}}' % (b"a" * 2**20),
            {},
            f'genuine x "{"a" * 57}..."',
        ),
    ],
    ids=[
        "an account",
        "a list",
        "a form",
        "what a terminal would obey",
        "no text",
        "no object",
        "no data",
        "no payload",
        "a very long post",
    ],
)
async def test_the_receiver_takes_every_form_of_a_delivery_and_both_signatures_of_a_rotation(
    method: str, body: bytes, headers: dict[str, str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    receiver = Receiver(Output())
    url = await receiver.listen(SECRET)
    signature = signing.hex_signature(SECRET.encode(), body)
    async with aiohttp.ClientSession() as http:
        for signed in ({"X-Signature": signature}, {"X-Signature": "é", "X-Signature-Previous": signature}):
            told = {"X-Hookline-Event": "x", **headers, **signed}
            async with http.request(method, url, data=BytesIO(body), headers=told) as answer:
                assert answer.status == 200
        await receiver.close()
        with pytest.raises(aiohttp.ClientConnectionError):
            await http.post(url)
    assert capsys.readouterr().out.splitlines() == [f"receiver | {line}"] * 2


async def test_what_a_stranger_sends_is_a_short_line_whatever_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    receiver = Receiver(Output())
    port = port_in(await receiver.listen(SECRET))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    headers = (b"Host: x", b"Connection: close", b"X-Signature: \xff", b"X-Hookline-Event: " + b"x" * 61)
    writer.write(b"\r\n".join((b"GET / HTTP/1.1", *headers, b"", b"")))
    assert (await reader.readline()).split()[1] == b"401"
    writer.close()
    await receiver.close()
    line = f"receiver | FORGED {'x' * 57}...: not signed with the secret of the built-in receiver\n"
    assert capsys.readouterr().out == line


async def test_where_deliveries_may_not_go_to_this_machine_nothing_listens(tmp_path: Path, settings: Settings) -> None:
    def listening() -> set[int]:
        found = psutil.Process().net_connections("tcp")
        return {each.laddr[1] for each in found if each.status == psutil.CONN_LISTEN}

    before = listening()
    closed, workspace = replace(settings, allowed_networks=()), None
    # At the first start, and at one after a start when they could go there.
    for start in (closed, settings, closed):
        async with opened(start) as domain:
            workspace = workspace or await workspaces.create("Test")
            receiver = Receiver(Output())
            if start is settings:
                assert await welcome.receive(domain, workspace, DataFolder(tmp_path), receiver)
                await receiver.close()
            else:
                with pytest.raises(Refused, match="Deliveries may not go there"):
                    await welcome.receive(domain, workspace, DataFolder(tmp_path), receiver)
        assert listening() == before


def test_what_is_shown_is_short_and_on_one_line() -> None:
    assert beginning("a\n b\tc") == "a b c"
    assert beginning("x" * 60) == "x" * 60
    assert beginning("x" * 61) == "x" * 57 + "..."
    assert summary({"versions": []}) == ""
    assert summary({"name": "x" * 61}) == f'"{"x" * 57}..."'


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9000/",
        "http://127.0.0.2:9/built-in-receiver",
        "https://127.0.0.1:9/built-in-receiver",
        "http://[::1/",
        "http://127.0.0.1:99999/built-in-receiver",
    ],
)
def test_a_url_of_another_receiver_is_left_alone(url: str) -> None:
    assert port_in(url) is None
