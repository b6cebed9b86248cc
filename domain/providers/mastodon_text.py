"""How servers with the Mastodon API count a text and what they make of it. Pure.

Counting follows Mastodon (`StatusLengthValidator`): characters as a person sees them, every link as a fixed number, a
mention without its domain. GoToSocial counts code points, and links in full; it answers 400 if we were too generous.
"""

import html
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, Literal

import regex

from domain.providers.richtext import Part, PartKind, apart, graphemes, links

# "@name" or "@name@domain", not inside a word, an address or a link's path.
_MENTION: Final = regex.compile(
    r"(?<![=/\w])@([a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?)(?:@([\p{L}\p{N}][\p{L}\p{N}.-]*[\p{L}\p{N}]))?",
    regex.IGNORECASE,
)
_TAG: Final = regex.compile(r"(?<![=/)\w])[#\uff03]([\w·・]+)")
_TAG_WORD: Final = regex.compile(r"[^\W\d_]")

# Normalisation sorts the marks on a letter in quadratic time; UAX #15 calls 30 of them safe. The two half-width signs
# become marks.
_MARKS: Final = regex.compile(r"([\p{M}\uff9e\uff9f]{30})[\p{M}\uff9e\uff9f]+")
_BREAK: Final = regex.compile(r"<(?:br|p|li|blockquote|pre)\b[^<>]*+>", regex.IGNORECASE)
_TAGGED: Final = regex.compile(r"<[/!?a-z][^<>]*+>", regex.IGNORECASE)
# Python refuses to make an integer of very many digits.
_HUGE_NUMBER: Final = regex.compile(r"&#\d{8,};?")
# A post asks once for each of its accounts, usually about the same text.
_KEPT: Final = 8


@lru_cache(_KEPT)
def count(text: str, per_link: int) -> int:
    """The length that a server compares with its limit; `per_link` characters for each link."""
    text = text.strip()
    length, position = 0, 0
    for part in _shortened(text):
        length += graphemes(text[position : part.start])
        length += per_link if part.kind is PartKind.LINK else graphemes(part.value) + 1
        position = part.end
    return length + graphemes(text[position:])


@lru_cache(_KEPT)
def linked(text: str) -> tuple[str, ...]:
    """The parts of the text that a server turns into links: addresses, mentions, tags."""
    found = sorted([*_shortened(text), *_tags(text)], key=lambda part: part.start)
    return tuple(text[part.start : part.end] for part in apart(found))


def _shortened(text: str) -> list[Part]:
    addresses = list(links(text))
    covered = {index for part in addresses for index in range(part.start, part.end)}
    mentions = (part for part in _mentions(text) if part.start not in covered)
    return sorted([*addresses, *mentions], key=lambda part: part.start)


def _mentions(text: str) -> Iterator[Part]:
    for match in _MENTION.finditer(text):
        # A match that ends in the scheme of an address is no mention.
        if text.startswith("://", match.end()):
            continue
        yield Part(PartKind.MENTION, match.start(), match.end(), match.group(1))


def _tags(text: str) -> Iterator[Part]:
    for match in _TAG.finditer(text):
        if _TAG_WORD.search(match.group(1)):
            yield Part(PartKind.TAG, match.start(), match.end(), match.group(1))


def same_source(source: str, text: str) -> bool:
    """Whether a server's plain source of a status is what we sent; servers trim and normalise it."""
    return _words(source) == _words(text)


def _words(text: str) -> list[str]:
    return _normal("NFC", text).split()


def same_content(markup: str, text: str) -> bool:
    """Whether a status's HTML says what we sent.

    Only letters and digits are compared, because servers shorten mentions, format text, and turn emoticons into
    pictures. A text without any is compared as it is, apart from white space.
    """
    shown = _plain(markup)
    ours = _letters(_MENTION.sub(r"@\1", text))
    theirs = _letters(_MENTION.sub(r"@\1", shown))
    if not ours:
        return not theirs and "".join(shown.split()) == "".join(text.split())
    return ours == theirs


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, _normal("NFKC", text).casefold()))


def _normal(form: Literal["NFC", "NFKC"], text: str) -> str:
    return unicodedata.normalize(form, _MARKS.sub(r"\1", text))


def _plain(markup: str) -> str:
    # Not html.parser: it takes quadratic time on tags that never end, and a server may be hostile.
    return html.unescape(_HUGE_NUMBER.sub("", _TAGGED.sub("", _BREAK.sub("\n", markup))))
