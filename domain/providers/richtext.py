"""What a text contains besides words: how many characters a person sees, its links, mentions and tags. Pure.

Links are recognised the same way for every network; mentions and tags as Bluesky's own client does (`@atproto/api`,
RichText), except that a bare "example.com" stays text: telling it from "e.g.this" needs a list of top-level domains,
which ages.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

import regex

# One match is one character as a person sees it (UAX #29): a family of emoji, a flag, a letter with its accents.
# Flags are matched pair by pair: for each flag in a row, `\X` goes back to the row's start, which takes quadratic time.
_GRAPHEME: Final = regex.compile(r"\p{GCB=Regional_Indicator}{2}[\p{GCB=Extend}\p{GCB=SpacingMark}\p{GCB=ZWJ}]*+|\X")

# A scheme that is not inside a word, an address or another link (uff20 and uff03 are full-width @ and #), and all up to
# the next blank or bracket. Letters of other scripts may come before: Japanese has no blanks.
_LINK: Final = regex.compile(r"""(?<![a-z0-9_@\uff20$#\uff03/])https?://[^\s<>"「」]+""", regex.IGNORECASE)
# Such letters may also follow a host name of Latin letters, and end it: no top-level domain mixes scripts.
_RUN_ON: Final = regex.compile(r"([a-z]{2,63})[^\x00-\x7f\p{Latin}\p{M}]", regex.IGNORECASE)
_PORT: Final = regex.compile(r":\d{1,5}\Z")
_LABEL: Final = regex.compile(r"[\p{L}\p{M}\p{N}](?:[\p{L}\p{M}\p{N}_-]{0,61}[\p{L}\p{M}\p{N}])?\Z")
_LAST_LABEL: Final = regex.compile(r"(?:[\p{L}\p{M}]{2,63}|xn--[a-z0-9-]{1,59})\Z", regex.IGNORECASE)
_TRAILING: Final = ".,;:!?'\"*\u2019”»…~|&=$%[]"

# https://atproto.com/specs/handle: labels of letters, digits and inner hyphens, the last one beginning with a letter.
_HANDLE_LABEL: Final = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_MENTION: Final = regex.compile(
    rf"(?<![^\s(])@((?:{_HANDLE_LABEL}\.)+[a-zA-Z](?:[a-zA-Z0-9-]{{0,61}}[a-zA-Z0-9])?)(?![a-zA-Z0-9_@])"
)
LONGEST_HANDLE: Final = 253

# Soft hyphens, joiners and other characters without width end a tag.
_UNSEEN: Final = r"\u00AD\u2060\u200A\u200B\u200C\u200D\u20e2"
_TAG: Final = regex.compile(rf"(?<!\S)[#\uff03](?!\ufe0f)([^\s{_UNSEEN}]+)")
_TAG_WORD: Final = regex.compile(r"[^\d\p{P}]")
# The limits of a tag in its lexicon (app.bsky.richtext.facet).
LONGEST_TAG_GRAPHEMES: Final = 64
LONGEST_TAG_BYTES: Final = 640


class PartKind(StrEnum):
    """What a part of a text is."""

    LINK = "link"
    MENTION = "mention"
    TAG = "tag"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a text that is more than words: `text[start:end]`.

    `value` is the address of a link, the handle of a mention (without "@"), the name of a tag (without "#").
    """

    kind: PartKind
    start: int
    end: int
    value: str


def graphemes(text: str) -> int:
    """How many characters a person sees (extended grapheme clusters, UAX #29)."""
    # In plain ASCII, only "\r\n" is one character of two code points, and counting code points is 100 times faster.
    if text.isascii() and "\r" not in text:
        return len(text)
    return sum(1 for _ in _GRAPHEME.finditer(text))


# A post asks once for each of its accounts, usually about the same text.
@lru_cache(8)
def parts(text: str) -> tuple[Part, ...]:
    """Links, mentions and tags in the order of the text; none overlaps another."""
    found = sorted([*links(text), *_mentions(text), *_tags(text)], key=lambda part: (part.start, -part.end))
    return tuple(apart(found))


def apart(found: Iterable[Part]) -> Iterator[Part]:
    """These parts, given in order, without those that overlap an earlier one."""
    end = 0
    for part in found:
        if part.start >= end:
            end = part.end
            yield part


def links(text: str) -> Iterator[Part]:
    """Every http and https address with a dotted host name, without the punctuation of the sentence around it."""
    for match in _LINK.finditer(text):
        address = _without_trailing(_without_run_on(match.group()))
        if _is_public(address):
            yield Part(PartKind.LINK, match.start(), match.start() + len(address), address)


def _without_run_on(address: str) -> str:
    authority = _authority(address)
    last = authority.rpartition(".")[2]
    found = _RUN_ON.match(last)
    if found is None:
        return address
    return address[: address.index("://") + 3 + len(authority) - len(last) + found.end(1)]


def _authority(address: str) -> str:
    found: str = regex.split(r"[/?#]", address.partition("://")[2], maxsplit=1)[0]
    return found


def _without_trailing(address: str) -> str:
    opened = 0
    for place, sign in enumerate(address):
        opened += (sign == "(") - (sign == ")")
        if opened < 0:
            address = address[:place]
            break
    return address.rstrip(_TRAILING)


def _is_public(address: str) -> bool:
    labels = _PORT.sub("", _authority(address)).split(".")
    return (
        len(labels) > 1
        and all(_LABEL.match(label) for label in labels[:-1])
        and _LAST_LABEL.match(labels[-1]) is not None
    )


def _mentions(text: str) -> Iterator[Part]:
    for match in _MENTION.finditer(text):
        if len(match.group(1)) <= LONGEST_HANDLE:
            yield Part(PartKind.MENTION, match.start(), match.end(), match.group(1))


def _tags(text: str) -> Iterator[Part]:
    for match in _TAG.finditer(text):
        tag = _without_punctuation(match.group(1))
        if not _TAG_WORD.search(tag):
            continue
        if graphemes(tag) <= LONGEST_TAG_GRAPHEMES and len(tag.encode()) <= LONGEST_TAG_BYTES:
            yield Part(PartKind.TAG, match.start(), match.start(1) + len(tag), tag)


def _without_punctuation(tag: str) -> str:
    # A pattern such as "\p{P}+$" would take quadratic time on a long row of dots.
    end = len(tag)
    while end and unicodedata.category(tag[end - 1]).startswith("P"):
        end -= 1
    return tag[:end]


def byte_offsets(text: str, found: Sequence[Part]) -> list[tuple[int, int]]:
    """Where each part begins and ends in the text's UTF-8 bytes; `found` in order, as `parts` gives it."""
    offsets, position, offset = [], 0, 0
    for part in found:
        start = offset + len(text[position : part.start].encode())
        end = start + len(text[part.start : part.end].encode())
        offsets.append((start, end))
        position, offset = part.end, end
    return offsets
