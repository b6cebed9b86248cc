"""The page about errors describes every code."""

import re
from pathlib import Path
from typing import Any

import pytest

from api import metrics, statuses
from api.errors_page import CODES, page
from api.execution import Outcome

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_current_and_leaves_no_code_out() -> None:
    assert (DOCS / "errors.md").read_text() == page(), "run: .venv/bin/python -m api.errors_page > docs/errors.md"
    assert set(CODES) == metrics.CODES
    assert set(statuses.REFUSED) < set(CODES)


@pytest.mark.parametrize(
    ("code", "data"),
    [
        pytest.param("QUERY_TOO_COMPLEX", None, id="the answer of a mutation is too long"),
        pytest.param("FORBIDDEN", None, id="a mutation is for other roles"),
        pytest.param("INTERNAL", {"webhook": None}, id="one of several fields broke"),
        pytest.param("UNAVAILABLE", {"webhook": None}, id="the database went away on the way"),
    ],
)
def test_the_page_names_the_status_of_an_answer_that_was_executed_all_the_same(code: str, data: Any) -> None:
    outcome = Outcome(executed=True, data=data, errors=[{"extensions": {"code": code}}])
    [told] = re.findall(rf"^\| `{code}` \| ([^|]*) \|", page(), re.MULTILINE)
    assert str(statuses.status_of(outcome, statuses.JSON)) in re.findall(r"\d+", told)
