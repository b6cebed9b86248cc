"""`hookline doctor` on variables that are none of ours."""

import pytest

from cli import doctor
from cli.doctor import Verdict


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("HOOKLINE_DENIED_NETWORK", "Perhaps HOOKLINE_DENIED_NETWORKS is meant; "),
        ("HOOKLINE_SECRET_KEY_FILE", "Perhaps HOOKLINE_SECRET_KEYS is meant; "),
        ("HOOKLINE_PORTS_FILE", "Perhaps HOOKLINE_PORT is meant; "),
        ("HOOKLINE_WORKERS", "Remove it; "),
    ],
)
async def test_a_name_that_nobody_reads(name: str, remedy: str) -> None:
    (found,) = [each async for each in doctor.examine({name: "x"}) if name in each.says]

    assert (found.check, found.verdict, found.says) == ("settings", Verdict.WARNING, f"nobody reads {name}")
    assert found.remedy.startswith(remedy)
