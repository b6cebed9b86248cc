"""Of the copies that a replay has made, the index holds those that wait: counting them read all of the others.

By itself, for while PostgreSQL makes it, nobody writes to `delivery`: a second or so for a million rows.
"""

from typing import Any

from tortoise import migrations
from tortoise.migrations import operations as ops

FORWARD = """
DROP INDEX delivery_replay;
CREATE INDEX delivery_replay ON delivery (replay_id) WHERE replay_id IS NOT NULL AND finished_at IS NULL;
"""

BACKWARD = """
DROP INDEX delivery_replay;
CREATE INDEX delivery_replay ON delivery (replay_id) WHERE replay_id IS NOT NULL;
"""


async def forward(apps: Any, editor: Any) -> None:
    await editor.client.execute_script(FORWARD)


async def backward(apps: Any, editor: Any) -> None:
    await editor.client.execute_script(BACKWARD)


class Migration(migrations.Migration):
    dependencies = [("models", "0005_much_data")]

    operations = [ops.RunPython(forward, backward)]
