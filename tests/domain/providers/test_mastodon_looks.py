"""Before a status is posted again, the account is searched for it (docs/decisions/0080-one-status-not-two.md)."""

from datetime import timedelta

import pytest

from domain.providers.interface import Published, TryLater
from domain.sender import Sender
from tests.domain.providers.mastodon_answers import LIST, POST, on_its_way, posted, said, status
from tests.receiver import Answer, Receiver


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(502), id="an outage"),
        pytest.param(Answer(200, {}, "<html>"), id="a page of a proxy"),
        pytest.param(said({}), id="a status without id"),
    ],
)
async def test_after_an_ambiguous_answer_the_status_is_looked_for(
    sender: Sender, receiver: Receiver, answer: Answer
) -> None:
    way = on_its_way(sender, receiver)
    receiver.answer(said([status(1)]), said([status(2), status(1)]), path=LIST)
    receiver.answer(answer, path=POST)
    result = await way.once()
    assert isinstance(result, TryLater)
    assert result.wait == timedelta(seconds=30)
    receiver.answer(404, path="/api/v1/statuses/2/source")
    assert await way.once() == Published("2", "https://social.example/@alice/2")
    assert len(posted(receiver)) == 1


async def test_the_same_words_posted_earlier_are_not_taken_for_it(sender: Sender, receiver: Receiver) -> None:
    way = on_its_way(sender, receiver)
    earlier = [status(number) for number in range(20, 0, -1)]
    receiver.answer(said(earlier), said(earlier[19:]), path=LIST)  # the others have been deleted meanwhile
    receiver.answer(503, said(status(21)), path=POST)
    assert [type(await way.once()) for _ in range(2)] == [TryLater, Published]
    assert len(posted(receiver)) == 2


async def test_nor_where_one_that_was_deleted_lets_an_older_one_move_up(sender: Sender, receiver: Receiver) -> None:
    way = on_its_way(sender, receiver)
    daily = [status(number, "Hello" if number == 1 else "Other") for number in range(21, 0, -1)]
    receiver.answer(said(daily[:20]), said(daily[1:]), path=LIST)
    receiver.answer(503, said(status(22)), path=POST)
    await way.once()
    assert await way.once() == Published("22", "https://social.example/@alice/22")


async def test_a_source_that_differs_is_another_status_however_alike_they_look(
    sender: Sender, receiver: Receiver
) -> None:
    way = on_its_way(sender, receiver)
    receiver.answer(said([]), said([status(2)]), said([]), path=LIST)
    receiver.answer(503, said(status(3)), path=POST)
    receiver.answer(said({"id": "2", "text": "Hello!"}), path="/api/v1/statuses/2/source")
    await way.once()
    assert await way.once() == Published("3", "https://social.example/@alice/3")


async def test_the_look_goes_back_page_by_page_to_what_was_there_before(sender: Sender, receiver: Receiver) -> None:
    way = on_its_way(sender, receiver)
    first = [status(number, "Other") for number in range(40, 20, -1)]
    second = [status(20), status(1, "Before")]
    receiver.answer(said([status(1, "Before")]), said(first), said(second), path=LIST)
    receiver.answer(503, path=POST)
    await way.once()
    assert await way.once() == Published("20", "https://social.example/@alice/20")
    assert "max_id=21" in [each.path for each in receiver.requests if each.path.startswith(LIST)][-1]


async def test_the_look_asks_for_no_page_that_it_would_not_look_at(sender: Sender, receiver: Receiver) -> None:
    way = on_its_way(sender, receiver)
    pages = [said([status(number, "Other")]) for number in (5, 4, 3)]
    receiver.answer(said([status(1, "Before")]), *pages, said({}, 429), path=LIST)
    receiver.answer(503, said(status(6)), path=POST)
    await way.once()
    assert await way.once() == Published("6", "https://social.example/@alice/6")


async def test_a_server_without_pages_is_not_asked_for_the_same_ones_again_and_again(
    sender: Sender, receiver: Receiver
) -> None:
    way = on_its_way(sender, receiver)
    receiver.answer(said([]), *[said([status(2, "Other")])] * 5, path=LIST)
    receiver.answer(503, said(status(3)), path=POST)
    await way.once()
    assert await way.once() == Published("3", "https://social.example/@alice/3")
    paths = [each.path for each in receiver.requests]
    assert len([path for path in paths if path.startswith(LIST)]) == 3
    assert len([path for path in paths if path.endswith("/source")]) == 1


async def test_nothing_is_posted_while_nobody_can_look(sender: Sender, receiver: Receiver) -> None:
    way = on_its_way(sender, receiver)
    receiver.answer(said([]), 500, Answer(200, {}, "<html>"), said([status(2)]), path=LIST)
    receiver.answer(503, path=POST)
    receiver.answer(502, path="/api/v1/statuses/2/source")
    await way.once()
    for _ in range(3):
        assert isinstance(await way.once(), TryLater)
    assert len(posted(receiver)) == 1


async def test_a_limit_on_looking_waits_as_long_as_the_server_says(sender: Sender, receiver: Receiver) -> None:
    way = on_its_way(sender, receiver)
    receiver.answer(said([]), said([status(2)]), path=LIST)
    receiver.answer(503, path=POST)
    receiver.answer(said({}, 429, Retry_After="3600"), path="/api/v1/statuses/2/source")
    await way.once()
    result = await way.once()
    assert isinstance(result, TryLater)
    assert result.wait == timedelta(hours=1)
