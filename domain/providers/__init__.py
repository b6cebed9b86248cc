"""The networks that posts can go to. Each is one file, and one line here."""

from domain.providers.bluesky import Bluesky
from domain.providers.interface import ProviderClient
from domain.providers.mastodon import Mastodon
from domain.providers.sandbox import Sandbox
from domain.vocabulary import Provider

CLIENTS: dict[Provider, ProviderClient] = {
    Provider.MASTODON: Mastodon(),
    Provider.BLUESKY: Bluesky(),
    Provider.SANDBOX: Sandbox(),
}


def client_for(provider: Provider) -> ProviderClient:
    """The client of a network."""
    return CLIENTS[provider]
