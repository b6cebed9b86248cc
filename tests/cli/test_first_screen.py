"""What `hookline up` gives a newcomer: a link that signs in, and a receiver that shows the first delivery."""

import json
import re
import shlex
import socket
import stat
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from cli import welcome
from cli.data_folder import DataFolder, FolderRefusedError, KnownReceiver
from cli.output import Output
from cli.processes import wait_until
from cli.receiver import Receiver, port_in
from cli.up import command, entrance
from domain import webhooks, workspaces
from domain.tables import Account, AuditEvent, Webhook, Workspace
from domain.unit import Actor, Domain
from domain.vocabulary import Role
from domain.webhooks import WebhookChanges
from domain.workspaces import NewToken
from tests.running import GONE, Up, ask, hookline, taken, up

LINK = re.compile(r"^(http://\S+)/signin#code=([\w-]{43})$", re.MULTILINE)
SECRET = "a secret"


def post(url: str, body: dict[str, Any], headers: dict[str, str] | None = None) -> tuple[int, dict[str, Any]]:
    """Status and body of one request."""
    told = {"Content-Type": "application/json", **(headers or {})}
    request = urllib.request.Request(url, json.dumps(body).encode(), told)
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def codes_in(output: str, url: str) -> list[str]:
    """The codes of the links to this address."""
    found = LINK.findall(output)
    assert {address for address, _ in found} <= {url}
    return [code for _, code in found]


def webhooks_of(access: dict[str, Any]) -> list[dict[str, Any]]:
    """All webhooks."""
    nodes: list[dict[str, Any]] = ask(access, "{ webhooks { nodes { id name callbackUrl active events } } }")[
        "webhooks"
    ]["nodes"]
    return nodes


def publish(access: dict[str, Any], body: str) -> None:
    """Write a post for all accounts, and publish it."""
    accounts = ask(access, "{ accounts { nodes { id name } } }")["accounts"]["nodes"]
    create = "mutation($input: PostCreateInput!) { postCreate(input: $input) { post { id } errors { message } } }"
    made = ask(access, create, input={"body": body, "accountIds": [account["id"] for account in accounts]})
    send = "mutation($id: ID!) { postPublish(id: $id) { errors { message } } }"
    assert ask(access, send, id=made["postCreate"]["post"]["id"])["postPublish"]["errors"] == []


def is_shown(running: Up, line: str) -> bool:
    """Whether the receiver writes this line in time."""
    return wait_until(lambda: f"receiver | {line}" in running.output.splitlines(), GONE)


def test_a_newcomer_is_signed_in_and_sees_a_delivery_at_every_start(tmp_path: Path, database_url: str) -> None:
    data = tmp_path / "my var"
    with up(data) as first:
        access = first.until_ready().access
        signs_in_once(access, first.output)
        (told,) = (line for line in first.output.splitlines() if "New link" in line)
        assert shlex.split(told)[2:] == ["hookline", "signin", "--data", str(data)]
        another = hookline("signin", "--data", str(data))
        assert (another.returncode, another.stdout.count("\n")) == (0, 1), another.stderr
        signs_in_once(access, another.stdout)
        old, token = first.output, access["token"]
        (made,) = webhooks_of(access)
        receives_what_is_genuine(first, access, made, data)
        assert first.stop() == 0
        assert not first.left()

    stopped = hookline("signin", "--data", str(data))
    assert (stopped.returncode, stopped.stdout) == (1, "")
    assert stopped.stderr == f"No `hookline up` runs on {data}.\n"

    port = port_in(made["callbackUrl"])
    assert port is not None
    with taken(port), up(data) as second:
        access = second.until_ready().access
        (fresh,) = codes_in(second.output, access["url"])
        assert (access["token"], fresh in old) == (token, False)
        (moved,) = webhooks_of(access)
        assert moved["id"] == made["id"]
        assert port_in(moved["callbackUrl"]) not in {None, port}
        publish(access, "Again")
        assert is_shown(second, 'genuine post.published "Again"'), second.output
        stray = hookline("signin", "--data", str(data), HOOKLINE_DATABASE_URL=database_url)
        assert stray.stderr.startswith(f"The token in {data / 'hookline.json'} opens nothing in the database ")
        DataFolder(data).write_access(access["url"], "hl_revoked")
        refused = hookline("signin", "--data", str(data))
        assert refused.stderr.startswith(f"The token in {data / 'hookline.json'} was revoked, ")
        assert second.stop() == 0
        assert not second.left()


def signs_in_once(access: dict[str, Any], told: str) -> None:
    """The only link in this output signs in once, and not a second time."""
    (code,) = codes_in(told, access["url"])
    assert post(f"{access['url']}/session", {"code": code}) == (200, {"token": access["token"]})
    assert post(f"{access['url']}/session", {"code": code})[0] == 401


def receives_what_is_genuine(running: Up, access: dict[str, Any], webhook: dict[str, Any], data: Path) -> None:
    """What was set up for the newcomer works, keeps its secret, and detects a forgery."""
    assert ask(access, "{ accounts { nodes { name provider } } }")["accounts"]["nodes"] == [
        {"name": "Sandbox", "provider": "SANDBOX"}
    ]
    assert (webhook["name"], webhook["active"]) == ("Built-in receiver", True)
    assert "POST_PUBLISHED" in webhook["events"]
    assert stat.S_IMODE((data / "receiver.json").stat().st_mode) == 0o600
    secret = json.loads((data / "receiver.json").read_text())["secret"]
    publish(access, "Hello,\nworld")
    assert is_shown(running, 'genuine post.published "Hello, world"'), running.output
    forge(webhook["callbackUrl"])
    assert is_shown(running, "FORGED post.deleted: not signed with the secret of the built-in receiver")
    assert secret not in running.output


def forge(url: str) -> None:
    """Send a request with a false signature; it must be refused."""
    headers = {"X-Hookline-Event": "post.deleted", "X-Signature": "0" * 64}
    request = urllib.request.Request(url, b'{"event": "post.deleted", "data": {}}', headers)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)
    with caught.value as refused:
        assert refused.code == 401


def test_servers_of_ones_own_get_the_same_and_no_link_with_a_token_that_was_revoked(
    tmp_path: Path, empty_database_url: str, redis_url: str
) -> None:
    data = tmp_path / "var"
    variables = {"HOOKLINE_DATABASE_URL": empty_database_url, "HOOKLINE_REDIS_URL": redis_url}
    with up(data, variables) as running:
        access = running.until_ready().access
        assert set(running.parts()) == {"api", "worker"}
        assert [webhook["name"] for webhook in webhooks_of(access)] == ["Built-in receiver"]
        another = hookline("signin", "--data", str(data), **variables)
        (code,) = codes_in(another.stdout, access["url"])
        assert post(f"{access['url']}/session", {"code": code})[0] == 200
        ask(access, 'mutation { tokenCreate(input: {name: "Other", role: ADMIN}) { errors { message } } }')
        mine = ask(access, "{ viewer { token { id } } }")["viewer"]["token"]["id"]
        ask(access, "mutation($id: ID!) { tokenRevoke(id: $id) { errors { message } } }", id=mine)
        refused = hookline("signin", "--data", str(data), **variables)
        assert (refused.returncode, refused.stdout, "the token was revoked" in refused.stderr) == (1, "", True)
        assert running.stop() == 0


async def received(domain: Domain, workspace: Workspace, folder: DataFolder) -> bool:
    """Whether a start on this folder makes the built-in receiver listen; it is closed afterwards."""
    receiver = Receiver(Output())
    try:
        return await welcome.receive(domain, workspace, folder, receiver)
    finally:
        await receiver.close()


async def test_a_webhook_that_was_pointed_elsewhere_stays_there(
    tmp_path: Path, domain: Domain, workspace: Workspace, admin: Actor
) -> None:
    folder, elsewhere = DataFolder(tmp_path), "http://127.0.0.1:8099/mine"
    assert await received(domain, workspace, folder)
    async with domain.unit(admin) as unit:
        await webhooks.update(unit, (await Webhook.get()).id, WebhookChanges(callback_url=elsewhere))
    assert not await received(domain, workspace, folder)
    assert [webhook.callback_url for webhook in await Webhook.all()] == [elsewhere]


async def test_a_webhook_that_was_deleted_is_not_made_again(
    tmp_path: Path, domain: Domain, workspace: Workspace, admin: Actor
) -> None:
    folder = DataFolder(tmp_path)
    assert await received(domain, workspace, folder)
    folder.write_access("http://127.0.0.1:1", "hl_x")
    async with domain.unit(admin) as unit:
        await webhooks.delete(unit, (await Webhook.get()).id)
    assert not await received(domain, workspace, folder)
    assert not await Webhook.exists(deleted_at=None)


async def test_another_folder_beside_the_same_database_gets_a_webhook_of_its_own_and_no_second_account(
    tmp_path: Path, domain: Domain, workspace: Workspace
) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        assert await received(domain, workspace, DataFolder(tmp_path / name))
    assert [webhook.name for webhook in await Webhook.all()] == ["Built-in receiver"] * 2
    assert await Account.all().count() == 1


@pytest.mark.parametrize(
    ("run_as", "shown"),
    [
        (".venv/bin/hookline", ".venv/bin/hookline"),
        ("my venv/bin/hookline", "'my venv/bin/hookline'"),
        ("/somewhere/cli/__main__.py", "hookline"),
    ],
)
def test_commands_are_shown_as_one_types_them_here(run_as: str, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [run_as, "up"])
    assert command() == shown


async def test_a_known_token_opens_its_own_workspace_and_without_one_the_first_is_opened(
    domain: Domain, workspace: Workspace
) -> None:
    second = await workspaces.create("Second")
    async with domain.unit(Actor(second, None, Role.ADMIN)) as unit:
        _, known = await workspaces.create_token(unit, NewToken("known", Role.ADMIN))
    assert await entrance(domain, known) == (second, known)
    for unknown in (None, "hl_junk"):
        opened, token = await entrance(domain, unknown)
        assert opened == workspace
        actor = await workspaces.authenticate(token, datetime.now(UTC))
        assert (actor.workspace, actor.role) == (workspace, Role.ADMIN)


async def test_a_first_start_that_died_is_taken_up_where_it_was(
    tmp_path: Path, domain: Domain, workspace: Workspace
) -> None:
    folder = DataFolder(tmp_path)
    # As if it had died before the commit: the webhook that the file names was never made.
    folder.write_receiver(KnownReceiver(str(uuid4()), "whsec_lost"))
    assert await received(domain, workspace, folder)
    made = await Webhook.get(deleted_at=None)
    # As if it had died after the commit.
    assert await received(domain, workspace, folder)
    assert await Webhook.all().values_list("uuid", "callback_url") == [(made.uuid, made.callback_url)]
    assert not await AuditEvent.exists(action="webhook.update")
    known = folder.known_receiver()
    assert known is not None
    assert known.webhook == str(made.uuid)
    assert known.secret not in repr(known)
    assert [account.name for account in await Account.all()] == ["Sandbox"]


@pytest.mark.parametrize("left", ["", "[]", '{"webhook": 1, "secret": "x"}', '{"webhook": "x", "secret": "x"}'])
async def test_a_file_that_somebody_has_spoiled_is_no_receiver(
    tmp_path: Path, domain: Domain, workspace: Workspace, left: str
) -> None:
    folder = DataFolder(tmp_path)
    folder.receiver.write_text(left)
    folder.write_access("http://127.0.0.1:1", "hl_x")
    assert not await received(domain, workspace, folder)
    assert await Webhook.all().count() == 0


async def test_a_file_that_cannot_be_written_is_no_fault_of_the_database(
    tmp_path: Path, domain: Domain, workspace: Workspace
) -> None:
    folder = DataFolder(tmp_path)
    folder.receiver.mkdir()
    with pytest.raises(FolderRefusedError, match=r"receiver\.json cannot be written: Is a directory\."):
        await received(domain, workspace, folder)
    assert await Webhook.all().count() == 0


def test_where_nothing_may_go_here_and_redis_is_silent_the_rest_goes_on(tmp_path: Path, database_url: str) -> None:
    variables = {"HOOKLINE_DATABASE_URL": database_url, "HOOKLINE_ALLOWED_NETWORKS": ""}
    with socket.create_server(("127.0.0.1", 0)) as silent:
        variables["HOOKLINE_REDIS_URL"] = f"redis://127.0.0.1:{silent.getsockname()[1]}"
        the_rest_goes_on(tmp_path, variables)


def the_rest_goes_on(tmp_path: Path, variables: dict[str, str]) -> None:
    with up(tmp_path / "var", variables) as running:
        access = running.until_ready().access
        assert "The built-in receiver is left out: Deliveries may not go there." in running.output
        assert "a built-in receiver shows" not in running.output
        assert "Redis does not answer, so there is no link that signs in; use the token." in running.output
        assert webhooks_of(access) == []
        assert not (tmp_path / "var" / "receiver.json").exists()
        refused = hookline("signin", "--data", str(tmp_path / "var"), **variables)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr.startswith("Redis does not answer")
        assert running.stop() == 0
