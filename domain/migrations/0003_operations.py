"""What operating it needs: how far cleaning up has come, and the trace that an event belongs to.

Neither is a model: the first is moved by the statements of domain/retention.py, the second is filled by the database
from the transaction that makes the event (domain/tracing.py).
"""

from typing import Any

from tortoise import migrations
from tortoise.migrations import operations as ops

FORWARD = """
CREATE TABLE sweep (
    name text PRIMARY KEY,
    position bigint NOT NULL DEFAULT 0,
    rest_until timestamptz NOT NULL DEFAULT now()
);
INSERT INTO sweep (name) VALUES ('attempt_bodies'), ('deliveries'), ('events');

-- In two steps: a column that is added with this default would have every row written anew.
ALTER TABLE event ADD COLUMN trace text;
ALTER TABLE event ALTER trace SET DEFAULT nullif(current_setting('hookline.trace', true), '');
"""

BACKWARD = """
ALTER TABLE event DROP COLUMN trace;
DROP TABLE sweep;
"""


async def forward(apps: Any, editor: Any) -> None:
    await editor.client.execute_script(FORWARD)


async def backward(apps: Any, editor: Any) -> None:
    await editor.client.execute_script(BACKWARD)


class Migration(migrations.Migration):
    dependencies = [("models", "0002_postgresql")]

    operations = [ops.RunPython(forward, backward)]
