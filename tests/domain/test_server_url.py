"""The URLs of PostgreSQL and Redis: what cannot be one is refused in a sentence that reveals no password."""

from collections.abc import Callable

import pytest

from domain import queue
from domain.database import credentials
from domain.errors import Misconfigured
from tests.running import hookline

PASSWORD = "Tr0ub4dor"


@pytest.mark.parametrize(
    "rest",
    [
        pytest.param(f"user:{PASSWORD}/x@h/0", id="a slash in the password"),
        pytest.param(f"user:12/{PASSWORD}@h/0", id="a slash after what could be a port"),
        pytest.param(f"user:{PASSWORD}#x@h/0", id="a number sign in the password"),
        pytest.param(f"user:12#{PASSWORD}@h/0", id="a number sign after what could be a port"),
        pytest.param(f"user:{PASSWORD}?x@h/0", id="a question mark in the password"),
        pytest.param(f"user:[{PASSWORD}@h/0", id="an opening bracket in the password"),
        pytest.param(f"user:[{PASSWORD}]@h/0", id="both brackets in the password"),
        pytest.param(f"user:{PASSWORD}\u2100@h/0", id="a character that would become a slash"),
        pytest.param(f"user:{PASSWORD}\udcff@h/0", id="a byte that is no text in the password"),
        pytest.param(f"user:{PASSWORD}@h:99999/0", id="a port that is none"),
        pytest.param(f"user:{PASSWORD}@{'h' * 80}/0", id="a host that no name server knows"),
    ],
)
@pytest.mark.parametrize(
    ("scheme", "parse"), [("postgresql", credentials), ("redis", queue.redis_settings)], ids=["postgresql", "redis"]
)
def test_what_cannot_be_a_url_is_refused_and_not_repeated(
    scheme: str, parse: Callable[[str], object], rest: str
) -> None:
    with pytest.raises(Misconfigured) as refused:
        parse(f"{scheme}://{rest}")

    assert PASSWORD not in str(refused.value)
    assert str(refused.value).endswith("; in a password, / @ # ? [ are written %2F %40 %23 %3F %5B.")
    # A traceback does not show it either.
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__ or refused.value.__context__ is None


@pytest.mark.parametrize("host", ["a..b", "h" * 80, "%00x", "/var/%00x"])
def test_a_host_among_the_parameters_is_one_too(host: str) -> None:
    with pytest.raises(Misconfigured, match="HOOKLINE_DATABASE_URL must look like"):
        credentials(f"postgresql:///db?host={host}")


@pytest.mark.parametrize("place", ["one,two/db", "one:5432,two:5433/db", "/db?host=one,two"])
def test_several_hosts_are_refused_as_such(place: str) -> None:
    with pytest.raises(Misconfigured, match="HOOKLINE_DATABASE_URL must name one host"):
        credentials(f"postgresql://user:{PASSWORD}@{place}")


@pytest.mark.parametrize(
    "url", ["redis://h:6379/notadb", "redis://h?db=foo", "redis://h/-1", "unix:///x?db=foo", f"redis://h/{'1' * 5000}"]
)
def test_a_number_of_a_database_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(Misconfigured, match="HOOKLINE_REDIS_URL must look like"):
        queue.redis_settings(url)


@pytest.mark.parametrize("url", ["redis://h/0?ssl_cert_reqs=none", f"redis://:12?{PASSWORD}@h", "unix:///x?db=1&a=b"])
def test_a_parameter_that_would_be_ignored_is_refused(url: str) -> None:
    with pytest.raises(
        Misconfigured, match="Of parameters, HOOKLINE_REDIS_URL may have db, ssl_ca_certs and no other"
    ) as refused:
        queue.redis_settings(url)
    assert PASSWORD not in str(refused.value)


def test_names_and_passwords_may_have_any_character_once_it_is_encoded() -> None:
    found = credentials("postgresql://me%40corp:a%2F%40%23%3F%5B%3A@h/our%20db")
    assert (found["user"], found["password"], found["database"]) == ("me@corp", "a/@#?[:", "our db")
    assert queue.redis_settings("redis://:a%2F%40%23%3F%5B%3A@h").password == "a/@#?[:"


@pytest.mark.parametrize(
    ("command", "variable", "scheme"),
    [
        ("status", "HOOKLINE_DATABASE_URL", "postgresql"),
        ("doctor", "HOOKLINE_DATABASE_URL", "postgresql"),
        ("doctor", "HOOKLINE_REDIS_URL", "redis"),
        ("api", "HOOKLINE_REDIS_URL", "redis"),
    ],
)
def test_no_command_prints_a_password(command: str, variable: str, scheme: str) -> None:
    told = {
        "HOOKLINE_DATABASE_URL": "postgresql://127.0.0.1:1/none",
        "HOOKLINE_REDIS_URL": "redis://127.0.0.1:1",
        "HOOKLINE_SECRET_KEYS": "A" * 43 + "=",
    }
    refused = hookline(command, **told | {variable: f"{scheme}://:{PASSWORD}/x@h/0"})

    assert refused.returncode == 1
    said = refused.stdout + refused.stderr
    assert f"{variable} must look like" in said
    assert PASSWORD not in said
    assert "Traceback" not in said
