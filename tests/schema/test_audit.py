from tests.schema.conftest import Client
from tests.schema.world import furnish

TRAIL = (
    "{ auditEvents(last: 100) { totalCount nodes { action subjectType subjectId detail token { id } occurredAt } } }"
)


async def test_an_admin_reads_what_was_done_by_which_token_newest_first(ask: Client) -> None:
    world = await furnish(ask)
    trail = (await ask(TRAIL))["auditEvents"]["nodes"]
    created = next(entry for entry in trail if entry["action"] == "webhook.create")
    assert (created["subjectType"], created["subjectId"]) == ("webhook", world.ids["Webhook"])
    assert created["token"] == {"id": world.ids["Token"]}
    assert created["detail"]["name"] == "CRM"
    assert "hush" not in str(trail)
    # The command line made the first token.
    assert (trail[-1]["action"], trail[-1]["token"]) == ("token.create", None)


async def test_nobody_else_may_read_the_audit_trail(ask: Client, member: Client, viewer: Client) -> None:
    world = await furnish(ask)
    for other in (member, viewer):
        assert (await other.refused(TRAIL))[0] == "FORBIDDEN"
        node = await other("query ($id: ID!) { node(id: $id) { id } }", id=world.ids["AuditEvent"])
        assert node == {"node": None}
