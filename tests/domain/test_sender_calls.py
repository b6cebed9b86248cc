"""The sender's calls to networks: what goes out, how much may come back, and how calls fail."""

import asyncio

import pytest

from domain.post_checks import MOST_ACCOUNTS
from domain.sender import NETWORK_CONNECTIONS, CallFailed, SenderLimits
from domain.version import VERSION
from domain.vocabulary import AttemptOutcome
from tests.domain.name_server import NameServer
from tests.domain.sending import LOOPBACK, connections, sending, sending_by
from tests.receiver import Answer, Receiver
from workers.publish import PLACES

# More than the connections that `sending` has for deliveries.
MOST_AT_ONCE = 110


async def test_a_network_is_called_with_json_or_with_nothing(receiver: Receiver) -> None:
    receiver.answer(Answer(201, {"X-Limit": "3"}, '{"id": "é"}'))
    async with sending() as sender:
        answer = await sender.call("POST", receiver.url, headers={"Authorization": "Bearer x"}, json={"text": "ü"})
        await sender.call("GET", receiver.url)
    first, second = receiver.requests
    assert (answer.status, answer.body) == (201, '{"id": "é"}'.encode())
    assert ("X-Limit", "3") in answer.headers
    assert (first.body, first.headers["Content-Type"]) == ('{"text": "ü"}'.encode(), "application/json")
    assert first.headers["Authorization"] == "Bearer x"
    assert (second.method, second.body, second.headers["User-Agent"]) == ("GET", b"", f"Hookline/{VERSION}")


async def test_a_call_goes_where_it_was_sent_and_nowhere_else(receiver: Receiver) -> None:
    receiver.answer(Answer(307, {"Location": receiver.url_of("/elsewhere")}))
    async with sending() as sender:
        answer = await sender.call("POST", receiver.url, headers={"Authorization": "Bearer x"}, json={})
    assert (answer.status, [request.path for request in receiver.requests]) == (307, ["/"])


async def test_each_call_has_a_connection_of_its_own(receiver: Receiver) -> None:
    async with sending() as sender:
        with connections() as connected:
            for _ in range(2):
                await sender.call("GET", receiver.url)
    assert len(connected) == 2


async def test_a_network_that_hangs_keeps_no_other_one_waiting(receiver: Receiver) -> None:
    over = asyncio.Event()
    receiver.answer(*[Answer(after=over)] * MOST_AT_ONCE, path="/hangs")
    async with sending(limits=SenderLimits()) as sender, asyncio.TaskGroup() as group:
        for _ in range(MOST_AT_ONCE):
            group.create_task(sender.call("GET", receiver.url_of("/hangs")))
        await receiver.wait_for(MOST_AT_ONCE)
        assert (await sender.call("GET", receiver.url)).status == 200
        over.set()


def test_there_are_connections_for_all_accounts_of_all_posts_that_are_published_at_once() -> None:
    assert NETWORK_CONNECTIONS >= PLACES * MOST_ACCOUNTS


@pytest.mark.parametrize(("size", "fits"), [(1024 * 1024, True), (1024 * 1024 + 1, False)])
async def test_a_network_may_answer_one_mebibyte(size: int, fits: bool, receiver: Receiver) -> None:
    receiver.answer(Answer(200, body="x" * size))
    async with sending(limits=SenderLimits()) as sender:
        if fits:
            assert len((await sender.call("GET", receiver.url)).body) == size
        else:
            with pytest.raises(CallFailed) as caught:
                await sender.call("GET", receiver.url)
            assert caught.value.kind is AttemptOutcome.INVALID_RESPONSE


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("http://10.0.0.1/", AttemptOutcome.ADDRESS_REFUSED),
        ("http://private.test/", AttemptOutcome.ADDRESS_REFUSED),
        ("http://broken.test/", AttemptOutcome.DNS_FAILED),
        ("http://127.0.0.1:1023/", AttemptOutcome.CONNECTION_FAILED),
        ("no url", AttemptOutcome.CONNECTION_FAILED),
    ],
)
async def test_a_call_that_cannot_have_arrived_says_how_it_failed(
    url: str, kind: AttemptOutcome, names: NameServer
) -> None:
    names.addresses, names.broken = {"private.test": ("10.0.0.1",)}, {"broken.test"}
    async with sending_by(names, LOOPBACK) as sender:
        with pytest.raises(CallFailed) as caught:
            await sender.call("POST", url, json={})
    assert caught.value.kind is kind
