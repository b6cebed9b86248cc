"""Bluesky, on any personal data server (PDS). https://docs.bsky.app/docs/advanced-guides/posts

A post is a record that is put under a key chosen by us, so that putting it again changes nothing. The session is kept
and refreshed before each post: thus a revoked app password or a taken-down account is noticed at once, and the password
itself, of which few uses are allowed, is seldom needed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote, urlencode

from domain.providers.answers import (
    AMBIGUOUS_WAIT,
    Reply,
    ask,
    failed_call,
    host_of,
    key,
    label,
    required,
    server_url,
    shown,
    try_later,
    unreachable,
    web_address,
    with_words,
)
from domain.providers.interface import (
    BadInput,
    Caller,
    CredentialsRefused,
    NewCredentials,
    Profile,
    ProviderUnreachable,
    Publication,
    Published,
    PublishResult,
    Rejected,
    TextMeasure,
    TryLater,
    Unauthorized,
    refused,
)
from domain.providers.richtext import Part, PartKind, byte_offsets, graphemes, parts
from domain.providers.tid import tid
from domain.sender import CallFailed
from domain.vocabulary import Provider

DEFAULT_SERVER: Final = "https://bsky.social"
POSTS: Final = "app.bsky.feed.post"
# The limits of app.bsky.feed.post.
MOST_GRAPHEMES: Final = 300
MOST_BYTES: Final = 3000
# So many different handles of one text are looked up; further ones stay text.
MOST_MENTIONS: Final = 20
# A post that waited longer than this gets a new time, or its readers would find it below what came meanwhile.
STALE: Final = timedelta(minutes=10)


class Bluesky:
    """Any PDS. Stateless: credentials carry the session."""

    name = Provider.BLUESKY

    def faults_of(self, new: NewCredentials) -> list[BadInput]:
        """A server that is none, and what is needed to log in."""
        return refused(lambda: server_url(new.server, DEFAULT_SERVER), lambda: _identifier(new), lambda: _password(new))

    async def check(self, caller: Caller, new: NewCredentials) -> Profile:
        """Log in with the app password and describe the account."""
        server, password = server_url(new.server, DEFAULT_SERVER), _password(new)
        home = _Home(caller, server)
        try:
            session = _checked_session(await home.log_in(_identifier(new), password), home.host)
            shown_name, image = await _appearance(home.with_token(session.access), session.did)
        except CallFailed as failure:
            raise unreachable(failure, home.host) from None
        return Profile(
            provider_id=session.did,
            name=shown_name or session.handle,
            username=session.handle,
            image=image,
            data={"server": server, "max_graphemes": MOST_GRAPHEMES, "max_bytes": MOST_BYTES},
            credentials={"server": server, "password": password, "refresh": session.refresh},
        )

    def measure(self, text: str, account_data: dict[str, Any]) -> TextMeasure:
        """Characters as people see them; in a text of few but long ones, bytes are what counts."""
        linked = tuple(text[part.start : part.end] for part in parts(text))
        length, size = graphemes(text), len(text.encode())
        if length <= MOST_GRAPHEMES and size > MOST_BYTES:
            return TextMeasure(size, MOST_BYTES, linked, unit="bytes")
        return TextMeasure(length, MOST_GRAPHEMES, linked)

    async def publish(self, caller: Caller, publication: Publication) -> PublishResult:
        """Put the post's record, under the same key at every try."""
        home = _Home(caller, publication.account.credentials["server"])
        session: _Session | PublishResult | None = None
        try:
            session = await _open_session(home, publication)
            if not isinstance(session, _Session):
                return session
            result = await _put_once(home.with_token(session.access), session, publication)
        except CallFailed as failure:
            result = failed_call(failure, home.host)
        kept = _kept(publication, session) if isinstance(session, _Session) else None
        return replace(result, credentials=kept)


def _identifier(new: NewCredentials) -> str:
    # An account that is authorised again may have another handle by now; its DID stays.
    identifier = new.provider_id or (new.identifier or "").removeprefix("@")
    return required(identifier, "identifier", "Give the account's handle, for example alice.bsky.social.")


def _password(new: NewCredentials) -> str:
    return required(new.credential, "credential", "Give an app password of the account.")


@dataclass(frozen=True, slots=True)
class _Session:
    """A login on a PDS."""

    did: str
    handle: str
    access: str
    refresh: str


@dataclass(frozen=True, slots=True)
class _Home:
    """A PDS, and perhaps a token to it."""

    caller: Caller
    server: str
    token: str | None = None

    @property
    def host(self) -> str:
        return host_of(self.server)

    def with_token(self, token: str) -> "_Home":
        return replace(self, token=token)

    async def query(self, method: str, parameters: Mapping[str, str]) -> Reply:
        return await ask(self.caller, "GET", self.address_of(method, parameters), token=self.token)

    async def procedure(self, method: str, body: Any = None) -> Reply:
        return await ask(self.caller, "POST", self.address_of(method), token=self.token, body=body)

    async def log_in(self, identifier: str, password: str) -> Reply:
        return await self.procedure(
            "com.atproto.server.createSession", {"identifier": identifier, "password": password}
        )

    def address_of(self, method: str, parameters: Mapping[str, str] | None = None) -> str:
        return f"{self.server}/xrpc/{method}" + (f"?{urlencode(parameters)}" if parameters else "")


def _session_of(reply: Reply) -> _Session | None:
    did, handle = key(reply.at("did")), key(reply.at("handle"))
    access, refresh = reply.text("accessJwt"), reply.text("refreshJwt")
    return _Session(did, handle, access, refresh) if reply.ok and did and handle and access and refresh else None


def _checked_session(reply: Reply, host: str) -> _Session:
    if reply.text("error") == "AuthFactorTokenRequired":
        raise CredentialsRefused("This account asks for a code by mail: give an app password, not its own password.")
    # 400 is what a PDS answers to an identifier or a password that it cannot read.
    if reply.status in {400, 401, 403}:
        raise CredentialsRefused(with_words(f"{host} refused the login", reply))
    if reply.status == 429:
        raise ProviderUnreachable(f"{host} limits logins: try again in some minutes.")
    session = _session_of(reply)
    if session is None:
        raise ProviderUnreachable(f"{host} does not answer as a Bluesky server (status {reply.status}).")
    if reply.at("active") is False:
        raise CredentialsRefused(f"This account is not active ({shown(reply.text('status')) or 'no reason given'}).")
    return session


async def _appearance(home: _Home, did: str) -> tuple[str, str | None]:
    """The account's display name ("" without one) and picture.

    The network's directory knows them best; a PDS that belongs to none still has the record that they come from.
    """
    profile = await home.query("app.bsky.actor.getProfile", {"actor": did})
    if profile.ok and profile.text("did") == did:
        return label(profile.at("displayName")), web_address(profile.at("avatar"))
    query = {"repo": did, "collection": "app.bsky.actor.profile", "rkey": "self"}
    record = await home.query("com.atproto.repo.getRecord", query)
    picture = key(record.at("value", "avatar", "ref", "$link"))
    name = label(record.at("value", "displayName"))
    return name, picture and home.address_of("com.atproto.sync.getBlob", {"did": did, "cid": picture})


def _kept(publication: Publication, session: _Session) -> dict[str, Any] | None:
    was = publication.account.credentials
    return None if was.get("refresh") == session.refresh else {**was, "refresh": session.refresh}


async def _open_session(home: _Home, publication: Publication) -> _Session | PublishResult:
    """Refresh the session, or log in where it has ended."""
    credentials = publication.account.credentials
    if kept := credentials.get("refresh"):
        reply = await home.with_token(kept).procedure("com.atproto.server.refreshSession")
        if session := _session_of(reply):
            return session
        if reply.temporary:
            return try_later(reply, publication.now, home.host)
        if reply.text("error") == "AccountTakedown":
            # The login would only say that the password is wrong.
            return Unauthorized(with_words(f"{home.host} refused the account", reply))
    reply = await home.log_in(publication.account.provider_id, credentials["password"])
    if session := _session_of(reply):
        return session
    if reply.temporary:
        return try_later(reply, publication.now, home.host)
    # The one who asks has not changed: whatever else a PDS says to the same login (400, 401, 403), it no longer works.
    return Unauthorized(with_words(f"{home.host} refused the login", reply))


async def _put_once(home: _Home, session: _Session, publication: Publication) -> PublishResult:
    progress = publication.progress
    rkey = progress.get("rkey") or tid(publication.now, publication.key)
    created_at = progress.get("created_at")
    if created_at is not None and publication.now - datetime.fromisoformat(created_at) > STALE:
        if await _stands(home, session.did, rkey):
            return _published(session, rkey)
        created_at = None
    facets = await _facets(home, publication)
    if not isinstance(facets, list):
        return facets
    if created_at is None:
        created_at = _instant(publication.now)
        await publication.remember({**progress, "rkey": rkey, "created_at": created_at})
    record = {"$type": POSTS, "text": publication.text, "createdAt": created_at}
    if facets:
        record["facets"] = facets
    body = {"repo": session.did, "collection": POSTS, "rkey": rkey, "record": record}
    return _result(await home.procedure("com.atproto.repo.putRecord", body), home.host, session, rkey, publication.now)


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def _stands(home: _Home, did: str, rkey: str) -> bool:
    return (await home.query("com.atproto.repo.getRecord", {"repo": did, "collection": POSTS, "rkey": rkey})).ok


async def _facets(home: _Home, publication: Publication) -> list[dict[str, Any]] | TryLater:
    """What makes parts of the text links; their places are counted in bytes of UTF-8."""
    found = parts(publication.text)
    handles = list(dict.fromkeys(part.value.lower() for part in found if part.kind is PartKind.MENTION))
    dids: dict[str, str] = {}
    for handle in handles[:MOST_MENTIONS]:
        reply = await home.query("com.atproto.identity.resolveHandle", {"handle": handle})
        # 400 is the answer to a handle that nobody has: such a mention stays text.
        if reply.temporary:
            return try_later(reply, publication.now, home.host)
        if reply.ok and reply.text("did"):
            dids[handle] = reply.text("did")
    facets = []
    for part, (start, end) in zip(found, byte_offsets(publication.text, found), strict=True):
        if feature := _feature(part, dids):
            facets.append({"index": {"byteStart": start, "byteEnd": end}, "features": [feature]})
    return facets


def _feature(part: Part, dids: dict[str, str]) -> dict[str, str] | None:
    name, value = {
        PartKind.LINK: ("uri", part.value),
        PartKind.TAG: ("tag", part.value),
        PartKind.MENTION: ("did", dids.get(part.value.lower())),
    }[part.kind]
    return None if value is None else {"$type": f"app.bsky.richtext.facet#{part.kind.value}", name: value}


def _result(reply: Reply, host: str, session: _Session, rkey: str, now: datetime) -> PublishResult:
    if reply.ok and reply.text("uri"):
        return _published(session, rkey)
    if reply.ok:
        return TryLater(AMBIGUOUS_WAIT, f"{host} did not say what became of the post.")
    # The session has just been refreshed: a token that is refused now is refused for good.
    if reply.status in {401, 403} or reply.text("error") in {"ExpiredToken", "InvalidToken", "AccountTakedown"}:
        return Unauthorized(with_words(f"{host} refused the account", reply))
    if reply.temporary:
        return try_later(reply, now, host)
    return Rejected(with_words(f"{host} refused the post ({reply.status})", reply))


def _published(session: _Session, rkey: str) -> Published:
    # The public page shows posts of every PDS. A handle whose proof is missing is called handle.invalid.
    who = session.did if session.handle == "handle.invalid" else session.handle
    page = f"https://bsky.app/profile/{quote(who, safe=':')}/post/{rkey}"
    return Published(f"at://{session.did}/{POSTS}/{rkey}", page)
