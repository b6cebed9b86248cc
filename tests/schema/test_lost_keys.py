"""What people see of a webhook whose headers were sealed with a lost key, and how they mend it."""

from domain import ids, tables
from tests.schema.conftest import Client
from tests.schema.test_webhooks import UPDATE, create


async def test_one_whose_headers_no_key_opens_is_shown_without_them_and_can_be_given_them_anew(ask: Client) -> None:
    lost = (await create(ask, headers=[{"name": "X-A", "value": "lost"}]))["webhook"]["id"]
    await create(ask, headers=[{"name": "X-A", "value": "kept"}])
    await tables.Webhook.filter(id=ids.key("Webhook", lost)).update(sealed_headers=b"of a key that is gone")

    shown = await ask("{ webhooks(first: 2) { edges { node { headers { value } } } } }")
    values = [[header["value"] for header in edge["node"]["headers"]] for edge in shown["webhooks"]["edges"]]
    assert sorted(values) == [[], ["kept"]]

    renamed = await ask(UPDATE, id=lost, input={"name": "Known again"})
    assert renamed["webhookUpdate"]["webhook"]["headers"] == []
    given = await ask(UPDATE, id=lost, input={"headers": [{"name": "X-A", "value": "new"}]})
    assert given["webhookUpdate"]["webhook"]["headers"] == [{"name": "X-A", "value": "new"}]
