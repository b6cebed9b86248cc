"""Unforeseen faults: PostgreSQL answers, but raises an error that Hookline has no name for."""

from domain.database import rows


async def break_reading(table: str) -> None:
    """Make every statement that reads this table fail, until `mend_reading`."""
    await rows(f"ALTER TABLE {table} RENAME TO apart")
    await rows(f"CREATE FUNCTION breaks() RETURNS boolean STABLE LANGUAGE plpgsql AS $$ {_RAISE} $$")
    await rows(f"CREATE VIEW {table} AS SELECT * FROM apart WHERE breaks()")


async def mend_reading(table: str) -> None:
    """Undo `break_reading`."""
    await rows(f"DROP VIEW {table}")
    await rows(f"ALTER TABLE apart RENAME TO {table}")


async def break_updating(table: str) -> None:
    """Make every update of a row of this table fail."""
    await rows(f"CREATE FUNCTION breaks() RETURNS trigger LANGUAGE plpgsql AS $$ {_RAISE} $$")
    await rows(f"CREATE TRIGGER broken BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION breaks()")


_RAISE = "BEGIN RAISE EXCEPTION 'A secret of our inside.'; END"
