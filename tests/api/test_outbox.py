"""Frames leave in their order, and no client keeps more of them here than it may."""

import asyncio

import pytest

from api import outbox
from api.outbox import MOST_FRAMES, SEND_SECONDS, Outbox


async def test_what_can_be_written_at_once_overtakes_nothing() -> None:
    written: list[str] = []
    open_ = [True]

    def write_now(frame: str) -> bool:
        if open_[0]:
            written.append(frame)
        return open_[0]

    box = Outbox(write_now)
    box.put("1")
    open_[0] = False
    box.put("2")
    open_[0] = True
    box.put("3")
    assert (written, await box.take()) == (["1"], "2")
    box.sending_since = 0.0
    assert await box.take() == "3"
    box.put("4")
    assert written == ["1"]
    box.sending_since = None
    assert await box.take() == "4"
    box.put("5")
    assert written == ["1", "5"]


async def test_it_takes_so_many_frames_and_bytes_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    box = Outbox()
    assert [box.put("x") for _ in range(MOST_FRAMES + 1)] == [True] * MOST_FRAMES + [False]
    assert box.rest() == ["x"] * MOST_FRAMES
    monkeypatch.setattr(outbox, "MOST_CHARACTERS", 10)
    box = Outbox()
    assert [box.put("x" * 5), box.put("x" * 5)] == [True, True]
    # Taking a frame makes room.
    await box.take()
    assert [box.put("x" * 5), box.put("x")] == [True, False]


async def test_after_a_frame_that_it_did_not_take_it_takes_none_or_the_client_would_pass_over_that_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outbox, "MOST_CHARACTERS", 10)
    is_open = [False]
    box = Outbox(lambda _: is_open[0])
    assert [box.put("x" * 5), box.put("x" * 4), box.put("x" * 2), box.put("x")] == [True, True, False, False]
    # From here on, a frame could be written at once.
    is_open[0] = True
    await box.take()
    assert not box.put("x")


async def test_a_frame_that_is_large_in_itself_is_taken_where_there_is_room_and_counts_for_half_of_the_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outbox, "MOST_CHARACTERS", 10)
    box = Outbox()
    # The end of an answer, which follows it, has its place too.
    assert [box.put("x"), box.put("x" * 50), box.put("x")] == [True, True, True]
    waiting = asyncio.create_task(box.room())
    await box.take()
    await asyncio.sleep(0)
    assert not waiting.done()
    assert len(await box.take()) == 50
    async with asyncio.timeout(5):
        await waiting
    assert [box.put("x" * 50), box.put("x" * 50)] == [True, False]


async def test_a_frame_that_could_not_be_sent_is_the_next_one_again() -> None:
    box = Outbox()
    for frame in "12":
        box.put(frame)
    box.give_back(await box.take())
    assert box.rest() == ["1", "2"]


@pytest.mark.parametrize("frame", [pytest.param("x", id="many"), pytest.param("x" * 500, id="large")])
async def test_there_is_room_again_once_it_is_half_empty(monkeypatch: pytest.MonkeyPatch, frame: str) -> None:
    monkeypatch.setattr(outbox, "MOST_FRAMES", 10)
    monkeypatch.setattr(outbox, "MOST_CHARACTERS", 10 * len(frame))
    box = Outbox()
    await box.room()
    for _ in range(10):
        box.put(frame)
    waiting = asyncio.create_task(box.room())
    for _ in range(4):
        await box.take()
        await asyncio.sleep(0)
    assert not waiting.done()
    await box.take()
    async with asyncio.timeout(5):
        await waiting


def test_a_client_has_stalled_that_takes_one_frame_for_too_long() -> None:
    box = Outbox()
    assert not box.has_stalled(1_000.0)
    box.sending_since = 1_000.0
    assert not box.has_stalled(1_000.0 + SEND_SECONDS)
    assert box.has_stalled(1_000.1 + SEND_SECONDS)
