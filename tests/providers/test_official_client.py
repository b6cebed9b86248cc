"""Facets and lengths, judged by Bluesky's own client library on Node's Unicode data."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.providers.richtext import byte_offsets, graphemes, parts
from tests.node import install, run

FOLDER = Path(__file__).parent / "pds"

TEXTS = {
    "plain words": "Just words, nothing else.",
    "nothing": "",
    "link alone": "https://example.com",
    "link at the end of a sentence": "See https://example.com/a.",
    "link in brackets": "(https://example.com/a)",
    "link with brackets": "https://en.wikipedia.org/wiki/Fish_(disambiguation) is long",
    "link with query and fragment": "go https://example.com/a?b=c&d=%20e#f now",
    "link with a port": "https://example.com:8443/x",
    "two links": "https://a.example.com https://b.example.com/ü",
    "link after a family": "👨‍👩‍👧‍👦 https://example.com 👨‍👩‍👧‍👦",
    "link on another line": "first\nhttps://example.com\nlast",
    "mention": "hello @alice.test",
    "mention with punctuation": "hello @alice.test, and (@bob.test)!",
    "mention at once": "@alice.test",
    "two mentions": "@alice.test @bob.bsky.test",
    "mention after emoji": "🇩🇪 @alice.test",
    "no mention inside an address": "mail alice@bob.test please",
    "no mention without a domain": "hello @alice",
    "tag": "a #tag",
    "tag with punctuation": "#tag, #tag2! and #tag3.",
    "tag of numbers": "#1 #2024 #1st",
    "tag with accents": "#Ölkännchen #日本語",
    "tag with emoji": "#cat🐈 #🐈",
    "keycap is no tag": "#️⃣ one",
    "tag inside a word": "a#b",
    "doubled sign": "##tag",
    "full-width sign": "\uff03tag",
    "tag with inner punctuation": "#a.b-c_d",
    "tag of 64 characters": "#" + "a" * 64,
    "tag of 65 characters": "#" + "a" * 65,
    "tag with a zero-width space": "#ab\u200bcd",
    "tag and link": "#tag https://example.com/#tag",
    "everything": "Hi @alice.test 👨‍👩‍👧‍👦: https://example.com/(x) #ok",
}

GRAPHEMES = {
    "family": "👨‍👩‍👧‍👦",
    "flags": "🇩🇪🇫🇷🇯🇵",
    "odd flag": "🇩🇪🇫",
    "flag of a region": "🏴󠁧󠁢󠁳󠁣󠁴󠁿",
    "skin tone": "👍🏽👩🏿‍🚀",
    "keycaps": "1️⃣#️⃣",
    "combined accents": "e\u0301o\u0308\u0301",
    "line ends": "a\r\nb\n\r",
    "hangul in parts": "\u1100\u1161\u11a8",
    "devanagari conjunct": "क्षि",
    "thai": "กำ",
    "zero-width joiner alone": "a\u200db",
    "variation selector": "❤️❤",
    "rainbow flag": "🏳️‍🌈",
    "controls": "a\u200bb\u0000c",
}

# Links and mentions end in a blank. Results differ if one runs into what follows: we cut off all of the sentence's
# punctuation, the judge one sign of it; we go by the syntax of handles, the judge by a list of top-level domains.
PIECES = (" ", "\n", "a", "ß", "#tag", " #ü", " @alice.test ", " https://example.com/a ", ".", ")", " (")


def ours(text: str) -> list[dict[str, Any]]:
    """Our parts, in the judge's format."""
    found = parts(text)
    return [
        {"start": start, "end": end, "kind": part.kind.value, "value": part.value}
        for part, (start, end) in zip(found, byte_offsets(text, found), strict=True)
    ]


def judge(texts: list[str]) -> list[dict[str, Any]]:
    """What Bluesky's client library finds in these texts."""
    install(FOLDER)
    answer: list[dict[str, Any]] = run(FOLDER / "official_client.mjs", given=texts)
    return answer


@pytest.fixture(scope="module")
def verdicts() -> dict[str, dict[str, Any]]:
    """The judge's answer to every text of this file, from one run of it."""
    texts = [*TEXTS.values(), *GRAPHEMES.values()]
    return dict(zip(texts, judge(texts), strict=True))


@pytest.mark.parametrize("name", TEXTS)
def test_parts_are_those_that_the_official_client_finds(name: str, verdicts: dict[str, dict[str, Any]]) -> None:
    assert ours(TEXTS[name]) == verdicts[TEXTS[name]]["parts"]


@pytest.mark.parametrize("name", [*TEXTS, *GRAPHEMES])
def test_lengths_are_those_of_the_official_client(name: str, verdicts: dict[str, dict[str, Any]]) -> None:
    text = (TEXTS | GRAPHEMES)[name]
    assert graphemes(text) == verdicts[text]["graphemes"]


def test_any_text_made_of_difficult_pieces_is_counted_and_marked_alike() -> None:
    pieces = [*GRAPHEMES.values(), *PIECES]
    texts: list[str] = []

    @settings(max_examples=500, database=None, derandomize=True)
    @given(st.lists(st.sampled_from(pieces), max_size=12).map("".join))
    def collect(text: str) -> None:
        texts.append(text)

    collect()
    for text, verdict in zip(texts, judge(texts), strict=True):
        assert graphemes(text) == verdict["graphemes"], repr(text)
        assert ours(text) == verdict["parts"], repr(text)
