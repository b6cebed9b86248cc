"""POST /session: exchanges a one-time code for a token, once, for anyone who has the code."""

import asyncio
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from multidict import CIMultiDictProxy

from api.session import MAX_BODY_BYTES
from domain import sign_in
from domain.settings import Settings
from tests.api.conftest import JSON, Api, running

NAME = "{ viewer { workspace { name } } }"


async def make(api: Api, ago: timedelta = timedelta()) -> str:
    """A code for the API's own token, made this long ago."""
    domain = api.process.domain
    return await sign_in.make(domain.redis, domain.vault, api.token, datetime.now(UTC) - ago)


async def send(
    api: Api, body: bytes, method: str = "POST", **headers: str
) -> tuple[int, dict[str, Any], CIMultiDictProxy[str]]:
    """Status, body and headers of one request, without any token."""
    sent = {"content-type": JSON} | {name.replace("_", "-"): value for name, value in headers.items()}
    async with api.http.request(method, f"{api.url}/session", data=body, headers=sent) as answer:
        return answer.status, await answer.json(), answer.headers


async def exchange(api: Api, code: str, **headers: str) -> tuple[int, dict[str, Any]]:
    """Status and body of the answer to a code."""
    status, body, _ = await send(api, json.dumps({"code": code}, ensure_ascii=False).encode(), **headers)
    return status, body


def code_of(body: dict[str, Any]) -> str:
    """The code of the first error, which must have a message."""
    code: str = body["errors"][0]["extensions"]["code"]
    assert body["errors"][0]["message"]
    return code


async def test_a_code_is_worth_its_token_once(api: Api) -> None:
    code = await make(api)
    status, body = await exchange(api, code)
    assert (status, body) == (200, {"token": api.token})
    bearer = {"authorization": f"Bearer {body['token']}"}
    async with api.http.post(api.graphql, json={"query": NAME}, headers=bearer) as answer:
        assert (await answer.json())["data"] == {"viewer": {"workspace": {"name": "Test"}}}
    status, body = await exchange(api, code)
    assert (status, code_of(body)) == (401, "UNAUTHENTICATED")
    assert body["errors"][0]["message"] == "This code is invalid, expired, or already used."


async def test_of_many_who_send_a_code_at_once_one_gets_the_token(settings: Settings) -> None:
    async with running(replace(settings, failed_logins_per_minute=100)) as api:
        code = await make(api)
        answers = await asyncio.gather(*(exchange(api, code) for _ in range(20)))
    assert sorted(status for status, _ in answers) == [200] + [401] * 19


async def test_a_code_is_worth_nothing_after_its_time(api: Api) -> None:
    redis = api.process.domain.redis
    assert (await exchange(api, await make(api, timedelta(minutes=15))))[0] == 401
    code = await make(api, timedelta(minutes=14))
    (key,) = await redis.keys(sign_in.KEYS + "*")
    assert 0 < await redis.ttl(key) <= 15 * 60
    await redis.expireat(key, datetime.now(UTC) - timedelta(seconds=1))
    assert (await exchange(api, code))[0] == 401


async def test_redis_shows_neither_code_nor_token_and_a_sealed_token_cannot_be_moved_to_another_code(api: Api) -> None:
    redis = api.process.domain.redis
    code = await make(api)
    (key,) = await redis.keys(sign_in.KEYS + "*")
    sealed = await redis.get(key)
    assert isinstance(sealed, bytes)
    assert code not in key.decode()
    for secret in (code, api.token):
        assert secret.encode() not in sealed
    for forged in (sealed, b"", b'{"token": "x", "until": 9999999999}'):
        await redis.set(sign_in.KEYS + hashlib.sha256(b"mine").hexdigest(), forged)
        assert (await exchange(api, "mine"))[0] == 401
    assert (await exchange(api, code))[0] == 200


@pytest.mark.usefixtures("patient_rates")
async def test_wrong_codes_are_limited_by_address_as_wrong_tokens_are(settings: Settings) -> None:
    async with running(replace(settings, failed_logins_per_minute=3)) as api:
        code = await make(api)
        assert [(await exchange(api, "wrong"))[0] for _ in range(5)] == [401, 401, 401, 429, 429]
        status, body, headers = await send(api, json.dumps({"code": code}).encode())
        assert (status, code_of(body)) == (429, "RATE_LIMITED")
        assert 0 < int(headers["retry-after"]) <= 60
        wrong = {"authorization": "Bearer hl_nonsense"}
        async with api.http.post(api.graphql, json={"query": NAME}, headers=wrong) as answer:
            assert answer.status == 429


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b"null",
        b"{}",
        b'{"code": 1}',
        b'{"code": ""}',
        b'{"code": ["x"]}',
        b'{"code": "\xff"}',
    ],
)
async def test_a_bad_body_is_a_400(api: Api, body: bytes) -> None:
    status, answer, _ = await send(api, body)
    assert (status, code_of(answer)) == (400, "BAD_USER_INPUT")


async def test_a_body_that_is_too_large_or_no_json_is_refused(api: Api) -> None:
    most = b'{"code": "x"}'.ljust(MAX_BODY_BYTES)
    assert (await send(api, most))[0] == 401
    assert (await send(api, most + b" "))[0] == 413
    assert (await send(api, b"code=x", content_type="application/x-www-form-urlencoded"))[0] == 415
    assert (await exchange(api, "é" * 1_000))[0] == 401


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_another_method_is_a_405_that_names_the_one(api: Api, method: str) -> None:
    status, body, headers = await send(api, b"", method, accept="text/html")
    assert (status, headers["allow"], code_of(body)) == (405, "POST", "BAD_USER_INPUT")


async def test_the_origin_is_checked_before_the_code_is_used(settings: Settings) -> None:
    async with running(replace(settings, allowed_origins=("https://app.example",))) as api:
        code = await make(api)
        for origin in (
            "https://evil.example",
            "null",
            api.url.replace("127.0.0.1", "localhost"),
            "https://app.example.",
            "https://[::1",
        ):
            status, body = await exchange(api, code, origin=origin)
            assert (status, code_of(body)) == (403, "FORBIDDEN")
        assert (await exchange(api, code, origin=api.url))[0] == 200
        assert (await exchange(api, await make(api), origin="https://app.example"))[0] == 200


async def test_answers_are_safe_and_nothing_that_was_exchanged_stands_in_the_log(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    code = await make(api)
    for expected in (200, 401):
        status, _, headers = await send(api, json.dumps({"code": code}).encode())
        assert status == expected
        assert headers["cache-control"] == "no-store"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["x-content-type-options"] == "nosniff"
    assert headers["www-authenticate"].startswith("Bearer")
    logged = "".join(capsys.readouterr())
    assert "/session" in logged
    assert code not in logged
    assert api.token not in logged


async def test_without_redis_it_says_so_in_time(settings: Settings) -> None:
    async with running(replace(settings, redis_url="unix:///nowhere/redis.sock")) as api:
        async with asyncio.timeout(30):
            status, body, headers = await send(api, b'{"code": "x"}')
        assert (status, code_of(body), headers["retry-after"]) == (503, "UNAVAILABLE", "1")
