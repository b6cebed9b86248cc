"""Measure: `python -m bench [ROW]` runs all groups of measurements, or the one that makes ROW.

Prints a table, and writes the same to bench/latest.json. Ratios are of one run, so that the machine cancels out.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import engine, graphql, latency, live, pruning, scale, visitors
from bench.figures import Figure
from bench.place import Place, prepared

LATEST = Path(__file__).with_name("latest.json")
Group = Callable[[Place], list[Figure]]

# The rows that each group makes, so that one can be asked for by name.
GROUPS: dict[tuple[str, ...], Group] = {
    engine.BACKLOG_ROWS: engine.backlog,
    engine.VARIATION_ROWS: engine.variations,
    engine.MEMORY_ROWS: engine.memory,
    scale.ROWS: scale.million,
    latency.STEADY_ROWS: latency.steady,
    latency.HANGING_ROWS: latency.hanging,
    latency.BUSY_ROWS: latency.busy,
    pruning.ROWS: pruning.pruning,
    graphql.ACCEPT_ROWS: graphql.accept,
    graphql.LIST_ROWS: graphql.listing,
    live.ROWS: live.fan_out,
    visitors.ROWS: visitors.visitors,
}


def main(wanted: str) -> int:
    """Run what was asked for; returns 2 if there is no such row."""
    groups = [group for rows, group in GROUPS.items() if not wanted or wanted in rows]
    if not groups:
        print(f"There is no row {wanted}. Rows: {', '.join(row for rows in GROUPS for row in rows)}", file=sys.stderr)
        return 2
    figures: list[Figure] = []
    for group in groups:
        with prepared() as place:
            for figure in group(place):
                print(f"{figure.name}: {figure.value:.4g} {figure.unit}", file=sys.stderr, flush=True)
                figures.append(figure)
    _show(figures)
    LATEST.write_text(json.dumps({figure.name: _stored(figure) for figure in figures}, indent=2) + "\n")
    return 0


def _stored(figure: Figure) -> dict[str, object]:
    return {"value": figure.value, "unit": figure.unit, "aim": figure.aim, "better": figure.better}


def _show(figures: list[Figure]) -> None:
    table = Table("row", "value", "unit", "aim", "", "what", box=None)
    for figure in figures:
        sign = "at least" if figure.better == "higher" else "at most"
        aim = f"{sign} {figure.aim:g}" if figure.aim is not None else ""
        verdict = "" if figure.aim is None else "yes" if figure.reached else "NO"
        table.add_row(figure.name, f"{figure.value:.4g}", figure.unit, aim, verdict, figure.what)
    Console(width=160).print(table)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else ""))
