"""What servers with the Mastodon API may answer, beyond what a healthy one does (tests/providers/test_mastodon.py)."""

import json
from datetime import timedelta
from typing import Any

import pytest

from domain.errors import FaultCode
from domain.providers.interface import (
    BadInput,
    CredentialsRefused,
    LostLease,
    NewCredentials,
    ProviderUnreachable,
    Publication,
    Published,
    PublishingAccount,
    Rejected,
    TryLater,
    Unauthorized,
)
from domain.providers.mastodon import Mastodon
from domain.sender import Sender
from tests.domain.providers.mastodon_answers import (
    ACCOUNT,
    GUARD,
    LIST,
    POST,
    VERIFY,
    on_its_way,
    posted,
    said,
    status,
)
from tests.providers.tries import NOW, Tries
from tests.receiver import Answer, Receiver


async def check(sender: Sender, receiver: Receiver, token: str | None = "secret") -> dict[str, Any]:
    return (await Mastodon().check(sender, NewCredentials(receiver.url, None, token))).data


async def test_limits_come_from_the_description_of_mastodon_4(sender: Sender, receiver: Receiver) -> None:
    receiver.answer(said(ACCOUNT), path=VERIFY)
    limits = {"max_characters": 5000, "characters_reserved_per_url": 25}
    receiver.answer(said({"configuration": {"statuses": limits}}), path="/api/v2/instance")
    receiver.answer(said([]), path=LIST)
    data = await check(sender, receiver)
    assert (data["max_characters"], data["characters_per_link"]) == (5000, 25)
    assert Mastodon().measure("https://example.com", data).length == 25
    assert Mastodon().measure("a" * 5001, data).fits is False


@pytest.mark.parametrize(
    ("described", "limit"),
    [
        pytest.param({"max_toot_chars": 2000}, 2000, id="as Pleroma says it"),
        pytest.param({}, 500, id="not at all"),
        pytest.param({"max_toot_chars": "many"}, 500, id="in words"),
        pytest.param({"max_toot_chars": True}, 500, id="as a truth"),
        pytest.param({"max_toot_chars": -1}, 500, id="below zero"),
        pytest.param([], 500, id="as a list"),
    ],
)
async def test_limits_of_older_servers_are_found_or_taken_to_be_mastodons(
    sender: Sender, receiver: Receiver, described: Any, limit: int
) -> None:
    receiver.answer(said(ACCOUNT), path=VERIFY)
    receiver.answer(404, path="/api/v2/instance")
    receiver.answer(said(described), path="/api/v1/instance")
    receiver.answer(said([]), path=LIST)
    assert (await check(sender, receiver))["max_characters"] == limit


@pytest.mark.parametrize("code", [401, 403, 422])
async def test_a_refused_token_is_told_with_the_servers_words(sender: Sender, receiver: Receiver, code: int) -> None:
    receiver.answer(said({"error": "The access token is invalid"}, code), path=VERIFY)
    with pytest.raises(CredentialsRefused, match="The access token is invalid"):
        await check(sender, receiver)


async def test_a_token_that_cannot_read_statuses_is_refused_when_it_is_given(
    sender: Sender, receiver: Receiver
) -> None:
    receiver.answer(said(ACCOUNT), path=VERIFY)
    receiver.answer(said({"error": "This action is outside the authorized scopes"}, 403), path=LIST)
    with pytest.raises(CredentialsRefused, match="read:statuses"):
        await check(sender, receiver)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(502), id="an outage"),
        pytest.param(Answer(429), id="a limit"),
        pytest.param(Answer(404), id="not found"),
        pytest.param(GUARD, id="a guard against robots"),
        pytest.param(Answer(301, {"Location": "https://elsewhere.example/"}), id="a redirect"),
        pytest.param(Answer(200, {}, "<html>"), id="a page"),
        pytest.param(Answer(200, {}, "[" * 100000), id="nested JSON"),
        pytest.param(said({"name": "no id"}), id="another document"),
    ],
)
async def test_a_server_that_does_not_answer_as_it_should_is_unreachable(
    sender: Sender, receiver: Receiver, answer: Answer
) -> None:
    receiver.answer(answer, path=VERIFY)
    with pytest.raises(ProviderUnreachable):
        await check(sender, receiver)


async def test_a_missing_token_and_a_forbidden_address_are_faults_of_their_fields(sender: Sender) -> None:
    with pytest.raises(BadInput) as missing:
        await Mastodon().check(sender, NewCredentials("social.example"))
    assert (missing.value.field, missing.value.code) == ("credential", FaultCode.REQUIRED)
    with pytest.raises(BadInput) as forbidden:
        await Mastodon().check(sender, NewCredentials("http://169.254.169.254", None, "secret"))
    assert (forbidden.value.field, forbidden.value.code) == ("server", FaultCode.ADDRESS_REFUSED)


async def test_a_picture_or_an_address_that_is_no_web_address_is_left_out(sender: Sender, receiver: Receiver) -> None:
    hostile = {"id": "7", "username": "alice", "avatar": "javascript:alert(1)", "url": "data:text/html,x"}
    receiver.answer(said(hostile), path=VERIFY)
    receiver.answer(said([]), path=LIST)
    profile = await Mastodon().check(sender, NewCredentials(receiver.url, None, "secret"))
    assert (profile.image, profile.data["url"], profile.name) == (None, None, "alice")


async def test_a_status_is_posted_with_its_key(sender: Sender, receiver: Receiver) -> None:
    receiver.answer(said([status(1)]), path=LIST)
    receiver.answer(said(status(2)), path=POST)
    assert await on_its_way(sender, receiver).once() == Published("2", "https://social.example/@alice/2")
    request = receiver.requests[-1]
    assert request.headers["Idempotency-Key"] == "post-1-account-1"
    assert request.headers["Authorization"] == "Bearer secret"
    assert request.headers["User-Agent"].startswith("Hookline/")
    assert json.loads(request.body) == {"status": "Hello"}


async def test_nothing_is_posted_when_another_worker_has_taken_over(sender: Sender, receiver: Receiver) -> None:
    async def lost(progress: dict[str, Any]) -> None:
        raise LostLease

    receiver.answer(said([]), path=LIST)
    account = on_its_way(sender, receiver).account
    with pytest.raises(LostLease):
        await Mastodon().publish(sender, Publication(account, "Hello", "key", NOW, remember=lost))
    assert posted(receiver) == []


async def test_a_limit_waits_as_long_as_the_server_says(sender: Sender, receiver: Receiver) -> None:
    receiver.answer(said([]), path=LIST)
    receiver.answer(said({"error": "Too many"}, 429, X_RateLimit_Reset="2026-03-01T12:10:00.000000Z"), path=POST)
    result = await on_its_way(sender, receiver).once()
    assert isinstance(result, TryLater)
    assert timedelta(minutes=9, seconds=59) < result.wait <= timedelta(minutes=10)


@pytest.mark.parametrize("code", [401, 403])
async def test_refused_credentials_take_the_authorization_away(sender: Sender, receiver: Receiver, code: int) -> None:
    receiver.answer(said([]), path=LIST)
    receiver.answer(said({"error": "The access token was revoked"}, code), path=POST)
    result = await on_its_way(sender, receiver).once()
    assert isinstance(result, Unauthorized)
    assert result.message.endswith("The access token was revoked")
    assert "secret" not in result.message


@pytest.mark.parametrize("code", [400, 404, 410, 413, 422])
async def test_a_refused_status_is_final_and_says_why(sender: Sender, receiver: Receiver, code: int) -> None:
    receiver.answer(said([]), path=LIST)
    receiver.answer(said({"error": "Validation failed: Text limit of 500 exceeded"}, code), path=POST)
    result = await on_its_way(sender, receiver).once()
    assert isinstance(result, Rejected)
    assert "Validation failed: Text limit of 500 exceeded" in result.message


@pytest.mark.parametrize(
    "answer", [Answer(404, {}, "<html>"), GUARD, Answer(302, {"Location": "https://elsewhere.example/"})]
)
async def test_what_is_not_the_server_s_own_refuses_nothing(sender: Sender, receiver: Receiver, answer: Answer) -> None:
    receiver.answer(answer, said([]), path=LIST)
    receiver.answer(answer, path=POST)
    way = on_its_way(sender, receiver)
    assert isinstance(await way.once(), TryLater)
    assert posted(receiver) == []
    assert isinstance(await way.once(), TryLater)
    assert len(posted(receiver)) == 1


async def test_a_server_that_is_gone_is_tried_again(sender: Sender) -> None:
    account = PublishingAccount("7@x", "alice", {}, {"server": "http://127.0.0.1:2", "token": "secret"})
    result = await Tries(Mastodon(), sender, account, "Hello").once()
    assert isinstance(result, TryLater)
    assert result.message == "127.0.0.1:2 cannot be reached."
