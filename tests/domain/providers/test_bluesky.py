"""What a PDS may answer, beyond what a healthy one does (tests/providers/test_bluesky.py)."""

import json
from datetime import timedelta
from typing import Any

import pytest

from domain.errors import FaultCode
from domain.providers.bluesky import Bluesky
from domain.providers.interface import (
    BadInput,
    CredentialsRefused,
    NewCredentials,
    ProviderUnreachable,
    Published,
    PublishingAccount,
    Rejected,
    TryLater,
    Unauthorized,
)
from domain.sender import Sender
from tests.providers.tries import Tries
from tests.receiver import Answer, Receiver

LOGIN = "/xrpc/com.atproto.server.createSession"
REFRESH = "/xrpc/com.atproto.server.refreshSession"
PUT = "/xrpc/com.atproto.repo.putRecord"
FIND = "/xrpc/com.atproto.repo.getRecord"
RESOLVE = "/xrpc/com.atproto.identity.resolveHandle"
PROFILE = "/xrpc/app.bsky.actor.getProfile"
SESSION = {"did": "did:plc:alice", "handle": "alice.test", "accessJwt": "access-2", "refreshJwt": "refresh-2"}
GUARD = Answer(403, {"Content-Type": "text/html"}, "<html><title>403 Forbidden</title>")
FAMILY = "👨‍👩‍👧‍👦"


def said(document: Any, status: int = 200, **headers: str) -> Answer:
    """A JSON answer."""
    return Answer(status, {name.replace("_", "-"): value for name, value in headers.items()}, json.dumps(document))


def error(status: int, name: str, message: str = "", **headers: str) -> Answer:
    """A refusal in the words of XRPC."""
    return said({"error": name, "message": message}, status, **headers)


def on_its_way(sender: Sender, receiver: Receiver, text: str = "Hello") -> Tries:
    """A text on its way to the account."""
    credentials = {"server": receiver.url.rstrip("/"), "password": "app-password", "refresh": "refresh-1"}
    account = PublishingAccount("did:plc:alice", "alice.test", {}, credentials)
    return Tries(Bluesky(), sender, account, text)


def put(receiver: Receiver) -> list[Any]:
    """The bodies of all records that were put."""
    return [json.loads(each.body) for each in receiver.requests if each.path == PUT]


@pytest.mark.parametrize(
    ("text", "length", "limit", "unit"),
    [
        pytest.param("Hello", 5, 300, "characters", id="plain"),
        pytest.param("é" * 300, 300, 300, "characters", id="as long as allowed"),
        pytest.param("é" * 301, 301, 300, "characters", id="too long"),
        pytest.param(FAMILY * 120, 120, 300, "characters", id="3,000 bytes"),
        pytest.param(FAMILY * 120 + "x", 3001, 3000, "bytes", id="3,001 bytes"),
        pytest.param(FAMILY * 301, 301, 300, "characters", id="both"),
    ],
)
def test_a_text_is_measured_by_the_limit_that_it_meets_first(text: str, length: int, limit: int, unit: str) -> None:
    measure = Bluesky().measure(text, {})
    assert (measure.length, measure.limit, measure.unit) == (length, limit, unit)
    assert measure.fits is (length <= limit)


def test_a_preview_names_what_would_be_linked() -> None:
    measure = Bluesky().measure("#tag by @alice.test at https://example.com.", {})
    assert measure.links == ("#tag", "@alice.test", "https://example.com")


async def test_the_network_knows_name_and_picture_best(sender: Sender, receiver: Receiver) -> None:
    receiver.answer(said(SESSION), path=LOGIN)
    known = {"did": "did:plc:alice", "displayName": "Alice", "avatar": "https://cdn.example/a.jpg"}
    receiver.answer(said(known), path=PROFILE)
    profile = await Bluesky().check(sender, NewCredentials(receiver.url, "alice.test", "app-password"))
    assert (profile.name, profile.image) == ("Alice", "https://cdn.example/a.jpg")


async def test_an_account_is_authorised_again_by_its_did_for_its_handle_may_have_changed(
    sender: Sender, receiver: Receiver
) -> None:
    receiver.answer(said(SESSION), path=LOGIN)
    await Bluesky().check(sender, NewCredentials(receiver.url, "old.test", "app-password", "did:plc:alice"))
    login = json.loads(receiver.requests[0].body)
    assert login == {"identifier": "did:plc:alice", "password": "app-password"}


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        pytest.param(error(401, "AuthenticationRequired", "Invalid identifier or password"), "Invalid", id="password"),
        pytest.param(error(401, "AuthFactorTokenRequired", "A sign in code"), "app password", id="own password"),
        pytest.param(error(401, "AccountTakedown", "Account has been taken down"), "taken down", id="takedown"),
        pytest.param(error(400, "InvalidRequest", "Input/identifier must be"), "Input/identifier", id="identifier"),
        pytest.param(said(SESSION | {"active": False, "status": "deactivated"}), "deactivated", id="not active"),
    ],
)
async def test_a_refused_login_says_why(sender: Sender, receiver: Receiver, answer: Answer, words: str) -> None:
    receiver.answer(answer, path=LOGIN)
    with pytest.raises(CredentialsRefused, match=words):
        await Bluesky().check(sender, NewCredentials(receiver.url, "alice.test", "app-password"))


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(502), id="an outage"),
        pytest.param(GUARD, id="a guard against robots"),
        pytest.param(Answer(400, {}, "<html><title>400 Bad Request</title>"), id="a proxy that reads nothing"),
        pytest.param(error(429, "RateLimitExceeded"), id="a limit"),
        pytest.param(Answer(200, {}, "<html>"), id="a page"),
        pytest.param(said({"did": "did:plc:alice"}), id="no session"),
        pytest.param(said([]), id="a list"),
    ],
)
async def test_a_server_that_does_not_answer_as_it_should_is_unreachable(
    sender: Sender, receiver: Receiver, answer: Answer
) -> None:
    receiver.answer(answer, path=LOGIN)
    with pytest.raises(ProviderUnreachable):
        await Bluesky().check(sender, NewCredentials(receiver.url, "alice.test", "app-password"))


@pytest.mark.parametrize(
    ("identifier", "password", "fault"),
    [
        pytest.param(None, "x", ("identifier", FaultCode.REQUIRED), id="no handle"),
        pytest.param("@alice", "x", ("identifier", FaultCode.INVALID), id="half a handle"),
        pytest.param("alice.test", None, ("credential", FaultCode.REQUIRED), id="no password"),
    ],
)
async def test_what_cannot_be_right_is_a_fault_of_its_field(
    sender: Sender, identifier: str | None, password: str | None, fault: tuple[str, FaultCode]
) -> None:
    with pytest.raises(BadInput) as caught:
        await Bluesky().check(sender, NewCredentials(None, identifier, password))
    assert (caught.value.field, caught.value.code) == fault


async def test_a_post_is_put_under_a_fixed_key_with_a_refreshed_session(sender: Sender, receiver: Receiver) -> None:
    receiver.answer(said(SESSION), path=REFRESH)
    receiver.answer(said({"uri": "at://x", "cid": "y"}), path=PUT)
    way = on_its_way(sender, receiver)
    result = await way.once()
    assert isinstance(result, Published)
    assert result.credentials is not None
    assert result.credentials["refresh"] == "refresh-2"
    assert [each.headers["Authorization"] for each in receiver.requests] == ["Bearer refresh-1", "Bearer access-2"]
    [body] = put(receiver)
    assert body["repo"] == "did:plc:alice"
    assert body["record"] == {"$type": "app.bsky.feed.post", "text": "Hello", "createdAt": "2026-03-01T12:00:00.123Z"}
    assert way.progress == {"rkey": body["rkey"], "created_at": "2026-03-01T12:00:00.123Z"}
    assert result.provider_post_id == f"at://did:plc:alice/app.bsky.feed.post/{body['rkey']}"


@pytest.mark.parametrize("first", [Answer(502), Answer(200, {}, "<html>"), error(429, "RateLimitExceeded")])
async def test_every_try_puts_the_same_record(sender: Sender, receiver: Receiver, first: Answer) -> None:
    receiver.answer(said(SESSION), said(SESSION), path=REFRESH)
    receiver.answer(first, said({"uri": "at://x", "cid": "y"}), path=PUT)
    way = on_its_way(sender, receiver)
    assert isinstance(await way.once(), TryLater)
    assert isinstance(await way.once(later=timedelta(minutes=5)), Published)
    one, two = put(receiver)
    assert one == two


async def test_a_session_that_was_refreshed_is_kept_though_the_post_failed(sender: Sender, receiver: Receiver) -> None:
    receiver.answer(said(SESSION), path=REFRESH)
    receiver.answer(502, path=PUT)
    result = await on_its_way(sender, receiver).once()
    assert isinstance(result, TryLater)
    assert result.credentials is not None
    assert result.credentials["refresh"] == "refresh-2"
    assert "refresh-2" not in repr(result)


@pytest.mark.parametrize(
    "refusal", [error(400, "ExpiredToken"), error(400, "InvalidToken"), error(401, "AuthMissing"), Answer(404)]
)
async def test_a_session_that_has_ended_is_opened_again(sender: Sender, receiver: Receiver, refusal: Answer) -> None:
    receiver.answer(refusal, path=REFRESH)
    receiver.answer(said(SESSION), path=LOGIN)
    receiver.answer(said({"uri": "at://x", "cid": "y"}), path=PUT)
    assert isinstance(await on_its_way(sender, receiver).once(), Published)
    login = json.loads(receiver.requests[1].body)
    assert login == {"identifier": "did:plc:alice", "password": "app-password"}


async def test_a_limit_on_logins_waits_as_long_as_the_server_says(sender: Sender, receiver: Receiver) -> None:
    receiver.answer(error(400, "ExpiredToken"), path=REFRESH)
    receiver.answer(error(429, "RateLimitExceeded", RateLimit_Reset="1772366700"), path=LOGIN)
    result = await on_its_way(sender, receiver).once()
    assert isinstance(result, TryLater)
    # 1772366700 is 2026-03-01T12:05:00Z.
    assert timedelta(minutes=4, seconds=59) < result.wait <= timedelta(minutes=5)


async def test_an_outage_during_the_refresh_does_not_use_up_a_login(sender: Sender, receiver: Receiver) -> None:
    receiver.answer(502, path=REFRESH)
    assert isinstance(await on_its_way(sender, receiver).once(), TryLater)
    assert [each.path for each in receiver.requests] == [REFRESH]


@pytest.mark.parametrize(
    "refusal",
    [error(401, "AuthMissing"), error(403, "AccountTakedown"), error(400, "InvalidToken"), error(400, "ExpiredToken")],
)
async def test_a_fresh_token_that_is_refused_takes_the_authorization_away(
    sender: Sender, receiver: Receiver, refusal: Answer
) -> None:
    receiver.answer(said(SESSION), path=REFRESH)
    receiver.answer(refusal, path=PUT)
    assert isinstance(await on_its_way(sender, receiver).once(), Unauthorized)


async def test_a_refused_record_is_final_and_says_why(sender: Sender, receiver: Receiver) -> None:
    receiver.answer(said(SESSION), path=REFRESH)
    receiver.answer(error(400, "InvalidRequest", "Record/text must not be longer than 300 graphemes"), path=PUT)
    result = await on_its_way(sender, receiver).once()
    assert isinstance(result, Rejected)
    assert result.message.endswith("Record/text must not be longer than 300 graphemes")


HARDLY_A_PDS = [GUARD, Answer(404), Answer(301, {"Location": "https://b.example/"}), Answer(200, {}, "<html>Soon")]


@pytest.mark.parametrize("answer", HARDLY_A_PDS)
async def test_who_is_not_the_pds_refuses_no_login(sender: Sender, receiver: Receiver, answer: Answer) -> None:
    receiver.answer(answer, path=REFRESH)
    receiver.answer(answer, path=LOGIN)
    assert isinstance(await on_its_way(sender, receiver).once(), TryLater)


@pytest.mark.parametrize("answer", HARDLY_A_PDS)
async def test_nor_a_post(sender: Sender, receiver: Receiver, answer: Answer) -> None:
    receiver.answer(said(SESSION), path=REFRESH)
    receiver.answer(answer, path=PUT)
    assert isinstance(await on_its_way(sender, receiver).once(), TryLater)


# What Bluesky's PDS answers, and what https://github.com/ascorbic/cirrus answers.
@pytest.mark.parametrize("missing", [error(400, "RecordNotFound"), error(404, "RecordNotFound")])
@pytest.mark.parametrize("look", [Answer(503), error(429, "RateLimitExceeded"), *HARDLY_A_PDS])
async def test_a_record_that_may_stand_is_not_put_anew(
    sender: Sender, receiver: Receiver, look: Answer, missing: Answer
) -> None:
    receiver.answer(*[said(SESSION)] * 3, path=REFRESH)
    receiver.answer(502, said({"uri": "at://x", "cid": "y"}), path=PUT)
    receiver.answer(look, missing, path=FIND)
    way = on_its_way(sender, receiver)
    await way.once()
    assert isinstance(await way.once(timedelta(minutes=11)), TryLater)
    assert len(put(receiver)) == 1
    assert isinstance(await way.once(timedelta(minutes=1)), Published)
    first, second = (body["record"]["createdAt"] for body in put(receiver))
    assert first < second


async def test_a_mention_of_nobody_stays_text_and_one_that_cannot_be_looked_up_now_waits(
    sender: Sender, receiver: Receiver
) -> None:
    way = on_its_way(sender, receiver, "@nobody.test and @bob.test and @Bob.test")
    receiver.answer(said(SESSION), said(SESSION), path=REFRESH)
    receiver.answer(error(400, "InvalidRequest"), 502, path=RESOLVE)
    assert isinstance(await way.once(), TryLater)
    assert put(receiver) == []
    receiver.answer(error(400, "InvalidRequest"), said({"did": "did:plc:bob"}), path=RESOLVE)
    receiver.answer(said({"uri": "at://x", "cid": "y"}), path=PUT)
    assert isinstance(await way.once(), Published)
    facets = put(receiver)[0]["record"]["facets"]
    assert [facet["features"][0]["did"] for facet in facets] == ["did:plc:bob", "did:plc:bob"]
    assert [facet["index"] for facet in facets] == [{"byteStart": 17, "byteEnd": 26}, {"byteStart": 31, "byteEnd": 40}]


async def test_a_text_full_of_mentions_costs_a_bounded_number_of_look_ups(sender: Sender, receiver: Receiver) -> None:
    way = on_its_way(sender, receiver, " ".join(f"@a{number}.test" for number in range(100)))
    receiver.answer(said(SESSION), path=REFRESH)
    receiver.answer(*[error(400, "InvalidRequest")] * 100, path=RESOLVE)
    await way.once()
    assert len([each for each in receiver.requests if each.path.startswith(RESOLVE)]) == 20


async def test_a_handle_without_proof_is_not_used_in_the_public_address(sender: Sender, receiver: Receiver) -> None:
    receiver.answer(said(SESSION | {"handle": "handle.invalid"}), path=REFRESH)
    receiver.answer(said({"uri": "at://x", "cid": "y"}), path=PUT)
    result = await on_its_way(sender, receiver).once()
    assert isinstance(result, Published)
    assert result.external_url is not None
    assert result.external_url.startswith("https://bsky.app/profile/did:plc:alice/post/")
