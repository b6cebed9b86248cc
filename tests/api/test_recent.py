"""What a feed remembers is bounded in number and in bytes, and has no gap after its `start`."""

import tracemalloc

import pytest

from api.recent import RECENT_BYTES, RECENT_BYTES_IN_ALL, RECENT_CHANGES, Recent, share_of, size_of

MEBIBYTE = "x" * (RECENT_BYTES // 4 - size_of(""))


def remembering(number: int, payload: str = "x") -> Recent:
    """This many changes, from (1, 0) on."""
    recent = Recent()
    for order in range(1, number + 1):
        recent.add((order, 0), payload)
    return recent


def orders(recent: Recent) -> list[int]:
    """The changes that it has after its `start`."""
    return [order for (order, _), _ in recent.after(recent.start)]


@pytest.mark.parametrize(("most", "payload"), [(RECENT_CHANGES, "x"), (4, MEBIBYTE)])
def test_where_there_are_too_many_the_older_half_is_forgotten(most: int, payload: str) -> None:
    recent = remembering(most, payload)
    assert (recent.start, orders(recent)) == ((0, 0), list(range(1, most + 1)))
    recent.add((most + 1, 0), payload)
    assert (recent.start, orders(recent)) == ((most // 2, 0), list(range(most // 2 + 1, most + 2)))
    for order in range(most + 2, 3 * most):
        recent.add((order, 0), payload)
        assert len(orders(recent)) <= most
    assert len(orders(recent)) >= most // 2


def test_one_that_is_larger_than_all_may_be_is_not_remembered() -> None:
    recent = Recent()
    recent.add((1, 0), MEBIBYTE * 5)
    assert (recent.start, orders(recent)) == ((1, 0), [])
    assert recent.has_room_for(4, 4 * size_of(MEBIBYTE))


def test_what_other_feeds_need_is_forgotten_with_the_next_change() -> None:
    feeds = 1
    recent = Recent(lambda: share_of(feeds))
    for order in range(1, 5):
        recent.add((order, 0), MEBIBYTE)
    feeds = 100_000
    recent.add((5, 0), "x")
    assert (recent.start, orders(recent)) == ((4, 0), [5])
    assert not recent.has_room_for(1, share_of(feeds))


def test_all_feeds_together_remember_only_so_much() -> None:
    assert share_of(1) == RECENT_BYTES
    assert all(feeds * share_of(feeds) <= RECENT_BYTES_IN_ALL for feeds in (1, 16, 17, 200, 100_000))


def test_a_text_is_as_large_as_python_keeps_it() -> None:
    recent = Recent()
    recent.add((1, 0), "😀" * (RECENT_BYTES // 4 + 1))
    assert orders(recent) == []


def test_many_small_changes_take_no_more_memory_than_is_counted() -> None:
    recent = Recent(lambda: 100_000)
    tracemalloc.start()
    for number in range(RECENT_CHANGES):
        recent.add((1_700_000_000_000 + number, 1_000_000 + number), f"{number:60}")
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken < 110_000


@pytest.mark.parametrize(("most", "payload"), [(RECENT_CHANGES, "x"), (4, MEBIBYTE)])
def test_there_is_room_for_as_many_as_may_be(most: int, payload: str) -> None:
    earlier = [((1, number), payload) for number in range(most - 1)]
    recent = Recent()
    recent.add((2, 0), payload)
    size = (most - 1) * size_of(payload)
    assert recent.has_room_for(len(earlier), size)
    assert not recent.has_room_for(len(earlier) + 1, size + size_of(payload))
    recent.add_before((1, 0), earlier)
    assert (recent.start, len(recent.after((0, 0)))) == ((1, 0), most)
    assert not recent.has_room_for(1, size_of(payload))
