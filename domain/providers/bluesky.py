"""Bluesky, on any personal data server (PDS). https://docs.bsky.app/docs/advanced-guides/posts

A post is a record that is put under a key chosen by us, so that putting it again changes nothing. The session is kept,
and refreshed before each post. So a revoked app password or a taken-down account is noticed at once, and the password
itself, which may be used only a few times, is seldom needed.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from domain.providers.answers import (
    AMBIGUOUS_WAIT,
    Reply,
    failed_call,
    key,
    label,
    required,
    server_url,
    try_later,
    unreachable,
    web_address,
    with_words,
)
from domain.providers.bluesky_session import Home, Session, checked_session, kept_credentials, open_session
from domain.providers.interface import (
    BadInput,
    Caller,
    NewCredentials,
    Profile,
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

DEFAULT_SERVER: Final = "https://bsky.social"
POSTS: Final = "app.bsky.feed.post"
# The limits of app.bsky.feed.post.
MOST_GRAPHEMES: Final = 300
MOST_BYTES: Final = 3000
# How many different handles of one text are looked up; further ones stay text.
MOST_MENTIONS: Final = 20
# A post that waited longer than this gets a new time: otherwise readers would find it below what came meanwhile.
STALE: Final = timedelta(minutes=10)


class Bluesky:
    """Any PDS. Stateless: credentials carry the session."""

    def faults_of(self, new: NewCredentials) -> list[BadInput]:
        """An invalid server, and what is missing or invalid for a login."""
        return refused(lambda: server_url(new.server, DEFAULT_SERVER), lambda: _identifier(new), lambda: _password(new))

    async def check(self, caller: Caller, new: NewCredentials) -> Profile:
        """Log in with the app password and describe the account."""
        server, password = server_url(new.server, DEFAULT_SERVER), _password(new)
        home = Home(caller, server)
        try:
            session = checked_session(await home.log_in(_identifier(new), password), home.host)
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
        """Characters as people see them; bytes if the text has few enough characters but too many bytes."""
        linked = tuple(text[part.start : part.end] for part in parts(text))
        length, size = graphemes(text), len(text.encode())
        if length <= MOST_GRAPHEMES and size > MOST_BYTES:
            return TextMeasure(size, MOST_BYTES, linked, unit="bytes")
        return TextMeasure(length, MOST_GRAPHEMES, linked)

    async def publish(self, caller: Caller, publication: Publication) -> PublishResult:
        """Put the post's record, under the same key in every try."""
        home = Home(caller, publication.account.credentials["server"])
        session: Session | PublishResult | None = None
        try:
            session = await open_session(home, publication)
            if not isinstance(session, Session):
                return session
            result = await _put_once(home.with_token(session.access), session, publication)
        except CallFailed as failure:
            result = failed_call(failure, home.host)
        kept = kept_credentials(publication, session) if isinstance(session, Session) else None
        return replace(result, credentials=kept)


def _identifier(new: NewCredentials) -> str:
    # An account that is authorised again may have another handle by now; its DID stays.
    identifier = new.provider_id or (new.identifier or "").removeprefix("@")
    given = required(identifier, "identifier", "Give the account's handle, for example alice.bsky.social.")
    # A handle is a DNS name; a login by its first part alone would be refused as if the password were wrong.
    if "." not in given and not given.startswith("did:"):
        raise BadInput("identifier", "Give the whole handle, for example alice.bsky.social.")
    return given


def _password(new: NewCredentials) -> str:
    return required(new.credential, "credential", "Give an app password of the account.")


async def _appearance(home: Home, did: str) -> tuple[str, str | None]:
    """The account's display name ("" without one) and picture.

    The network's app view knows them best; a PDS without one still has the record that they come from.
    """
    profile = await home.query("app.bsky.actor.getProfile", {"actor": did})
    if profile.ok and profile.text("did") == did:
        return label(profile.at("displayName")), web_address(profile.at("avatar"))
    query = {"repo": did, "collection": "app.bsky.actor.profile", "rkey": "self"}
    record = await home.query("com.atproto.repo.getRecord", query)
    picture = key(record.at("value", "avatar", "ref", "$link"))
    name = label(record.at("value", "displayName"))
    return name, picture and home.address_of("com.atproto.sync.getBlob", {"did": did, "cid": picture})


async def _put_once(home: Home, session: Session, publication: Publication) -> PublishResult:
    progress = publication.progress
    rkey = progress.get("rkey") or tid(publication.now, publication.key)
    created_at = progress.get("created_at")
    if created_at is not None and publication.now - datetime.fromisoformat(created_at) > STALE:
        if (found := await _find(home, session, rkey, publication)) is not None:
            return found
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


async def _find(home: Home, session: Session, rkey: str, publication: Publication) -> PublishResult | None:
    """What an earlier try has put there; None if it has put nothing."""
    reply = await home.query("com.atproto.repo.getRecord", {"repo": session.did, "collection": POSTS, "rkey": rkey})
    if reply.ok and reply.text("uri"):
        return _published(session, rkey)
    # How a PDS answers if the record is missing: Bluesky's own with 400, others with 404.
    is_missing = reply.status == 400 or reply.text("error") == "RecordNotFound"
    return None if is_missing else try_later(reply, publication.now, home.host)


async def _facets(home: Home, publication: Publication) -> list[dict[str, Any]] | TryLater:
    """The facets that turn parts of the text into links; positions are in bytes of UTF-8."""
    found = parts(publication.text)
    handles = list(dict.fromkeys(part.value.lower() for part in found if part.kind is PartKind.MENTION))
    dids: dict[str, str] = {}
    for handle in handles[:MOST_MENTIONS]:
        reply = await home.query("com.atproto.identity.resolveHandle", {"handle": handle})
        # A handle that does not exist is answered with 400: such a mention stays text.
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


def _result(reply: Reply, host: str, session: Session, rkey: str, now: datetime) -> PublishResult:
    if reply.ok and reply.text("uri"):
        return _published(session, rkey)
    if reply.ok:
        return TryLater(AMBIGUOUS_WAIT, f"{host} did not say what became of the post.")
    if reply.temporary or reply.strange:
        return try_later(reply, now, host)
    # The session has just been opened: a token that is refused now is refused for good.
    if reply.status in {401, 403} or reply.text("error") in {"ExpiredToken", "InvalidToken", "AccountTakedown"}:
        return Unauthorized(with_words(f"{host} refused the account", reply))
    return Rejected(with_words(f"{host} refused the post ({reply.status})", reply))


def _published(session: Session, rkey: str) -> Published:
    # The public page shows posts of every PDS. A handle that cannot be verified is given as handle.invalid.
    who = session.did if session.handle == "handle.invalid" else session.handle
    page = f"https://bsky.app/profile/{quote(who, safe=':')}/post/{rkey}"
    return Published(f"at://{session.did}/{POSTS}/{rkey}", page)
