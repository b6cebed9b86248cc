"""What Tortoise cannot spell: defaults in the database, partial and unique indexes, storage."""

from typing import Any

from tortoise import migrations
from tortoise.migrations import operations as ops

FORWARD = """
-- Tortoise's migrations make these although the models say db_constraint=False (docs/decisions/0006-tables.md).
DO $$
DECLARE stray record;
BEGIN
    FOR stray IN
        SELECT conrelid::regclass AS owner, conname FROM pg_constraint
        WHERE contype = 'f' AND conrelid IN ('event'::regclass, 'delivery'::regclass, 'attempt'::regclass)
    LOOP
        EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', stray.owner, stray.conname);
    END LOOP;
END $$;

ALTER TABLE event ALTER uuid SET DEFAULT gen_random_uuid(), ALTER occurred_at SET DEFAULT now();
ALTER TABLE delivery
    ALTER uuid SET DEFAULT gen_random_uuid(),
    ALTER status SET DEFAULT 'pending',
    ALTER is_test SET DEFAULT false,
    ALTER attempt_count SET DEFAULT 0,
    ALTER interrupted_count SET DEFAULT 0,
    ALTER attempt_number SET DEFAULT 0,
    ALTER due_at SET DEFAULT now(),
    ALTER retry_after SET DEFAULT false,
    ALTER change SET DEFAULT 1,
    ALTER created_at SET DEFAULT now();
ALTER TABLE attempt ALTER response_truncated SET DEFAULT false;
ALTER TABLE unsettled ALTER check_at SET DEFAULT now() + interval '2 seconds';
ALTER TABLE post_change ALTER occurred_at SET DEFAULT now();

-- Room on each page for the claim, which updates the row in place.
ALTER TABLE delivery SET (fillfactor = 85);
ALTER TABLE unsettled SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);

-- What is owed, by endpoint: an endpoint that is being spared hides its backlog behind one index probe.
CREATE INDEX delivery_owed ON delivery (webhook_id, due_at) WHERE finished_at IS NULL;
CREATE INDEX delivery_replay ON delivery (replay_id) WHERE replay_id IS NOT NULL;
CREATE INDEX delivery_retry_of ON delivery (retry_of_id) WHERE retry_of_id IS NOT NULL;
CREATE INDEX unsettled_check ON unsettled (check_at);
CREATE INDEX post_change_post ON post_change (post_id, change);

CREATE INDEX post_due ON post (due_at) WHERE due_at IS NOT NULL;
CREATE UNIQUE INDEX post_idempotency ON post (workspace_id, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE UNIQUE INDEX account_once ON account (workspace_id, provider, provider_id) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX token_digest ON token (digest);
CREATE INDEX webhook_circuit ON webhook (circuit_open_until) WHERE circuit_open_until IS NOT NULL;
CREATE INDEX replay_open ON replay (id) WHERE finished_at IS NULL;
"""

BACKWARD = """
DROP INDEX delivery_owed, delivery_replay, delivery_retry_of, unsettled_check, post_change_post, post_due,
    post_idempotency, account_once, token_digest, webhook_circuit, replay_open;
"""


async def forward(apps: Any, editor: Any) -> None:
    await editor.client.execute_script(FORWARD)


async def backward(apps: Any, editor: Any) -> None:
    await editor.client.execute_script(BACKWARD)


class Migration(migrations.Migration):
    dependencies = [("models", "0001_initial")]

    operations = [ops.RunPython(forward, backward)]
