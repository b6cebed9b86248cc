"""`hookline doctor` on variables that are none of ours, or contradict each other."""

from datetime import timedelta

import pytest

from cli import doctor
from cli.doctor import Verdict
from domain.settings import Settings


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("HOOKLINE_DENIED_NETWORK", "Did you mean HOOKLINE_DENIED_NETWORKS? "),
        ("HOOKLINE_SECRET_KEY_FILE", "Did you mean HOOKLINE_SECRET_KEYS? "),
        ("HOOKLINE_PORTS_FILE", "Did you mean HOOKLINE_PORT? "),
        ("HOOKLINE_WORKERS", "Remove it; "),
    ],
)
async def test_a_name_that_nobody_reads(name: str, remedy: str) -> None:
    (found,) = [each async for each in doctor.examine({name: "x"}) if name in each.says]

    assert (found.check, found.verdict, found.says) == (
        "settings",
        Verdict.WARNING,
        f"{name} is not a setting of Hookline",
    )
    assert found.remedy.startswith(remedy)


def test_all_contradictions_of_the_settings_are_told_at_once() -> None:
    hour = timedelta(hours=1)
    settings = Settings("", "", (b"",), request_timeout=hour, connect_timeout=2 * hour, keep_deliveries=hour)
    assert [finding.says.split()[0] for finding in doctor.told(settings, ())] == [
        "HOOKLINE_LEASE", "HOOKLINE_SHUTDOWN_DEADLINE", "HOOKLINE_CONNECT_TIMEOUT", "HOOKLINE_KEEP_ATTEMPT_BODIES",
    ]  # fmt: skip
