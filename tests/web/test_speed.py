"""How fast the pages are in a real Chromium."""

import pytest

from tests.web.scripts import names_of, verdicts_of

SCRIPT = "speed.test.mjs"


@pytest.fixture(scope="module")
def verdicts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | None]:
    """What became of each test of the script."""
    return verdicts_of(SCRIPT, tmp_path_factory.mktemp("browser"))


@pytest.mark.alone
@pytest.mark.parametrize("name", names_of(SCRIPT))
def test_in_a_real_browser(name: str, verdicts: dict[str, str | None]) -> None:
    assert verdicts[name] is None, verdicts[name]
