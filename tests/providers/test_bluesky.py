"""Bluesky, against a real PDS and judged by Bluesky's own client library."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain.providers.bluesky import Bluesky
from domain.providers.interface import (
    CredentialsRefused,
    NewCredentials,
    ProviderUnreachable,
    Published,
    Rejected,
    TryLater,
    Unauthorized,
)
from domain.sender import Sender
from tests.providers.pds_server import Pds, PdsAccount
from tests.providers.relay import Relay
from tests.providers.tries import NOW, Tries, account_of

FAMILY = "👨‍👩‍👧‍👦"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)


async def tries(sender: Sender, server: str, account: PdsAccount, text: str) -> Tries:
    """A text on its way to an account that has just been added."""
    profile = await Bluesky().check(sender, NewCredentials(server, account.handle, account.app_password))
    return Tries(Bluesky(), sender, account_of(profile), text)


async def test_an_account_is_described_by_its_pds(sender: Sender, pds: Pds, someone: PdsAccount) -> None:
    profile = await Bluesky().check(sender, NewCredentials(pds.url + "/", "@" + someone.handle, someone.app_password))
    assert profile.provider_id == someone.did
    assert profile.name == profile.username == someone.handle
    assert profile.image is None
    assert profile.data == {"server": pds.url, "max_graphemes": 300, "max_bytes": 3000}
    assert someone.app_password not in repr(profile)


async def test_name_and_picture_come_from_the_profile_record(sender: Sender, pds: Pds, someone: PdsAccount) -> None:
    picture = await pds.upload(someone, PNG, "image/png")
    record = {"$type": "app.bsky.actor.profile", "displayName": f"Zoë {FAMILY}", "avatar": picture}
    await pds.set_profile(someone, record)
    profile = await Bluesky().check(sender, NewCredentials(pds.url, someone.handle, someone.app_password))
    assert profile.name == f"Zoë {FAMILY}"
    assert profile.image is not None
    answer = await sender.call("GET", profile.image)
    assert answer.body == PNG


async def test_a_wrong_password_is_refused(sender: Sender, pds: Pds, someone: PdsAccount) -> None:
    with pytest.raises(CredentialsRefused, match="Invalid identifier or password"):
        await Bluesky().check(sender, NewCredentials(pds.url, someone.handle, "abcd-abcd-abcd-abcd"))


async def test_a_server_that_is_no_pds_is_unreachable(sender: Sender, someone: PdsAccount) -> None:
    with pytest.raises(ProviderUnreachable, match="cannot be reached"):
        await Bluesky().check(sender, NewCredentials("http://127.0.0.1:2", someone.handle, "x"))


async def test_a_post_reads_back_as_it_was_written(sender: Sender, pds: Pds, someone: PdsAccount) -> None:
    friend = await pds.add_account()
    text = f"Grüße {FAMILY}, see https://example.com/ä?q=1. @{friend.handle}, @nobody.test and #Ölkännchen!"
    on_its_way = await tries(sender, pds.url, someone, text)
    result = await on_its_way.once()
    assert isinstance(result, Published)
    [record] = await pds.posts(someone.did)
    assert record["uri"] == result.provider_post_id
    key = record["uri"].rpartition("/")[2]
    assert result.external_url == f"https://bsky.app/profile/{someone.handle}/post/{key}"
    assert record["value"]["text"] == text
    assert record["value"]["createdAt"] == "2026-03-01T12:00:00.123Z"
    marked = [
        (text.encode()[facet["index"]["byteStart"] : facet["index"]["byteEnd"]].decode(), facet["features"])
        for facet in record["value"]["facets"]
    ]
    assert marked == [
        ("https://example.com/ä?q=1", [{"$type": "app.bsky.richtext.facet#link", "uri": "https://example.com/ä?q=1"}]),
        (f"@{friend.handle}", [{"$type": "app.bsky.richtext.facet#mention", "did": friend.did}]),
        ("#Ölkännchen", [{"$type": "app.bsky.richtext.facet#tag", "tag": "Ölkännchen"}]),
    ]


async def test_the_longest_text_that_fits_is_taken_and_a_longer_one_is_not(
    sender: Sender, pds: Pds, someone: PdsAccount
) -> None:
    longest = FAMILY * 120
    assert len(longest.encode()) == 3000
    for text, fits in ((longest, True), (longest + "x", False), ("é" * 300, True), ("é" * 301, False)):
        on_its_way = await tries(sender, pds.url, someone, text)
        on_its_way.key = text
        assert Bluesky().measure(text, {}).fits is fits
        result = await on_its_way.once()
        assert isinstance(result, Published if fits else Rejected), result


async def test_a_lost_answer_leaves_exactly_one_post(
    sender: Sender, pds: Pds, pds_relay: Relay, someone: PdsAccount
) -> None:
    on_its_way = await tries(sender, pds_relay.url, someone, "Once and no more")
    pds_relay.lose_answer_to("putRecord")
    assert isinstance(await on_its_way.once(), TryLater)
    [made] = await pds.posts(someone.did)
    result = await on_its_way.once(later=timedelta(seconds=30))
    assert isinstance(result, Published)
    assert result.provider_post_id == made["uri"]
    assert await pds.posts(someone.did) == [made]


async def test_a_lost_answer_leaves_one_post_though_the_next_try_comes_hours_later(
    sender: Sender, pds: Pds, pds_relay: Relay, someone: PdsAccount
) -> None:
    on_its_way = await tries(sender, pds_relay.url, someone, "Once and no more")
    pds_relay.lose_answer_to("putRecord")
    assert isinstance(await on_its_way.once(), TryLater)
    made = await pds.posts(someone.did)
    assert isinstance(await on_its_way.once(later=timedelta(hours=5)), Published)
    assert await pds.posts(someone.did) == made


async def test_a_post_that_had_to_wait_for_hours_carries_the_time_at_which_it_appears(
    sender: Sender, pds: Pds, someone: PdsAccount
) -> None:
    on_its_way = await tries(sender, pds.url, someone, "Late")
    on_its_way.progress = {"rkey": "3mg4qkpfzzc2s", "created_at": NOW.isoformat()}
    assert isinstance(await on_its_way.once(later=timedelta(hours=5)), Published)
    [record] = await pds.posts(someone.did)
    assert record["uri"].endswith("/3mg4qkpfzzc2s")
    assert record["value"]["createdAt"] == "2026-03-01T17:00:00.123Z"


async def test_a_post_made_before_the_process_died_is_not_made_again(
    sender: Sender, pds: Pds, someone: PdsAccount
) -> None:
    on_its_way = await tries(sender, pds.url, someone, "Dies after the answer")
    reborn = replace(on_its_way)
    assert isinstance(await on_its_way.once(), Published)
    # Only the progress that the dead process had stored is left; its refreshed session is lost.
    reborn.progress = on_its_way.progress
    assert isinstance(await reborn.once(later=timedelta(minutes=1)), Published)
    assert len(await pds.posts(someone.did)) == 1


async def test_a_session_that_has_ended_is_opened_again_with_the_password(
    sender: Sender, pds: Pds, someone: PdsAccount
) -> None:
    on_its_way = await tries(sender, pds.url, someone, "Still here")
    kept = on_its_way.account.credentials
    on_its_way.account = replace(on_its_way.account, credentials={**kept, "refresh": "garbage"})
    assert isinstance(await on_its_way.once(), Published)
    assert on_its_way.account.credentials["refresh"] not in {"garbage", kept["refresh"]}


async def test_a_kept_session_spares_the_password(
    sender: Sender, pds: Pds, pds_relay: Relay, someone: PdsAccount
) -> None:
    on_its_way = await tries(sender, pds_relay.url, someone, "Cheap")
    pds_relay.seen.clear()
    await on_its_way.once()
    assert "POST /xrpc/com.atproto.server.createSession" not in pds_relay.seen


async def test_a_revoked_app_password_is_noticed_at_the_next_post(
    sender: Sender, pds: Pds, someone: PdsAccount
) -> None:
    on_its_way = await tries(sender, pds.url, someone, "Too late")
    await pds.revoke_app_password(someone)
    result = await on_its_way.once()
    assert isinstance(result, Unauthorized)
    assert "Invalid identifier or password" in result.message
    assert await pds.posts(someone.did) == []


async def test_an_account_that_was_taken_down_is_no_longer_authorized(
    sender: Sender, pds: Pds, someone: PdsAccount
) -> None:
    on_its_way = await tries(sender, pds.url, someone, "Too late")
    await pds.take_down(someone)
    result = await on_its_way.once()
    assert isinstance(result, Unauthorized)
    assert "taken down" in result.message


async def test_an_account_that_was_taken_down_cannot_be_added(sender: Sender, pds: Pds, someone: PdsAccount) -> None:
    await pds.take_down(someone)
    with pytest.raises(CredentialsRefused, match="refused the login"):
        await Bluesky().check(sender, NewCredentials(pds.url, someone.handle, someone.app_password))


async def test_the_time_of_a_post_is_that_of_its_first_try(sender: Sender, pds: Pds, someone: PdsAccount) -> None:
    on_its_way = await tries(sender, pds.url, someone, "Now")
    on_its_way.now = datetime.now(UTC)
    assert isinstance(await on_its_way.once(), Published)
    first = on_its_way.progress
    assert isinstance(await on_its_way.once(later=timedelta(minutes=1)), Published)
    assert on_its_way.progress == first
