"""The networks that posts can go to: one file and one line here for each."""

from domain.errors import Fault, FaultCode, Refused
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
    """The client of a network; raises Refused for one that this version cannot publish to."""
    client = CLIENTS.get(provider)
    if client is None:
        message = f"This version of Hookline cannot publish to {provider.value.capitalize()} yet."
        raise Refused(Fault(FaultCode.INVALID, message, ("provider",)))
    return client
