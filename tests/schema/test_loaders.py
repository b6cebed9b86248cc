import pytest
from tortoise.transactions import in_transaction

from domain import accounts, ids, tables, workspaces
from domain.accounts import NewAccount
from domain.database import rows
from domain.vocabulary import PostAccountStatus, Provider
from schema.loaders import Loaders
from tests.schema.conftest import Client
from tests.schema.counting import Counter
from tests.schema.world import World, attempted, furnish, many_deliveries

# A list, some of its fields, and how many statements it takes, however many rows there are.
DOCUMENTS = [
    pytest.param("deliveries", "id uuid status attemptCount createdAt finishedAt", 1, id="plain fields"),
    pytest.param("deliveries", "event { type payload }", 2, id="events"),
    pytest.param("deliveries", "waitingFor nextAttemptAt", 1, id="what they wait for"),
    pytest.param("deliveries", "webhook { name headers { name } } waitingFor nextAttemptAt", 2, id="webhooks"),
    pytest.param("deliveries", "attempts { number responseBody requestHeaders { name } }", 2, id="attempts"),
    pytest.param("deliveries", "retryOf { id event { type } }", 3, id="what they repeat"),
    pytest.param("posts", "accounts { account { name } } variants { body account { name } }", 3, id="posts"),
    pytest.param("webhooks", "stats { deliveries p99Ms }", 3, id="stats, and where their span begins"),
    pytest.param("auditEvents", "action token { name }", 2, id="the audit trail"),
]


async def more(ask: Client, world: World, count: int) -> None:
    """More rows of every kind, so that a query per row would show."""
    for delivery in await many_deliveries(world, count):
        await attempted(delivery)
        await tables.Delivery.filter(id=delivery.id).update(retry_of_id=world.delivery.id)
        post = await tables.Post.create(workspace_id=world.workspace.id, body="Hello")
        await tables.PostAccount.create(
            post_id=post.id, account_id=world.account.id, variant="Hi", status=PostAccountStatus.PENDING
        )
        await tables.Webhook.create(
            workspace_id=world.workspace.id, name="another", callback_url="http://127.0.0.1:8999/", events=[]
        )
        await tables.AuditEvent.create(
            workspace_id=world.workspace.id, token_id=world.token.id, action="a.b", subject_type="post"
        )


@pytest.mark.parametrize(("noun", "fields", "statements"), DOCUMENTS)
async def test_no_list_takes_a_query_per_row(ask: Client, noun: str, fields: str, statements: int) -> None:
    world = await furnish(ask)
    for count in (1, 10):
        await more(ask, world, count)
        with Counter() as counter:
            await ask(f"{{ {noun} {{ nodes {{ {fields} }} }} }}")
        assert len(counter.statements) == statements, counter.statements


async def test_many_nodes_of_a_kind_are_read_at_once(ask: Client) -> None:
    world = await furnish(ask)
    await more(ask, world, 5)
    wanted = [
        edge["node"]["id"] for edge in (await ask("{ deliveries { edges { node { id } } } }"))["deliveries"]["edges"]
    ]
    with Counter() as counter:
        nodes = (await ask("query ($ids: [ID!]!) { nodes(ids: $ids) { id } }", ids=wanted))["nodes"]
    assert [node["id"] for node in nodes] == wanted
    assert len(counter.statements) == 1


async def test_an_id_that_leads_nowhere_costs_no_statement(ask: Client) -> None:
    with Counter() as counter:
        assert await ask('{ delivery(id: "x") { id } }') == {"delivery": None}
    assert counter.statements == []


async def test_attempts_and_accounts_stand_in_their_order(ask: Client) -> None:
    world = await furnish(ask)
    for number in (3, 2):
        await attempted(world.delivery, number)
    delivery = (await ask("{ deliveries { nodes { attempts { number } } } }"))["deliveries"]["nodes"][0]
    assert [attempt["number"] for attempt in delivery["attempts"]] == [1, 2, 3]
    other = await accounts.add(ask.domain, ask.actor, NewAccount(Provider.SANDBOX, identifier="another"))
    await tables.PostAccount.create(post_id=world.post.id, account_id=other.id, status=PostAccountStatus.PENDING)
    post = (await ask("{ posts { nodes { accounts { account { id } } } } }"))["posts"]["nodes"][0]
    assert [each["account"]["id"] for each in post["accounts"]] == [
        ids.make("Account", account.id) for account in (world.account, other)
    ]


async def test_figures_of_two_spans_are_not_mixed_up(ask: Client) -> None:
    await furnish(ask)
    document = (
        '{ webhooks { nodes { past: stats(until: "2026-01-01T00:00:00Z") { deliveries } now: stats { deliveries } } } }'
    )
    (figures,) = (await ask(document))["webhooks"]["nodes"]
    assert figures == {"past": {"deliveries": 0}, "now": {"deliveries": 1}}


async def test_nothing_of_another_workspace_is_read_whatever_the_key(ask: Client) -> None:
    world = await furnish(ask)
    loaders = Loaders((await workspaces.create("Elsewhere")).id)
    assert await loaders.one(tables.Delivery, world.delivery.id) is None
    assert await loaders.one(tables.Workspace, world.workspace.id) is None
    assert await loaders.attempts.load(world.delivery.id) == []
    assert await loaders.post_accounts.load(world.post.id) == []


@pytest.mark.parametrize(
    ("table", "document"),
    [
        ("event", "{ deliveries { nodes { event { type } } } }"),
        ("account", "{ posts { nodes { accounts { account { name } } } } }"),
    ],
)
async def test_what_is_removed_after_what_refers_to_it_was_read_is_no_fault_of_ours(
    ask: Client, table: str, document: str
) -> None:
    await furnish(ask)
    async with in_transaction():
        # Without foreign keys, as if the rows that refer to these had been removed too, but only after they were read.
        await rows("SET LOCAL session_replication_role = replica")
        await rows(f"DELETE FROM {table}")
    assert await ask.refused(document) == ("UNAVAILABLE", "Some of this was removed while it was read; ask again.")


async def test_a_document_with_two_mutations_sees_what_the_first_has_changed(ask: Client) -> None:
    world = await furnish(ask)
    document = """
    mutation ($id: ID!, $delivery: ID!) {
      a: deliveryRetry(id: $delivery) { delivery { webhook { name } } }
      b: webhookUpdate(id: $id, input: { name: "Renamed" }) { errors { code } }
      c: deliveryRetry(id: $delivery) { delivery { webhook { name } } }
    }
    """
    done = await ask(document, id=world.ids["Webhook"], delivery=world.ids["Delivery"])
    assert [done[name]["delivery"]["webhook"]["name"] for name in "ac"] == ["CRM", "Renamed"]
