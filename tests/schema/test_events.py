import json
from unittest.mock import Mock, call

import jsonschema
import pytest

from domain.vocabulary import EventType
from tests.schema.conftest import Client
from tests.schema.world import furnish


async def test_the_catalogue_tells_all_of_every_event_type(viewer: Client) -> None:
    types = (await viewer("{ eventTypes { type wireName description example jsonSchema } }"))["eventTypes"]
    assert [(info["type"], info["wireName"]) for info in types] == [(type_.name, type_.value) for type_ in EventType]
    for info in types:
        assert info["description"]
        jsonschema.validate(info["example"], info["jsonSchema"])


async def test_an_event_is_read_with_its_payload(viewer: Client, ask: Client) -> None:
    world = await furnish(ask)
    document = "query ($id: ID!) { event(id: $id) { uuid type payload deliveries { totalCount } } }"
    event = (await viewer(document, id=world.ids["Event"]))["event"]
    assert (event["uuid"], event["type"]) == (str(world.event.uuid), "POST_CREATED")
    assert event["payload"]["event"] == "post.created"
    assert event["deliveries"] == {"totalCount": 1}


async def test_what_is_kept_as_json_is_read_once_however_often_it_is_met(
    ask: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await furnish(ask)
    read = Mock(wraps=json.loads)
    monkeypatch.setattr(json, "loads", read)
    document = """query ($event: ID!, $delivery: ID!) {
        nodes(ids: [$event, $event]) { ... on Event { payload also: payload } }
        delivery(id: $delivery) {
            event { payload } again: event { payload }
            attempts { requestHeaders { name } also: requestHeaders { name } }
        }
    }"""
    found = await ask(document, event=world.ids["Event"], delivery=world.ids["Delivery"])
    assert found["nodes"][0]["also"] == found["nodes"][1]["payload"] == found["delivery"]["again"]["payload"] != {}
    for text in (world.event.document, world.attempt.request_headers):
        assert read.call_args_list.count(call(text)) == 1


async def test_events_are_filtered(ask: Client) -> None:
    world = await furnish(ask)
    document = "query ($f: EventFilter) { events(filter: $f) { totalCount nodes { id type } } }"
    instant = world.event.occurred_at.isoformat()

    async def found(**wanted: object) -> list[str]:
        page = (await ask(document, f=wanted))["events"]
        assert page["totalCount"] == len(page["nodes"])
        return [node["type"] for node in page["nodes"]]

    assert await found() == ["POST_CREATED", "ACCOUNT_ADDED"]
    assert await found(types=["ACCOUNT_ADDED"]) == ["ACCOUNT_ADDED"]
    assert await found(types=[]) == []
    assert await found(occurredAfter=instant) == ["POST_CREATED"]
    assert await found(occurredBefore=instant) == ["ACCOUNT_ADDED"]
