"""How servers with the Mastodon API count a text, and how their statuses are recognised."""

import time

import pytest

from domain.providers.mastodon_text import count, linked, same_content, same_source


@pytest.mark.parametrize(
    ("text", "length"),
    [
        pytest.param("", 0, id="nothing"),
        pytest.param("  hello\n", 5, id="blanks around it are cut off"),
        pytest.param("👨‍👩‍👧‍👦🇩🇪", 2, id="emoji"),
        pytest.param("https://example.com/" + "a" * 200, 23, id="long link"),
        pytest.param("http://a.de", 23, id="short link"),
        pytest.param("see https://example.com.", 4 + 23 + 1, id="link at the end of a sentence"),
        pytest.param("https://a.example https://b.example", 23 + 1 + 23, id="two links"),
        pytest.param("詳しくはhttps://example.com/" + "a" * 200, 4 + 23, id="link after Japanese without a blank"),
        pytest.param("https://example.comをご覧", 23 + 3, id="link before Japanese without a blank"),
        pytest.param("@a@b.exampleさんhttps://c.example/x", 14 + 23, id="no mention that runs into a link"),
        pytest.param("example.com", 11, id="no scheme"),
        pytest.param("@alice@mastodon.example hi", 6 + 3, id="mention of another server"),
        pytest.param("@alice hi", 9, id="mention of the same server"),
        pytest.param("@a.b@x.example.", 5, id="mention at the end of a sentence"),
        pytest.param("mail alice@example.com", 22, id="no mention inside an address"),
        pytest.param("https://example.com/@alice@b.example", 23, id="no mention inside a link"),
        pytest.param("#tag and #two", 13, id="tags"),
    ],
)
def test_a_text_is_counted_as_mastodon_counts_it(text: str, length: int) -> None:
    assert count(text, 23) == length


def test_servers_may_count_links_differently() -> None:
    assert count("see https://example.com", 32) == 36


def test_links_mentions_and_tags_are_named_in_the_order_of_the_text() -> None:
    text = "#tag by @alice@a.example: https://example.com/@bob#x, (#two) @carol a#no 1@no.example #1"
    assert linked(text) == ("#tag", "@alice@a.example", "https://example.com/@bob#x", "#two", "@carol")


@pytest.mark.parametrize(
    ("source", "is_same"),
    [
        pytest.param("Hello  world\n", True, id="blanks"),
        pytest.param("Hello\r\nworld", True, id="line ends"),
        pytest.param("Hello world!", False, id="one more sign"),
        pytest.param("hello world", False, id="capitals"),
    ],
)
def test_a_source_is_compared_but_for_its_blanks(source: str, is_same: bool) -> None:
    assert same_source(source, "Hello world") is is_same


@pytest.mark.parametrize(
    ("html", "text", "is_same"),
    [
        pytest.param("<p>Hello<br />world</p><p>&amp; more</p>", "Hello\nworld\n\n& more", True, id="paragraphs"),
        pytest.param(
            '<p><a href="https://example.com/abc"><span class="invisible">https://</span><span class="ellipsis">'
            'example.com/ab</span><span class="invisible">c</span></a></p>',
            "https://example.com/abc",
            True,
            id="link as Mastodon shows it",
        ),
        pytest.param(
            '<p><span class="h-card"><a href="https://a.example/@alice">@<span>alice</span></a></span> hi</p>',
            "@alice@a.example hi",
            True,
            id="mention as Mastodon shows it",
        ),
        pytest.param("<p>so <b>bold</b> 🙂</p>", "so *bold* :-)", True, id="formatting and emoticons of snac"),
        pytest.param("<p>1 &lt; 2 &amp;&#38; <i>3</i> > 2</p>", "1 < 2 && 3 > 2", True, id="references"),
        pytest.param("<p>Good &#" + "9" * 5_000 + ";morning</p>", "Good morning", True, id="a number without end"),
        pytest.param("<p>🎉</p>", "🎉", True, id="emoji alone"),
        pytest.param("<p>🎊</p>", "🎉", False, id="another emoji alone"),
        pytest.param("<p>Good morning</p>", "Good evening", False, id="other words"),
        pytest.param("<p>Good morning all</p>", "Good morning", False, id="more words"),
        pytest.param("", "Good morning", False, id="nothing"),
    ],
)
def test_a_status_is_recognised_by_what_it_says(html: str, text: str, is_same: bool) -> None:
    assert same_content(html, text) is is_same


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("@" + "a." * 30000, id="names"),
        pytest.param("@a@" * 20000, id="mentions"),
        pytest.param("@a@a" + ".-" * 30000, id="domains"),
        pytest.param("#" + "_" * 60000, id="tags"),
    ],
)
def test_hostile_texts_take_linear_time(text: str) -> None:
    started = time.process_time()
    count(text, 23)
    linked(text)
    assert time.process_time() - started < 3  # quadratic would be minutes


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param("<a " * 100_000, id="tags that never end"),
        pytest.param("<!--" * 100_000, id="comments that never end"),
        pytest.param("<" * 400_000, id="angles"),
        pytest.param("&#1" * 100_000, id="references"),
        pytest.param("e" + "\u0301\u0316" * 100_000, id="marks in disorder"),
        pytest.param("e" + "\uff9e\u0316" * 100_000, id="marks of half width"),
    ],
)
def test_a_hostile_server_s_statuses_take_linear_time(answer: str) -> None:
    started = time.process_time()
    assert not same_content(answer, "Good morning")
    assert not same_source(answer, "Good morning")
    assert time.process_time() - started < 3  # quadratic would be minutes
