"""Lanes: fair shares of the places, narrow for endpoints that hang, wide for those that answer."""

from domain.deliveries import Room
from domain.queue import Owed
from domain.vocabulary import AttemptOutcome
from workers.lanes import FIRST_WIDTH, MOST_REMEMBERED, Lanes


def owed(count: int, webhook: int = 1, workspace: int = 1) -> list[Owed]:
    return [Owed(n, webhook, workspace) for n in range(count)]


def seated(rooms: list[Room]) -> dict[int, int]:
    return {room.webhook_id: room.places for room in rooms}


def test_a_lane_admits_its_width_and_leaves_the_rest_in_the_database() -> None:
    lanes = Lanes(places=1000, widest=50)

    assert len(lanes.admit(owed(100))) == FIRST_WIDTH
    assert lanes.free == 1000 - FIRST_WIDTH


def test_no_more_than_all_places_are_ever_taken() -> None:
    lanes = Lanes(places=15, widest=50)

    assert sum(len(lanes.admit(owed(10, webhook=webhook))) for webhook in range(1, 20)) == 15
    assert lanes.free == 0


def test_two_hundred_endpoints_that_hang_leave_places_for_those_that_answer() -> None:
    lanes = Lanes(places=1000, widest=50)
    for hanging in range(1, 201):
        lanes.admit(owed(100, webhook=hanging))

    assert lanes.admit(owed(1, webhook=1000))
    assert lanes.free > 0


def test_an_endpoint_that_answers_widens_its_lane_up_to_the_cap() -> None:
    lanes = Lanes(places=1000, widest=30)
    for _ in range(100):
        lanes.admit(owed(1))
        lanes.learn(1, AttemptOutcome.SUCCEEDED)
    assert lanes.free == 1000 - 30


def test_no_endpoint_gets_more_at_once_than_the_operator_allows() -> None:
    lanes = Lanes(places=1000, widest=3)

    assert len(lanes.admit(owed(FIRST_WIDTH))) == 3
    lanes.release(1, 3)
    assert seated(lanes.seat_hungry()) == {1: 3}
    lanes.release(1, 3)
    lanes.sated(1)
    assert lanes.open == 0


def test_an_endpoint_that_hangs_soon_holds_one_place() -> None:
    lanes = Lanes(places=1000, widest=50)
    admitted = lanes.admit(owed(10))
    for _ in range(4):
        lanes.learn(1, AttemptOutcome.TIMED_OUT)
    lanes.release(1, len(admitted))

    assert len(lanes.admit(owed(10))) == 1


def test_a_lane_that_was_narrowed_below_what_it_holds_gets_nothing_more() -> None:
    lanes = Lanes(places=1000, widest=50)
    lanes.admit(owed(FIRST_WIDTH))
    lanes.learn(1, AttemptOutcome.TIMED_OUT)

    assert lanes.admit(owed(1)) == []
    assert lanes.free == 1000 - FIRST_WIDTH


def test_an_error_that_was_answered_leaves_the_lane_as_it_is() -> None:
    lanes = Lanes(places=1000, widest=50)
    lanes.admit(owed(1))
    lanes.learn(1, AttemptOutcome.HTTP_ERROR)
    lanes.release(1)

    assert len(lanes.admit(owed(100))) == FIRST_WIDTH


def test_a_freed_place_goes_to_a_hungry_lane() -> None:
    lanes = Lanes(places=1000, widest=50)
    lanes.admit(owed(FIRST_WIDTH + 1))
    assert seated(lanes.seat_hungry()) == {}

    lanes.release(1, 3)

    assert lanes.room_for_hungry.is_set()
    assert seated(lanes.seat_hungry()) == {1: 3}


def test_a_wide_lane_is_told_of_all_the_places_that_it_was_given() -> None:
    lanes = Lanes(places=1000, widest=50)
    for _ in range(20):
        lanes.admit(owed(1))
        lanes.learn(1, AttemptOutcome.SUCCEEDED)
    lanes.wanting(1, 1)
    lanes.release(1, 20)

    assert seated(lanes.seat_hungry()) == {1: FIRST_WIDTH + 20}
    assert lanes.free == 1000 - FIRST_WIDTH - 20


def test_a_sated_lane_gets_no_places_and_wakes_nobody() -> None:
    lanes = Lanes(places=1000, widest=50)
    lanes.wanting(1, 1)
    for room in lanes.seat_hungry():
        lanes.release(room.webhook_id, room.places)
    lanes.sated(1)
    lanes.room_for_hungry.clear()
    lanes.admit(owed(1, webhook=2))
    lanes.release(2)

    assert lanes.seat_hungry() == []
    assert not lanes.room_for_hungry.is_set()


def test_a_lane_that_grew_hungry_while_the_database_was_asked_is_not_sated_by_its_answer() -> None:
    lanes = Lanes(places=1000, widest=1)
    lanes.wanting(1, 1)
    lanes.seat_hungry()
    assert lanes.admit(owed(1)) == []

    lanes.release(1)
    lanes.sated(1)

    assert seated(lanes.seat_hungry()) == {1: 1}


def test_a_workspace_with_very_many_webhooks_does_not_starve_another() -> None:
    lanes = Lanes(places=100, widest=50)
    for webhook in range(1, 1000):
        lanes.wanting(webhook, workspace_id=1)
    lanes.wanting(5000, workspace_id=2)

    places = seated(lanes.seat_hungry())

    assert places[5000] == FIRST_WIDTH
    assert sum(places.values()) == 100


def test_workspaces_take_turns_where_places_come_free_one_by_one() -> None:
    lanes = Lanes(places=1, widest=50)
    for webhook in range(1, 100):
        lanes.wanting(webhook, workspace_id=1)
    lanes.wanting(5000, workspace_id=2)

    served = []
    for _ in range(4):
        (room,) = lanes.seat_hungry()
        served.append(room.webhook_id)
        lanes.release(room.webhook_id)

    assert [webhook for webhook in served if webhook == 5000] == [5000, 5000], "every second place"


def test_a_wide_lane_takes_a_turn_like_any_other_where_places_are_few() -> None:
    lanes = Lanes(places=60, widest=50)
    for webhook in (1, 2):
        lanes.admit(owed(1, webhook, workspace=webhook))
        for _ in range(50):
            lanes.learn(webhook, AttemptOutcome.SUCCEEDED)
        lanes.wanting(webhook, workspace_id=webhook)

    places = seated(lanes.seat_hungry())

    assert places[1] == places[2]


def test_webhooks_of_one_workspace_take_turns() -> None:
    lanes = Lanes(places=10, widest=50)
    lanes.wanting(1, 1)
    lanes.wanting(2, 1)

    first = seated(lanes.seat_hungry())
    for webhook, places in first.items():
        lanes.release(webhook, places)
    second = seated(lanes.seat_hungry())

    assert {*first, *second} == {1, 2}


def test_a_probe_takes_one_place() -> None:
    lanes = Lanes(places=10, widest=50)

    assert lanes.seat_probes([(1, 1)]) == [Room(1, 1, probe=True)]
    assert lanes.free == 9


def test_a_probe_that_finds_no_place_leaves_nothing_behind() -> None:
    lanes = Lanes(places=1, widest=50)
    lanes.admit(owed(1))

    assert lanes.seat_probes([(2, 1)]) == []
    assert lanes.open == 1


def test_idle_lanes_are_forgotten() -> None:
    lanes = Lanes(places=10, widest=50)
    for webhook in range(100):
        lanes.admit(owed(1, webhook))
        lanes.release(webhook)

    assert lanes.open == 0
    assert lanes.free == 10


def test_a_lane_is_kept_for_as_long_as_it_holds_a_place() -> None:
    lanes = Lanes(places=10, widest=50)
    lanes.admit(owed(2))

    lanes.release(1)
    assert lanes.open == 1
    lanes.release(1)
    assert lanes.open == 0


def test_of_endpoints_that_hang_no_more_than_so_many_are_remembered() -> None:
    lanes = Lanes(places=10, widest=50)
    for webhook_id in range(1, MOST_REMEMBERED + 10):
        lanes.admit(owed(1, webhook_id))
        lanes.learn(webhook_id, AttemptOutcome.TIMED_OUT)
        lanes.release(webhook_id)

    assert lanes.open == MOST_REMEMBERED


def test_a_lane_that_turns_out_to_have_nothing_due_is_forgotten() -> None:
    lanes = Lanes(places=10, widest=50)
    lanes.wanting(1, 1)
    for room in lanes.seat_hungry():
        lanes.release(room.webhook_id, room.places)
        lanes.sated(room.webhook_id)

    assert lanes.open == 0


def test_what_comes_without_a_place_is_counted_and_nobody_gets_more_than_there_is() -> None:
    lanes = Lanes(places=1, widest=50)
    lanes.admit(owed(1, webhook=1))
    lanes.squeeze_in(2, 1)

    assert lanes.free == -1
    lanes.wanting(3, 1)
    assert lanes.seat_hungry() == []
    lanes.release(1)
    lanes.release(2)
    assert seated(lanes.seat_hungry()) == {3: 1}
