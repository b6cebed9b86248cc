"""graphql-transport-ws: every message, odd ones first."""

from typing import Any

from domain import workspaces
from tests.api.changes import announce, some_changes
from tests.api.conftest import Api
from tests.api.protocol import Socket, opened
from tests.api.sockets import NAME, WATCH, ws


async def test_a_query_is_answered_and_completed(api: Api) -> None:
    async with api.socket() as socket:
        await socket.subscribe("1", NAME)
        assert (await socket.next("1"))["data"] == {"viewer": {"workspace": {"name": "Test"}}}
        assert await socket.receive() == {"id": "1", "type": "complete"}


async def test_an_id_comes_back_as_it_was_sent(api: Api) -> None:
    id_ = 'a"\\é\n'
    async with api.socket() as socket:
        for query in (NAME, "{ nothing }"):
            await socket.subscribe(id_, query)
            while (message := await socket.receive())["type"] == "next":
                assert message["id"] == id_
            assert message["id"] == id_


async def test_a_mutation_is_answered_too(api: Api) -> None:
    async with api.socket() as socket:
        await socket.subscribe("m", 'mutation { tokenCreate(input: {name: "ws", role: VIEWER}) { token { name } } }')
        assert (await socket.next("m"))["data"] == {"tokenCreate": {"token": {"name": "ws"}}}
        assert await socket.receive() == {"id": "m", "type": "complete"}


BEFORE_INIT: dict[str, tuple[Any, int]] = {
    "an array": ("[]", 4400),
    "a string": ('"hello"', 4400),
    "a number": ("1", 4400),
    "null": ("null", 4400),
    "no JSON": ("{", 4400),
    "nothing": ("", 4400),
    "deep JSON": ("[" * 50_000, 4400),
    "a binary frame": (b'{"type": "connection_init"}', 4400),
    "half a surrogate pair": ('{"type": "\\ud800"}', 4400),
    "no type": ("{}", 4400),
    "an unknown type": ({"type": "start"}, 4400),
    "a list as type": ({"type": []}, 4400),
    "a ping with a list": ({"type": "ping", "payload": []}, 4400),
    "a pong with a number": ({"type": "pong", "payload": 1}, 4400),
    "init with a list": ({"type": "connection_init", "payload": []}, 4400),
    "init with a list as token": ({"type": "connection_init", "payload": {"authorization": []}}, 4400),
    "init without a token": ({"type": "connection_init"}, 4403),
    "init with null": ({"type": "connection_init", "payload": None}, 4403),
    "init with a bad token": ({"type": "connection_init", "payload": {"authorization": "Bearer hl_x"}}, 4403),
    "subscribe": ({"id": "1", "type": "subscribe", "payload": {"query": NAME}}, 4401),
    "complete": ({"id": "1", "type": "complete"}, 4401),
    "a message too large": ('{"type": "ping", "payload": {"a": "' + "a" * 140_000 + '"}}', 1009),
}

AFTER_INIT: dict[str, tuple[Any, int]] = {
    "a second init": ({"type": "connection_init", "payload": {}}, 4429),
    "no payload": ({"id": "1", "type": "subscribe"}, 4400),
    "a null payload": ({"id": "1", "type": "subscribe", "payload": None}, 4400),
    "a list as payload": ({"id": "1", "type": "subscribe", "payload": []}, 4400),
    "a list as id": ({"id": [], "type": "subscribe", "payload": {"query": NAME}}, 4400),
    "a number as id": ({"id": 1, "type": "subscribe", "payload": {"query": NAME}}, 4400),
    "an empty id": ({"id": "", "type": "subscribe", "payload": {"query": NAME}}, 4400),
    "a long id": ({"id": "a" * 300, "type": "subscribe", "payload": {"query": NAME}}, 4400),
    "no id": ({"type": "complete"}, 4400),
    "a number as query": ({"id": "1", "type": "subscribe", "payload": {"query": 1}}, 4400),
    "no query": ({"id": "1", "type": "subscribe", "payload": {}}, 4400),
    "a list of variables": ({"id": "1", "type": "subscribe", "payload": {"query": NAME, "variables": []}}, 4400),
    "a number as operation name": (
        {"id": "1", "type": "subscribe", "payload": {"query": NAME, "operationName": 1}},
        4400,
    ),
}


async def test_bad_messages_close_the_socket_with_their_code(api: Api) -> None:
    wrong = {}
    for name, (message, code) in BEFORE_INIT.items():
        async with opened(ws(api)) as socket:
            await socket.send(message)
            found = await socket.closed()
        if found[0] != code:
            wrong[name] = found
    for name, (message, code) in AFTER_INIT.items():
        async with api.socket() as socket:
            await socket.send(message)
            found = await socket.closed()
        if found[0] != code or not found[1]:
            wrong[name] = found
    assert wrong == {}


async def test_an_id_in_use_closes_the_socket(api: Api) -> None:
    async with api.socket() as socket:
        await socket.subscribe("1", WATCH)
        await socket.subscribe("1", NAME)
        assert await socket.closed() == (4409, "Subscriber for 1 already exists")


async def test_an_id_can_be_used_again_once_it_is_free(api: Api) -> None:
    async with api.socket() as socket:
        for _ in range(2):
            await socket.subscribe("1", WATCH)
            await socket.send({"id": "1", "type": "complete"})
        await socket.subscribe("1", NAME)
        assert "data" in await socket.next("1")


BAD_OPERATIONS = {
    "a syntax error": ("{", "BAD_USER_INPUT"),
    "an unknown field": ("{ nothing }", "BAD_USER_INPUT"),
    "too complex": ("{ viewer { token { " + "name " * 200 + "} } }", "QUERY_TOO_COMPLEX"),
    "a missing variable": ("query($a: Int!) { webhooks(first: $a) { nodes { id } } }", "BAD_USER_INPUT"),
    "two root fields": (
        "subscription { a: deliveryStatusChanged { cursor } b: deliveryStatusChanged { cursor } }",
        "BAD_USER_INPUT",
    ),
    "an unknown operation": (
        "query a { viewer { token { id } } } query b { viewer { token { id } } }",
        "BAD_USER_INPUT",
    ),
}


async def test_a_bad_operation_ends_only_itself(api: Api) -> None:
    async with api.socket() as socket:
        await socket.subscribe("watch", WATCH)
        await api.until_watched_by(1)
        for name, (query, code) in BAD_OPERATIONS.items():
            await socket.subscribe(name, query)
            assert (await error_of(socket, name))["extensions"]["code"] == code, name
        await announce(api.process.domain, some_changes(api.actor.workspace.id, 1))
        assert (await socket.next("watch"))["data"]["deliveryStatusChanged"]["status"] == "SUCCEEDED"


async def error_of(socket: Socket, id_: str) -> Any:
    """The first error with which this operation ends."""
    message = await socket.receive()
    assert (message["id"], message["type"]) == (id_, "error"), message
    return message["payload"][0]


async def test_a_cursor_that_leads_nowhere_is_an_error_that_says_why(api: Api) -> None:
    live = api.process.domain.hub.live
    begin = await live.open(api.actor.workspace.id)
    theirs = await live.open((await workspaces.create("Another")).id)
    cursors = {
        "nonsense": "BAD_USER_INPUT",
        "99999999999999-0": "BAD_USER_INPUT",
        theirs: "BAD_USER_INPUT",
        "1-" + begin.partition("-")[2]: "CURSOR_EXPIRED",
    }
    async with api.socket() as socket:
        for name in ("deliveryStatusChanged", "postStatusChanged"):
            query = f"subscription($after: String) {{ {name}(after: $after) {{ cursor }} }}"
            for after, code in cursors.items():
                await socket.subscribe(after, query, after=after)
                error = await error_of(socket, after)
                told = error["extensions"]
                assert told["code"] == code, after
                assert told.get("cursor") == (begin if code == "CURSOR_EXPIRED" else None)
                assert error["message"]


async def test_a_null_in_a_subscriptions_argument_is_told_as_in_a_query(api: Api) -> None:
    begin, argument = "($status: DeliveryStatus = FAILED)", "statuses: [$status]"
    async with api.socket() as socket:
        await socket.subscribe(
            "q", f"query{begin} {{ deliveries(filter: {{{argument}}}) {{ totalCount }} }}", status=None
        )
        (asked,) = (await socket.next("q"))["errors"]
        assert (await socket.receive())["type"] == "complete"
        await socket.subscribe(
            "s", f"subscription{begin} {{ deliveryStatusChanged({argument}) {{ cursor }} }}", status=None
        )
        (watched,) = (await socket.receive())["payload"]
    end = " Expected variable '$status' provided to non-null type 'DeliveryStatus!' not to be null."
    assert asked["message"] == f"Argument 'filter' has invalid value at .statuses[0]:{end}"
    assert watched["message"] == f"Argument 'statuses' has invalid value at [0]:{end}"
    assert watched["extensions"] == asked["extensions"] == {"code": "BAD_USER_INPUT", "variable": ["status"]}
    assert watched["locations"] == [{"line": 1, "column": 83}]


async def test_pings_are_answered(api: Api) -> None:
    async with opened(ws(api)) as socket:
        await socket.send({"type": "ping", "payload": {"a": 1}})
        assert await socket.receive() == {"type": "pong"}
        await socket.send({"type": "pong"})
        await socket.quiet()
