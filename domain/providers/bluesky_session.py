"""Sessions on a personal data server (PDS) of Bluesky: logging in, and staying logged in."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlencode

from domain.providers.answers import Reply, ask, host_of, key, try_later, with_words
from domain.providers.interface import (
    Caller,
    CredentialsRefused,
    ProviderUnreachable,
    Publication,
    PublishResult,
    Unauthorized,
)

# A PDS answers 400 to an identifier, a password or a token that it cannot read, or that is no longer valid.
REFUSED: Final = frozenset({400, 401, 403})


@dataclass(frozen=True, slots=True)
class Session:
    """A login on a PDS."""

    did: str
    handle: str
    access: str
    refresh: str


@dataclass(frozen=True, slots=True)
class Home:
    """A PDS, and perhaps a token for it."""

    caller: Caller
    server: str
    token: str | None = None

    @property
    def host(self) -> str:
        """The host (and port), as a person names the server."""
        return host_of(self.server)

    def with_token(self, token: str) -> "Home":
        """The same PDS with this token."""
        return replace(self, token=token)

    async def query(self, method: str, parameters: Mapping[str, str]) -> Reply:
        """Call a method that reads; raises CallFailed."""
        return await ask(self.caller, "GET", self.address_of(method, parameters), token=self.token)

    async def procedure(self, method: str, body: Any = None, secret: str | None = None) -> Reply:
        """Call a method that changes something; raises CallFailed."""
        return await ask(self.caller, "POST", self.address_of(method), token=self.token, body=body, secret=secret)

    async def log_in(self, identifier: str, password: str) -> Reply:
        """Ask for a session; raises CallFailed."""
        body = {"identifier": identifier, "password": password}
        return await self.procedure("com.atproto.server.createSession", body, secret=password)

    def address_of(self, method: str, parameters: Mapping[str, str] | None = None) -> str:
        """The URL of a method."""
        return f"{self.server}/xrpc/{method}" + (f"?{urlencode(parameters)}" if parameters else "")


def checked_session(reply: Reply, host: str) -> Session:
    """The session in the answer to a login. Raises CredentialsRefused, or ProviderUnreachable."""
    if reply.text("error") == "AuthFactorTokenRequired":
        raise CredentialsRefused("This account asks for a code by mail: give an app password, not its own password.")
    if _is_refused(reply):
        raise CredentialsRefused(with_words(f"{host} refused the login", reply))
    if reply.status == 429:
        raise ProviderUnreachable(f"{host} limits logins: try again in some minutes.")
    session = _session_of(reply)
    if session is None:
        raise ProviderUnreachable(f"{host} does not answer as a Bluesky server (status {reply.status}).")
    if reply.at("active") is False:
        raise CredentialsRefused(f"This account is not active ({reply.words('status') or 'no reason given'}).")
    return session


async def open_session(home: Home, publication: Publication) -> Session | PublishResult:
    """Refresh the session, or log in if it has ended."""
    credentials = publication.account.credentials
    if kept := credentials.get("refresh"):
        reply = await home.with_token(kept).procedure("com.atproto.server.refreshSession")
        if session := _session_of(reply):
            return session
        if reply.temporary:
            return try_later(reply, publication.now, home.host)
        if reply.text("error") == "AccountTakedown":
            # A login would only say that the password is wrong.
            return Unauthorized(with_words(f"{home.host} refused the account", reply))
    reply = await home.log_in(publication.account.provider_id, credentials["password"])
    if session := _session_of(reply):
        return session
    if not _is_refused(reply):
        return try_later(reply, publication.now, home.host)
    # The password worked when the account was authorised: the server no longer accepts it.
    return Unauthorized(with_words(f"{home.host} refused the login", reply))


def kept_credentials(publication: Publication, session: Session) -> dict[str, Any] | None:
    """The account's credentials with this session's refresh token; None if they already have it."""
    was = publication.account.credentials
    return None if was.get("refresh") == session.refresh else {**was, "refresh": session.refresh}


def _is_refused(reply: Reply) -> bool:
    """Whether the PDS itself refuses a login: then it names an error, as XRPC requires."""
    return reply.status in REFUSED and bool(reply.text("error"))


def _session_of(reply: Reply) -> Session | None:
    did, handle = key(reply.at("did")), key(reply.at("handle"))
    access, refresh = reply.text("accessJwt"), reply.text("refreshJwt")
    return Session(did, handle, access, refresh) if reply.ok and did and handle and access and refresh else None
