"""What years of use need: removing rows without searching whole tables for them, and lists past what was deleted.

Each removal of a token searched all posts and all of the audit trail for it, and each of a webhook all replays: with a
hundred thousand posts a workspace with some hundred tokens could not be erased within a statement's time. All three
are removed before what they refer to (domain/erasure.py), and by nothing else.
"""

from typing import Any

from tortoise import migrations
from tortoise.migrations import operations as ops

FORWARD = """
ALTER TABLE audit_event DROP CONSTRAINT audit_event_token_id_fkey;
ALTER TABLE post DROP CONSTRAINT post_author_id_fkey;
ALTER TABLE replay DROP CONSTRAINT replay_webhook_id_fkey;

CREATE INDEX webhook_present ON webhook (workspace_id, id) WHERE deleted_at IS NULL;
CREATE INDEX post_due_of_workspace ON post (workspace_id, due_at) WHERE due_at IS NOT NULL;
"""

BACKWARD = """
DROP INDEX webhook_present, post_due_of_workspace;
ALTER TABLE audit_event ADD CONSTRAINT audit_event_token_id_fkey
    FOREIGN KEY (token_id) REFERENCES token (id) ON DELETE SET NULL;
ALTER TABLE post ADD CONSTRAINT post_author_id_fkey FOREIGN KEY (author_id) REFERENCES token (id) ON DELETE SET NULL;
ALTER TABLE replay ADD CONSTRAINT replay_webhook_id_fkey
    FOREIGN KEY (webhook_id) REFERENCES webhook (id) ON DELETE CASCADE;
"""


async def forward(apps: Any, editor: Any) -> None:
    await editor.client.execute_script(FORWARD)


async def backward(apps: Any, editor: Any) -> None:
    await editor.client.execute_script(BACKWARD)


class Migration(migrations.Migration):
    dependencies = [("models", "0004_tests_of_the_spared")]

    operations = [ops.RunPython(forward, backward)]
