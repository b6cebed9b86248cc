"""What a person sees in a text: characters, links, mentions, tags, and where they stand in its bytes."""

import time

import pytest

from domain.providers.richtext import PartKind, byte_offsets, graphemes, links, parts


@pytest.mark.parametrize(
    ("text", "count"),
    [
        pytest.param("", 0, id="nothing"),
        pytest.param("abc", 3, id="letters"),
        pytest.param("a\r\nb", 3, id="a line end is one"),
        pytest.param("👨‍👩‍👧‍👦", 1, id="family"),
        pytest.param("👨‍👩‍👧‍👦👨‍👩‍👧‍👦", 2, id="two families"),
        pytest.param("👩🏿‍🚀", 1, id="astronaut with a skin tone"),
        pytest.param("🇩🇪🇫🇷", 2, id="two flags"),
        pytest.param("🇩🇪🇫", 2, id="a flag and a half"),
        pytest.param("🇩\u0301🇪🇫\u200d", 2, id="flags with signs upon them"),
        pytest.param("🏴󠁧󠁢󠁳󠁣󠁴󠁿", 1, id="flag of a region"),
        pytest.param("🏳️‍🌈", 1, id="flag joined from two"),
        pytest.param("1️⃣", 1, id="keycap"),
        pytest.param("e\u0301", 1, id="accent of its own"),
        pytest.param("\u1100\u1161\u11a8", 1, id="hangul in parts"),
        pytest.param("क्षि", 1, id="conjunct of devanagari"),
        pytest.param("日本語", 3, id="kanji"),
    ],
)
def test_characters_are_counted_as_a_person_sees_them(text: str, count: int) -> None:
    assert graphemes(text) == count


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("see https://example.com/a.", ["https://example.com/a"], id="end of a sentence"),
        pytest.param("https://example.com...", ["https://example.com"], id="several dots"),
        pytest.param("(https://example.com/a)", ["https://example.com/a"], id="in brackets"),
        pytest.param("https://example.com/a_(b)", ["https://example.com/a_(b)"], id="brackets of its own"),
        pytest.param("(https://example.com/a_(b)).", ["https://example.com/a_(b)"], id="both"),
        pytest.param("(https://example.com/a)を見て", ["https://example.com/a"], id="in brackets before Japanese"),
        pytest.param("[a](https://example.com/b),c", ["https://example.com/b"], id="in brackets with more to follow"),
        pytest.param('"https://example.com/a"', ["https://example.com/a"], id="in quotes"),
        pytest.param("„https://example.com/a“", ["https://example.com/a“"], id="in other quotes, which may be a path"),
        pytest.param("<https://example.com/a>", ["https://example.com/a"], id="in angle brackets"),
        pytest.param("https://example.com?q=1&r=2#x", ["https://example.com?q=1&r=2#x"], id="query and fragment"),
        pytest.param("https://example.com/?q=ä", ["https://example.com/?q=ä"], id="other letters"),
        pytest.param("HTTPS://EXAMPLE.COM", ["HTTPS://EXAMPLE.COM"], id="capitals"),
        pytest.param("https://münchen.example/", ["https://münchen.example/"], id="international name"),
        pytest.param("https://xn--e1afmkfd.xn--p1ai", ["https://xn--e1afmkfd.xn--p1ai"], id="its ASCII form"),
        pytest.param("https://example.com:8443/x", ["https://example.com:8443/x"], id="port"),
        pytest.param("https://a.example https://b.example", ["https://a.example", "https://b.example"], id="two"),
        pytest.param("https://a.example,https://b.example", [], id="two without a blank"),
        pytest.param("詳しくはhttps://example.com/a", ["https://example.com/a"], id="after Japanese, without a blank"),
        pytest.param("voilàhttps://example.com/a", ["https://example.com/a"], id="after an accent"),
        pytest.param("https://example.comをご覧", ["https://example.com"], id="before Japanese, without a blank"),
        pytest.param("https://example.com에서", ["https://example.com"], id="before a Korean particle"),
        pytest.param("官网 https://example.com。", ["https://example.com"], id="before a Chinese full stop"),
        pytest.param("https://example.com🎉", ["https://example.com"], id="before an emoji"),
        pytest.param("https://example.com—or", ["https://example.com"], id="before a dash"),
        pytest.param("https://a.blümchen.example", ["https://a.blümchen.example"], id="umlaut within a name"),
        pytest.param("https://a.vermögensberatung", ["https://a.vermögensberatung"], id="umlaut within the last label"),
        pytest.param("https://пример.рф/ü", ["https://пример.рф/ü"], id="another script"),
        pytest.param("example.com", [], id="no scheme"),
        pytest.param("https://localhost/x", [], id="no dot"),
        pytest.param("https://192.0.2.1/", [], id="an address in figures"),
        pytest.param("https://user@example.com/", [], id="user info"),
        pytest.param("https://", [], id="nothing after the scheme"),
        pytest.param("https://.example.com", [], id="empty label"),
        pytest.param("xhttps://example.com", [], id="inside a word"),
        pytest.param("ftp://example.com", [], id="another scheme"),
    ],
)
def test_links_are_what_a_reader_would_take_for_them(text: str, found: list[str]) -> None:
    assert [part.value for part in links(text)] == found
    assert all(text[part.start : part.end] == part.value for part in links(text))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("@alice.test", ["alice.test"], id="alone"),
        pytest.param("hi @alice.bsky.social!", ["alice.bsky.social"], id="before punctuation"),
        pytest.param("(@a-b.example)", ["a-b.example"], id="in brackets"),
        pytest.param("@Alice.Test", ["Alice.Test"], id="capitals"),
        pytest.param("@alice", [], id="no domain"),
        pytest.param("@alice.1", [], id="last label of figures"),
        pytest.param("@-alice.test", [], id="hyphen in front"),
        pytest.param("mail@alice.test", [], id="an address for mail"),
        pytest.param("@alice@example.com", [], id="a mention of the fediverse"),
        pytest.param("@alice..test", [], id="empty label"),
        pytest.param("@" + "a" * 64 + ".test", [], id="label too long"),
        pytest.param("@" + "a.b" * 100 + ".test", [], id="handle too long"),
        pytest.param("https://example.com/(@alice.test)", [], id="inside a link"),
    ],
)
def test_mentions_are_handles(text: str, found: list[str]) -> None:
    assert [part.value for part in parts(text) if part.kind is PartKind.MENTION] == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("#tag", ["tag"], id="alone"),
        pytest.param("a #tag.", ["tag"], id="before punctuation"),
        pytest.param("\uff03tag", ["tag"], id="sign of full width"),
        pytest.param("#日本 #été", ["日本", "été"], id="other letters"),
        pytest.param("#1st #2024", ["1st"], id="figures alone are none"),
        pytest.param("#🐈", ["🐈"], id="emoji"),
        pytest.param("#️⃣", [], id="keycap"),
        pytest.param("a#b", [], id="inside a word"),
        pytest.param("#", [], id="nothing after the sign"),
        pytest.param("#...", [], id="punctuation alone"),
        pytest.param("#" + "👨‍👩‍👧‍👦" * 60, ["👨"], id="ends at what has no width"),
        pytest.param("#" + "日" * 64, ["日" * 64], id="64 characters"),
        pytest.param("#" + "日" * 65, [], id="65 characters"),
        pytest.param("#" + "e\u0301\u0301\u0301\u0301\u0301" * 64, [], id="too many bytes"),
    ],
)
def test_tags_are_words_after_a_sign(text: str, found: list[str]) -> None:
    assert [part.value for part in parts(text) if part.kind is PartKind.TAG] == found


def test_places_are_counted_in_bytes() -> None:
    text = "é👨‍👩‍👧‍👦 https://ä.example #ü 日本 @alice.test"
    found = parts(text)
    marked = [text.encode()[start:end].decode() for start, end in byte_offsets(text, found)]
    assert marked == ["https://ä.example", "#ü", "@alice.test"] == [text[part.start : part.end] for part in found]
    assert byte_offsets(text, found)[0][0] == len("é👨‍👩‍👧‍👦 ".encode()) == 28


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("https://a.b/" * 5000, id="links"),
        pytest.param("https://" + "(" * 30000 + ")" * 30000, id="brackets"),
        pytest.param("https://" + "a-" * 30000, id="hyphens"),
        pytest.param("@" + "a." * 30000, id="labels"),
        pytest.param("@a." * 20000, id="handles"),
        pytest.param("#" * 60000, id="signs"),
        pytest.param("#" + "." * 60000 + "a", id="dots"),
        pytest.param("\u0301" * 60000, id="accents"),
        pytest.param("🇩" * 200_000, id="flags"),
        pytest.param("a" + "🇩🇪\u0301" * 60_000, id="flags with accents"),
    ],
)
def test_hostile_texts_take_linear_time(text: str) -> None:
    started = time.process_time()
    parts(text)
    graphemes(text)
    assert time.process_time() - started < 3  # quadratic would be minutes
