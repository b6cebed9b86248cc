"""What servers and poolers refuse, in words, each with its remedy."""

import asyncpg
import pytest
from redis.exceptions import ResponseError

from cli import ailments

URL = "postgresql://me@h/db"
CORRECT = "Correct the user and the password in HOOKLINE_DATABASE_URL."


@pytest.mark.parametrize(
    ("error", "says", "remedy"),
    [
        (asyncpg.InvalidPasswordError("password authentication failed."), "password authentication failed", CORRECT),
        (asyncpg.InvalidAuthorizationSpecificationError("no such role"), "no such role", CORRECT),
        (
            asyncpg.TooManyConnectionsError("sorry, too many clients already"),
            "PostgreSQL takes no more connections (sorry, too many clients already)",
            "Raise max_connections, or the limit of the role where one is named: each process takes up to 10.",
        ),
        (
            asyncpg.ProtocolViolationError("unsupported startup parameter: jit"),
            "unsupported startup parameter: jit",
            "Add ?pgbouncer=true to HOOKLINE_DATABASE_URL.",
        ),
        (
            asyncpg.ProtocolViolationError("transactions are not allowed in statement pooling mode"),
            "transactions are not allowed in statement pooling mode",
            "Have the pooler give a connection to each transaction (pool_mode = transaction).",
        ),
        (
            asyncpg.ObjectNotInPrerequisiteStateError('database "db" is not currently accepting connections'),
            'database "db" is not currently accepting connections',
            "Once the work it was closed for is done, run `ALTER DATABASE name ALLOW_CONNECTIONS true`.",
        ),
    ],
    ids=[
        "a wrong password",
        "an unknown user",
        "no connection left",
        "a pooler",
        "a pooler for statements",
        "a database that is closed",
    ],
)
def test_what_postgresql_refuses_comes_with_what_to_do(error: Exception, says: str, remedy: str) -> None:
    assert ailments.of_postgres(error, URL) == (says, remedy)


@pytest.mark.parametrize("error", [asyncpg.DuplicatePreparedStatementError, asyncpg.InvalidSQLStatementNameError])
def test_of_a_pooler_that_mixes_up_what_is_prepared_it_says_what_to_add(error: type[asyncpg.PostgresError]) -> None:
    words = ailments.words_of(error("NOTE: pgbouncer with pool_mode set to ..."))
    assert words == "a pooler mixes up prepared statements; add ?pgbouncer=true to HOOKLINE_DATABASE_URL"


def test_a_redis_that_hides_a_command_is_one_that_answers() -> None:
    says, _ = ailments.of_redis_away(ResponseError("unknown command 'INFO', with args beginning with: "))
    assert says.startswith("Redis refuses what is needed (unknown command 'INFO'")
