"""The page about errors tells of every code that there is."""

from pathlib import Path

from api import metrics, statuses
from api.errors_page import CODES, page

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_current_and_leaves_no_code_out() -> None:
    assert (DOCS / "errors.md").read_text() == page(), "run: .venv/bin/python -m api.errors_page > docs/errors.md"
    assert set(CODES) == metrics.CODES
    assert set(statuses.REFUSED) < set(CODES)
