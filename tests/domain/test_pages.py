"""Lists are read by key, forwards and backwards."""

from typing import Any

import pytest

from domain.errors import FaultCode, Refused
from domain.pages import PageRequest, cursor_of, page
from domain.reading import read
from domain.tables import Event, Workspace
from domain.vocabulary import EventType


@pytest.fixture
async def ids(workspace: Workspace) -> list[int]:
    """Five events, oldest first."""
    made = [
        await Event.create(workspace=workspace, type=EventType.POST_CREATED, document=str(number))
        for number in range(5)
    ]
    return [event.id for event in made]


async def test_pages_forwards_join_without_gap_or_repeat(ids: list[int]) -> None:
    seen: list[int] = []
    after, more = None, True
    while more:
        found = await page(Event.all(), PageRequest(first=2, after=after))
        seen += [event.id for event in found.nodes]
        after, more = found.end_cursor, found.has_next
    assert seen == ids[::-1]


async def test_pages_backwards_join_without_gap_or_repeat(ids: list[int]) -> None:
    seen: list[int] = []
    before, more = None, True
    while more:
        found = await page(Event.all(), PageRequest(last=2, before=before))
        seen = [event.id for event in found.nodes] + seen
        before, more = found.start_cursor, found.has_previous
    assert seen == ids[::-1]


async def test_a_list_can_be_read_oldest_first(ids: list[int]) -> None:
    found = await page(Event.all(), PageRequest(first=2, after=cursor_of(Event, ids[0])), descending=False)
    assert [event.id for event in found.nodes] == ids[1:3]
    assert found.has_previous
    assert found.has_next


@pytest.mark.parametrize(
    ("first", "last", "after", "before", "nodes", "has_previous", "has_next"),
    [
        pytest.param(2, None, None, None, [4, 3], False, True, id="the first page"),
        pytest.param(2, None, 3, None, [2, 1], True, True, id="a page after one"),
        pytest.param(2, None, 2, None, [1, 0], True, False, id="the last page forwards"),
        pytest.param(2, None, 4, 1, [3, 2], True, False, id="forwards to a cursor"),
        pytest.param(5, None, None, 1, [4, 3, 2], False, False, id="all that is before a cursor, by first"),
        pytest.param(None, None, None, 1, [4, 3, 2], False, True, id="what is before a cursor"),
        pytest.param(None, None, 4, 1, [3, 2], True, True, id="what is between two cursors"),
        pytest.param(None, None, 1, None, [0], True, False, id="what is after a cursor"),
        pytest.param(None, 2, None, None, [1, 0], True, False, id="the last page"),
        pytest.param(None, 2, None, 1, [3, 2], True, True, id="a page before one"),
        pytest.param(None, 2, None, 2, [4, 3], False, True, id="the first page backwards"),
        pytest.param(None, 2, 3, 0, [2, 1], False, True, id="backwards to a cursor"),
    ],
)
async def test_a_page_says_whether_something_lies_before_and_after_it(
    ids: list[int],
    first: int | None,
    last: int | None,
    after: int | None,
    before: int | None,
    nodes: list[int],
    has_previous: bool,
    has_next: bool,
) -> None:
    cursors = [None if place is None else cursor_of(Event, ids[place]) for place in (after, before)]
    found = await page(Event.all(), PageRequest(first, cursors[0], last, cursors[1]))
    assert [ids.index(event.id) for event in found.nodes] == nodes
    assert (found.has_previous, found.has_next) == (has_previous, has_next)


async def test_an_empty_page_has_no_cursors(ids: list[int]) -> None:
    found = await page(Event.all(), PageRequest(first=0))
    assert (found.nodes, found.start_cursor, found.end_cursor, found.has_next) == ([], None, None, True)


async def test_a_page_has_fifty_rows_unless_asked(workspace: Workspace) -> None:
    await Event.bulk_create([Event(workspace=workspace, type=EventType.POST_CREATED, document="") for _ in range(60)])
    assert len((await page(Event.all(), PageRequest())).nodes) == 50


@pytest.mark.parametrize(
    ("request_", "field", "code"),
    [
        pytest.param(PageRequest(first=101), "first", FaultCode.OUT_OF_RANGE, id="too many"),
        pytest.param(PageRequest(last=-1), "last", FaultCode.OUT_OF_RANGE, id="fewer than none"),
        pytest.param(PageRequest(first=1, last=1), "last", FaultCode.INVALID, id="both ends"),
        pytest.param(PageRequest(after="nonsense"), "after", FaultCode.INVALID, id="no cursor"),
        pytest.param(PageRequest(after=cursor_of(Workspace, 1)), "after", FaultCode.INVALID, id="of another list"),
        pytest.param(PageRequest(before="é\ud800"), "before", FaultCode.INVALID, id="half a surrogate pair"),
        pytest.param(PageRequest(after=cursor_of(Event, 2**63)), "after", FaultCode.INVALID, id="beyond bigint"),
        pytest.param(PageRequest(after=cursor_of(Event, -1)), "after", FaultCode.INVALID, id="below zero"),
        pytest.param(PageRequest(after=f"{cursor_of(Event, 1)}="), "after", FaultCode.INVALID, id="spelled otherwise"),
    ],
)
async def test_what_cannot_be_a_page_is_refused(
    workspace: Workspace, request_: PageRequest, field: str, code: FaultCode
) -> None:
    with pytest.raises(Refused) as refused:
        await page(Event.all(), request_)
    assert [(fault.field, fault.code) for fault in refused.value.faults] == [((field,), code)]


@pytest.mark.parametrize("request_", [PageRequest(first=0), PageRequest(last=0)])
async def test_a_page_of_nothing_says_that_the_list_goes_on(ids: list[int], request_: PageRequest) -> None:
    found = await page(Event.all(), request_)
    assert (found.nodes, found.has_next or found.has_previous) == ([], True)


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize(("request_", "first"), [(PageRequest(first=3), True), (PageRequest(last=3), False)])
async def test_a_page_is_in_order_though_its_rows_are_read_in_none(
    ids: list[int], request_: PageRequest, first: bool, descending: bool
) -> None:
    async def jumbled(sql: str, *values: Any) -> list[Event]:
        found = await read(Event, sql, *values)
        return found[1::2] + found[::2]

    found = await page(Event.all(), request_, descending=descending, read=jumbled)
    whole = sorted(ids, reverse=descending)
    assert [event.id for event in found.nodes] == (whole[:3] if first else whole[-3:])
