"""The catalogue: whole, strict, and true to what the system sends."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, FormatChecker, ValidationError

from domain.catalogue import EVENT_TYPES, EventInfo
from domain.catalogue_page import page
from domain.vocabulary import EventType

DOCS = Path(__file__).parents[2] / "docs"

each = pytest.mark.parametrize("info", [pytest.param(info, id=info.type.value) for info in EVENT_TYPES.values()])


def validate(info: EventInfo, payload: Any) -> None:
    Draft202012Validator(info.json_schema, format_checker=FormatChecker(["uuid"])).validate(payload)


def objects(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All schemas of objects within a schema."""
    if "object" in schema.get("type", ()) and "properties" in schema:
        yield schema
    inside = [*schema.get("properties", {}).values(), *schema.get("oneOf", ())]
    for inner in [*inside, schema["items"]] if "items" in schema else inside:
        yield from objects(inner)


def test_the_catalogue_holds_every_event_in_the_order_of_the_vocabulary() -> None:
    assert list(EVENT_TYPES) == list(EventType)


def test_the_seven_events_of_the_documentation_have_their_names() -> None:
    titles = {info.title for info in EVENT_TYPES.values()}

    assert titles > {
        "Account Added", "Account Updated", "Account Deleted", "Post Deleted", "Post Scheduled", "Post Published",
        "Publishing Post Failed",
    }  # fmt: skip


@each
def test_a_schema_is_a_schema(info: EventInfo) -> None:
    Draft202012Validator.check_schema(info.json_schema)

    assert info.json_schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]


@each
def test_an_example_satisfies_its_schema(info: EventInfo) -> None:
    validate(info, info.example)


@each
def test_an_example_satisfies_no_other_event(info: EventInfo) -> None:
    for other in EVENT_TYPES.values():
        if other is not info:
            with pytest.raises(ValidationError):
                validate(other, info.example)


@each
def test_every_object_of_a_schema_is_closed_and_every_field_described_and_required(info: EventInfo) -> None:
    for schema in objects(info.json_schema):
        assert schema["additionalProperties"] is False
        assert schema["required"] == list(schema["properties"])
        assert all(field.get("description") or field.get("oneOf") for field in schema["properties"].values())


@each
def test_a_payload_with_a_field_more_or_less_is_refused(info: EventInfo) -> None:
    more, less = deepcopy(info.example), deepcopy(info.example)
    more["data"]["surprise"] = 1
    less["data"].popitem()

    for wrong in (more, less):
        with pytest.raises(ValidationError):
            validate(info, wrong)


@pytest.mark.parametrize(
    "time", ["2026-03-03", "2026-03-03T06:45:00", "2026-03-03T06:45:00+00:00", "2026-03-03 06:45:00"]
)
def test_a_time_without_z_is_refused(time: str) -> None:
    info = EVENT_TYPES[EventType.POST_SCHEDULED]
    example = deepcopy(info.example)
    example["data"]["scheduled_at"] = time

    with pytest.raises(ValidationError):
        validate(info, example)


def test_the_page_about_events_is_current() -> None:
    assert (DOCS / "events.md").read_text() == page(), "run: .venv/bin/python -m domain.catalogue_page > docs/events.md"
