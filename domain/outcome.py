"""What a receiver did to an attempt, as values: what a third party does is never an exception.

Outcome
  Delivered    it answered 2xx
  Failed       anything else that happened on the way or came back
  Blocked      its address is one that deliveries may not go to
"""

from codecs import getincrementaldecoder
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Self

from domain.vocabulary import AttemptOutcome

_utf8 = getincrementaldecoder("utf-8")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver said, as text that PostgreSQL and JSON can carry."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: str
    truncated: bool

    @classmethod
    def from_wire(cls, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes, *, truncated: bool) -> Self:
        """An answer from the bytes that came; NUL, and what is not UTF-8, becomes U+FFFD."""
        # A body that was cut may end inside a character, which is not the receiver's mistake: drop that part.
        text = _utf8("replace").decode(body, final=not truncated)
        kept = tuple((_text(name), _text(value)) for name, value in headers)
        return cls(status, kept, _without_nul(text), truncated)


@dataclass(frozen=True, slots=True)
class Delivered:
    """A 2xx answer."""

    answer: Answer
    duration: timedelta
    kind: ClassVar[AttemptOutcome] = AttemptOutcome.SUCCEEDED
    error: ClassVar[None] = None
    retry_after: ClassVar[None] = None
    gone: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Failed:
    """No 2xx answer. `error` is one sentence for a person, without any words of a library.

    `retry_after` is what the receiver asked for with 429 or 503; `gone` says that it answered 410.
    """

    outcome: AttemptOutcome
    error: str
    duration: timedelta
    answer: Answer | None = None
    retry_after: timedelta | None = None
    gone: bool = False

    @property
    def kind(self) -> AttemptOutcome:
        """How the attempt is recorded."""
        return self.outcome


@dataclass(frozen=True, slots=True)
class Blocked:
    """Nothing was sent. It is tried again like any failure: the name may lead elsewhere by then."""

    error: str
    duration: timedelta
    kind: ClassVar[AttemptOutcome] = AttemptOutcome.ADDRESS_REFUSED
    answer: ClassVar[None] = None
    retry_after: ClassVar[None] = None
    gone: ClassVar[bool] = False


Outcome = Delivered | Failed | Blocked


def _text(raw: bytes) -> str:
    return _without_nul(raw.decode("utf-8", "replace"))


def _without_nul(text: str) -> str:
    return text.replace("\x00", "\ufffd")
