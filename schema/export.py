"""Writes schema/schema.graphql: `python -m schema.export`."""

from pathlib import Path

from graphql import lexicographic_sort_schema, print_schema

from schema.schema import schema

EXPORT = Path(__file__).with_name("schema.graphql")


def exported() -> str:
    """The schema in GraphQL's own language, sorted, so that moving code does not change it."""
    return print_schema(lexicographic_sort_schema(schema._schema)) + "\n"  # noqa: SLF001 (shown nowhere else)


if __name__ == "__main__":
    EXPORT.write_text(exported())
