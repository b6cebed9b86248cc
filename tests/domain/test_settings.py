"""Settings: read once, refused with the variable's name, and documented where people look."""

import base64
import re
from dataclasses import fields
from datetime import timedelta
from pathlib import Path

import pytest

from domain import accounts, post_checks
from domain.errors import Misconfigured
from domain.posts import MOST_DELETED
from domain.request import MOST_HEADERS
from domain.settings import Settings, read, unread
from domain.webhook_checks import MOST_ATTEMPTS
from domain.webhooks import MOST_WEBHOOKS
from domain.workspaces import MOST_TOKENS

ROOT = Path(__file__).parents[2]
KEY = base64.urlsafe_b64encode(bytes(32)).decode()
NEEDED = {
    "HOOKLINE_DATABASE_URL": "postgresql://h@localhost/h",
    "HOOKLINE_REDIS_URL": "redis://localhost",
    "HOOKLINE_SECRET_KEYS": KEY,
}

NO_ORIGINS = (
    "*",
    "null",
    "app.example.com",
    "https://app.example.com/",
    "https://App.example.com",
    "https://app.example.com:443",
    "http://app.example.com:80",
    "https://ok.example, https://bücher.example",
)


def variables() -> set[str]:
    return {f"HOOKLINE_{field.name.upper()}" for field in fields(Settings)}


def test_what_is_needed_is_enough() -> None:
    settings = Settings.from_environment(NEEDED)

    assert settings.secret_keys == (bytes(32),)
    assert settings.request_timeout == timedelta(seconds=15)


@pytest.mark.parametrize("name", NEEDED)
def test_what_is_missing_is_named(name: str) -> None:
    with pytest.raises(Misconfigured, match=name):
        Settings.from_environment({key: value for key, value in NEEDED.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HOOKLINE_PORT", "eighty"),
        ("HOOKLINE_PORT", "-1"),
        ("HOOKLINE_LEASE", "nan"),
        ("HOOKLINE_LEASE", "0"),
        ("HOOKLINE_LEASE", "1e9"),
        ("HOOKLINE_ALLOWED_NETWORKS", "10.0.0.1/8"),
        ("HOOKLINE_DENIED_PORTS", "22,x"),
        ("HOOKLINE_SECRET_KEYS", "short"),
        ("HOOKLINE_SECRET_KEYS", ","),
        *(("HOOKLINE_SECRET_KEYS", f"{KEY}{sign}{KEY}") for sign in (" ", "\n", ";", "")),
        ("HOOKLINE_SECRET_KEYS", f"{KEY},{KEY[:-1]}"),
        ("HOOKLINE_LOG_FORMAT", "xml"),
        ("HOOKLINE_LOG_LEVEL", "foo"),
        ("HOOKLINE_HOST", "h" * 80),
        ("HOOKLINE_PORT", "70000"),
        ("HOOKLINE_METRICS_PORT", "70000"),
        ("HOOKLINE_DENIED_PORTS", "22,99999"),
        *(("HOOKLINE_ALLOWED_ORIGINS", value) for value in NO_ORIGINS),
        ("HOOKLINE_TRACES_ENDPOINT", "nonsense"),
        ("HOOKLINE_TRACES_ENDPOINT", "ftp://collector/v1/traces"),
        ("HOOKLINE_TRACES_ENDPOINT", "http://collector:s3cret/v1/traces"),
    ],
)
def test_what_makes_no_sense_is_named(name: str, value: str) -> None:
    with pytest.raises(Misconfigured, match=f"^{name}: ") as refused:
        Settings.from_environment({**NEEDED, name: value})
    assert "s3cret" not in str(refused.value)


def test_origins_are_taken_as_browsers_write_them() -> None:
    told = "https://app.example.com, http://localhost:3000,http://[::1]:8080, https://xn--bcher-kva.example,tauri://localhost"

    settings = Settings.from_environment({**NEEDED, "HOOKLINE_ALLOWED_ORIGINS": told})

    assert settings.allowed_origins == tuple(told.replace(" ", "").split(","))


def test_a_level_is_one_in_capitals_too() -> None:
    assert Settings.from_environment({**NEEDED, "HOOKLINE_LOG_LEVEL": "WARNING"}).log_level == "warning"


def test_an_empty_variable_is_as_good_as_none() -> None:
    empty = dict.fromkeys(variables() - set(NEEDED), "")

    assert Settings.from_environment({**NEEDED, **empty}) == Settings.from_environment(NEEDED)


def test_what_is_secret_may_lie_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"{KEY}\n")
    told = {**NEEDED, "HOOKLINE_SECRET_KEYS": "", "HOOKLINE_SECRET_KEYS_FILE": str(tmp_path / "keys")}

    assert Settings.from_environment(told).secret_keys == (bytes(32),)


def test_a_file_that_is_missing_or_contradicts_its_variable_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="HOOKLINE_SECRET_KEYS_FILE names cannot be read: No such file"):
        Settings.from_environment(
            {**NEEDED, "HOOKLINE_SECRET_KEYS": "", "HOOKLINE_SECRET_KEYS_FILE": str(tmp_path / "none")}
        )
    with pytest.raises(Misconfigured, match="give it or HOOKLINE_SECRET_KEYS_FILE, not both"):
        Settings.from_environment({**NEEDED, "HOOKLINE_SECRET_KEYS_FILE": str(tmp_path / "none")})


def test_keys_may_be_in_either_alphabet_of_base64() -> None:
    told = {**NEEDED, "HOOKLINE_SECRET_KEYS": f"{'_-_-' * 10}_-8=, {'/+/+' * 10}/+8="}

    assert Settings.from_environment(told).secret_keys == (b"\xff\xef\xfe" * 10 + b"\xff\xef",) * 2


def test_a_name_that_is_no_setting_is_read_by_nobody() -> None:
    known = {f"{name}{end}": "x" for name in variables() for end in ("", "_FILE")} | {"HOOKLINE_URL": "", "PATH": ""}

    assert unread({**known, "HOOKLINE_SECRET_KEY_FILE": "x", "HOOKLINE_PROT": ""}) == [
        "HOOKLINE_PROT", "HOOKLINE_SECRET_KEY_FILE",
    ]  # fmt: skip


def test_all_that_is_wrong_is_found_at_once() -> None:
    _, faults = read({"HOOKLINE_LEASE": "soon", "HOOKLINE_REDIS_URL": "redis://localhost"})

    assert [str(fault).split(":")[0] for fault in faults] == [
        "HOOKLINE_DATABASE_URL is not set.", "HOOKLINE_SECRET_KEYS is not set.", "HOOKLINE_LEASE",
    ]  # fmt: skip


def test_a_key_that_is_refused_is_not_repeated() -> None:
    with pytest.raises(Misconfigured) as refused:
        Settings.from_environment({**NEEDED, "HOOKLINE_SECRET_KEYS": "hunter2hunter2"})

    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"HOOKLINE_LEASE": "19.9"}, "HOOKLINE_LEASE"),
        ({"HOOKLINE_SHUTDOWN_DEADLINE": "14"}, "HOOKLINE_SHUTDOWN_DEADLINE"),
        ({"HOOKLINE_CONNECT_TIMEOUT": "16"}, "HOOKLINE_CONNECT_TIMEOUT"),
        ({"HOOKLINE_KEEP_DELIVERIES": "86400"}, "HOOKLINE_KEEP_ATTEMPT_BODIES"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(changes: dict[str, str], named: str) -> None:
    with pytest.raises(Misconfigured, match=named):
        Settings.from_environment({**NEEDED, **changes})


@pytest.mark.parametrize("page", [".env.example", "docs/settings.md"])
def test_every_setting_is_documented_and_nothing_else_is(page: str) -> None:
    named = set(re.findall(r"^(?:# ?|\| `)?(HOOKLINE_[A-Z_]+)", (ROOT / page).read_text(), re.MULTILINE))

    assert named == variables()


def defaults_in(page: str) -> dict[str, str]:
    text = (ROOT / page).read_text()
    pattern = r"^(HOOKLINE_[A-Z_]+)=(.*)$" if page == ".env.example" else r"^\| `(HOOKLINE_[A-Z_]+)` \| (.*?) ?\| "
    return dict(re.findall(pattern, text, re.MULTILINE))


@pytest.mark.parametrize("page", [".env.example", "docs/settings.md"])
def test_the_documented_defaults_are_those_that_hold(page: str) -> None:
    told = defaults_in(page)

    assert set(told) == variables()
    assert Settings.from_environment({**told, **NEEDED}) == Settings.from_environment(NEEDED)
    without = {name for name in variables() - set(NEEDED) if not told[name]}
    unset = Settings.from_environment(NEEDED)
    assert without == {f"HOOKLINE_{field.name.upper()}" for field in fields(Settings) if not getattr(unset, field.name)}


def test_the_documented_limits_are_those_that_hold() -> None:
    section = (
        (ROOT / "docs" / "settings.md").read_text().partition("## What no setting changes\n")[2].partition("\n## ")[0]
    )
    for limit in (
        f"{MOST_WEBHOOKS:,} webhooks, {accounts.MOST_ACCOUNTS} accounts and {MOST_TOKENS:,} valid tokens",
        f"tried at most {MOST_ATTEMPTS} times and has at most {MOST_HEADERS} headers",
        f"{post_checks.LONGEST_BODY:,} characters, {post_checks.LONGEST_TEXTS:,} with all its variants,",
        f"and {post_checks.MOST_ACCOUNTS} accounts",
        f"{MOST_DELETED} posts are deleted at once",
    ):
        assert limit in section
    assert timedelta(days=5 * 365) == post_checks.FURTHEST_AHEAD


def test_only_one_file_reads_the_environment() -> None:
    readers = [
        str(path.relative_to(ROOT))
        for folder in ("api", "schema", "workers", "domain")
        for path in (ROOT / folder).rglob("*.py")
        if re.search(r"\benviron\b|\bgetenv\b", path.read_text())
    ]

    assert readers == ["domain/settings.py"]
