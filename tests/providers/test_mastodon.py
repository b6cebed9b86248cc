"""The Mastodon API, against snac: a real server that ignores `Idempotency-Key`, so only looking prevents duplicates."""

import json
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from domain.providers.interface import (
    CredentialsRefused,
    NewCredentials,
    ProviderUnreachable,
    Published,
    TryLater,
    Unauthorized,
)
from domain.providers.mastodon import Mastodon
from domain.sender import Sender
from tests.providers.relay import Relay, relaying
from tests.providers.snac_server import Snac
from tests.providers.tries import Tries, account_of

TEXT = "Grüße 👨‍👩‍👧‍👦 :-) see https://example.com/a?b=1&c=2, *bold* & <plain>\n\n#Zweiter Absatz"


@dataclass(frozen=True)
class User:
    """A user of the server, with an access token."""

    name: str
    token: str


@pytest.fixture
async def user(snac: Snac) -> User:
    name, password = snac.add_user()
    return User(name, await snac.access_token(name, password))


async def tries(sender: Sender, server: str, user: User, text: str = TEXT) -> Tries:
    """A text on its way to an account that has just been added."""
    profile = await Mastodon().check(sender, NewCredentials(server, None, user.token))
    return Tries(Mastodon(), sender, account_of(profile), text)


def id_of(on_its_way: Tries) -> str:
    """The account's id on its server."""
    return on_its_way.account.provider_id.partition("@")[0]


async def test_an_account_is_described_by_its_server(sender: Sender, snac: Snac, user: User) -> None:
    profile = await Mastodon().check(sender, NewCredentials(snac.url + "/@somebody", None, user.token))
    assert profile.provider_id.endswith("@" + snac.url.removeprefix("http://"))
    assert profile.name == profile.username == user.name
    assert profile.image == f"{snac.url}/susie.png"
    assert profile.data == {
        "server": snac.url,
        "url": f"{snac.url}/{user.name}",
        "max_characters": 100000,
        "characters_per_link": 32,
    }
    assert user.token not in repr(profile)


async def test_a_bad_token_is_refused(sender: Sender, snac: Snac) -> None:
    with pytest.raises(CredentialsRefused):
        await Mastodon().check(sender, NewCredentials(snac.url, None, "bad"))


async def test_a_server_without_the_mastodon_api_is_told_apart(sender: Sender, snac: Snac, user: User) -> None:
    async with relaying(snac.url + "/nothing-here") as elsewhere:
        with pytest.raises(ProviderUnreachable, match="does not answer as a server with the Mastodon API"):
            await Mastodon().check(sender, NewCredentials(elsewhere.url, None, user.token))


async def test_a_status_reads_back_as_it_was_written(sender: Sender, snac: Snac, user: User) -> None:
    on_its_way = await tries(sender, snac.url, user)
    result = await on_its_way.once()
    assert isinstance(result, Published)
    [status] = await snac.statuses(id_of(on_its_way))
    assert (status["id"], status["url"]) == (result.provider_post_id, result.external_url)
    headers = {"Authorization": f"Bearer {user.token}"}
    source = await sender.call("GET", f"{snac.url}/api/v1/statuses/{status['id']}/source", headers=headers)
    assert json.loads(source.body)["text"] == TEXT
    assert 'href="https://example.com/a?b=1&amp;c=2"' in status["content"] or "example.com" in status["content"]


async def test_a_lost_answer_leaves_exactly_one_status(
    sender: Sender, snac: Snac, snac_relay: Relay, user: User
) -> None:
    on_its_way = await tries(sender, snac_relay.url, user)
    snac_relay.lose_answer_to("/api/v1/statuses")
    assert isinstance(await on_its_way.once(), TryLater)
    [made] = await snac.statuses(id_of(on_its_way))
    result = await on_its_way.once(later=timedelta(seconds=30))
    assert isinstance(result, Published)
    assert result.provider_post_id == made["id"]
    assert len(await snac.statuses(id_of(on_its_way))) == 1


async def test_this_server_would_make_a_second_status_if_nobody_looked(sender: Sender, snac: Snac, user: User) -> None:
    on_its_way = await tries(sender, snac.url, user)
    await on_its_way.once()
    on_its_way.progress = {}
    await on_its_way.once()
    assert len(await snac.statuses(id_of(on_its_way))) == 2


async def test_a_status_made_before_the_process_died_is_not_made_again(sender: Sender, snac: Snac, user: User) -> None:
    on_its_way = await tries(sender, snac.url, user)
    first = await on_its_way.once()
    assert await on_its_way.once(later=timedelta(hours=3)) == first
    assert len(await snac.statuses(id_of(on_its_way))) == 1


async def test_another_post_with_the_same_words_is_published_too(sender: Sender, snac: Snac, user: User) -> None:
    first = await tries(sender, snac.url, user, "Good morning")
    await first.once()
    second = replace(first, key="post-2-account-1", progress={})
    assert isinstance(await second.once(later=timedelta(days=1)), Published)
    assert len(await snac.statuses(id_of(first))) == 2


async def test_what_others_of_the_workspace_posted_meanwhile_is_not_mistaken_for_it(
    sender: Sender, snac: Snac, snac_relay: Relay, user: User
) -> None:
    on_its_way = await tries(sender, snac_relay.url, user)
    snac_relay.lose_answer_to("/api/v1/statuses")
    await on_its_way.once()
    [made] = await snac.statuses(id_of(on_its_way))
    other = replace(on_its_way, text="Something else", key="post-2-account-1", progress={})
    assert isinstance(await other.once(), Published)
    result = await on_its_way.once(later=timedelta(seconds=30))
    assert isinstance(result, Published)
    assert result.provider_post_id == made["id"]


async def test_a_token_that_is_no_longer_valid_takes_the_authorization_away(
    sender: Sender, snac: Snac, user: User
) -> None:
    on_its_way = await tries(sender, snac.url, user)
    credentials = on_its_way.account.credentials | {"token": "revoked"}
    on_its_way.account = replace(on_its_way.account, credentials=credentials)
    result = await on_its_way.once()
    assert isinstance(result, Unauthorized)
    assert await snac.statuses(id_of(on_its_way)) == []
