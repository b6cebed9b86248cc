"""The page about events for integrators: `python -m domain.catalogue_page > docs/events.md`."""

import json
import sys
from collections.abc import Iterator

from domain import payload_schemas as schemas
from domain.catalogue import EVENT_TYPES, EventInfo
from domain.payload_schemas import Json
from domain.vocabulary import EventType

_INTRODUCTION = """\
# Events

Made from the catalogue (`domain/catalogue.py`) by `.venv/bin/python -m domain.catalogue_page > docs/events.md`.
The same is in the API, with the JSON Schema of every payload: `{ eventTypes { type wireName example jsonSchema } }`.

Every payload is one JSON object with two members: `event`, what happened, and `data`, what it happened to. The document
is made once, when it happens; its bytes are the same in every attempt and whenever it is sent again.
How requests are signed and retried is in [receiving.md](receiving.md).
"""

_LATER = """\
Fields may be added later. Let your receiver pass over what it does not know; refuse nothing because of it.
"""


def page() -> str:
    """The whole page, in Markdown."""
    return "\n".join(
        [
            _INTRODUCTION,
            *_table(("Event", "`event`", "in GraphQL", "When"), (_row(info) for info in EVENT_TYPES.values())),
            "",
            _LATER,
            *(line for info in EVENT_TYPES.values() for line in _section(info)),
            *_fields("A post", _data_of(EventType.POST_CREATED)),
            *_fields("An account", schemas.ACCOUNT),
        ]
    )


def _row(info: EventInfo) -> tuple[str, ...]:
    link = f"[{info.title}](#{info.title.lower().replace(' ', '-')})"
    return link, f"`{info.type.value}`", f"`{info.type.name}`", info.description


def _section(info: EventInfo) -> Iterator[str]:
    yield f"## {info.title}\n\n`{info.type.value}`: {info.description}\n"
    yield f"```json\n{json.dumps(info.example, indent=2, ensure_ascii=False)}\n```\n"


def _data_of(event_type: EventType) -> Json:
    data: Json = EVENT_TYPES[event_type].json_schema["properties"]["data"]
    return data


def _fields(title: str, schema: Json) -> Iterator[str]:
    yield f"## {title}\n"
    yield from _table(("Field", "Type", "What it is"), _field_rows(schema, ""))
    yield ""


def _field_rows(schema: Json, path: str) -> Iterator[tuple[str, ...]]:
    for name, field in schema["properties"].items():
        yield f"`{path}{name}`", _type(field), field["description"]
        if "properties" in field:
            yield from _field_rows(field, f"{path}{name}.")
        if "properties" in field.get("items", {}):
            yield from _field_rows(field["items"], f"{path}{name}[].")


def _type(field: Json) -> str:
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    names: list[str] = field["type"] if isinstance(field["type"], list) else [field["type"]]
    text = {"date-time": "time", "uuid": "UUID"}.get(field.get("format", ""), "string")
    return " or ".join(text if name == "string" else name for name in names)


def _table(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    for row in (head, ("---",) * len(head), *rows):
        yield f"| {' | '.join(row)} |"


if __name__ == "__main__":
    sys.stdout.write(page())
