"""How servers with the Mastodon API count a text and what they make of it. Pure.

Counting follows Mastodon (`StatusLengthValidator`): characters as a person sees them, every link as a fixed number, a
mention without its domain. GoToSocial counts a link in full and code points; it answers 400 where we were too generous.
"""

import unicodedata
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Final

import regex

from domain.providers.richtext import Part, PartKind, graphemes, links

# "@name" or "@name@domain", not inside a word, an address or a link's path.
_MENTION: Final = regex.compile(
    r"(?<![=/\w])@([a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?)(?:@([\p{L}\p{N}][\p{L}\p{N}.-]*[\p{L}\p{N}]))?",
    regex.IGNORECASE,
)
_TAG: Final = regex.compile(r"(?<![=/)\w])[#\uff03]([\w·・]+)")
_TAG_WORD: Final = regex.compile(r"[^\W\d_]")


def count(text: str, per_link: int) -> int:
    """The length that a server compares with its limit; `per_link` characters for each link."""
    text = text.strip()
    length, position = 0, 0
    for part in _shortened(text):
        length += graphemes(text[position : part.start])
        length += per_link if part.kind is PartKind.LINK else graphemes(part.value) + 1
        position = part.end
    return length + graphemes(text[position:])


def linked(text: str) -> list[str]:
    """The parts of the text that a server turns into links: addresses, mentions, tags."""
    found = sorted([*_shortened(text), *_tags(text)], key=lambda part: part.start)
    clear: list[Part] = []
    for part in found:
        if not clear or part.start >= clear[-1].end:
            clear.append(part)
    return [text[part.start : part.end] for part in clear]


def _shortened(text: str) -> list[Part]:
    addresses = list(links(text))
    covered = {index for part in addresses for index in range(part.start, part.end)}
    mentions = (part for part in _mentions(text) if part.start not in covered)
    return sorted([*addresses, *mentions], key=lambda part: part.start)


def _mentions(text: str) -> Iterator[Part]:
    for match in _MENTION.finditer(text):
        yield Part(PartKind.MENTION, match.start(), match.end(), match.group(1))


def _tags(text: str) -> Iterator[Part]:
    for match in _TAG.finditer(text):
        if _TAG_WORD.search(match.group(1)):
            yield Part(PartKind.TAG, match.start(), match.end(), match.group(1))


def same_source(source: str, text: str) -> bool:
    """Whether a server's plain source of a status is what we sent; servers trim and normalise it."""
    return _words(source) == _words(text)


def _words(text: str) -> list[str]:
    return unicodedata.normalize("NFC", text).split()


def same_content(html: str, text: str) -> bool:
    """Whether a status's HTML says what we sent.

    Only letters and digits are compared, for servers shorten mentions, format and paint emoticons; a text without any
    is compared as it stands.
    """
    shown = _plain(html)
    ours = _letters(_MENTION.sub(r"@\1", text))
    theirs = _letters(_MENTION.sub(r"@\1", shown))
    if not ours:
        return not theirs and "".join(shown.split()) == "".join(text.split())
    return ours == theirs


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text).casefold()))


class _Plain(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []

    def handle_data(self, data: str) -> None:
        self.pieces.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"br", "p", "li", "blockquote", "pre"}:
            self.pieces.append("\n")


def _plain(html: str) -> str:
    parser = _Plain()
    parser.feed(html)
    parser.close()
    return "".join(parser.pieces)
