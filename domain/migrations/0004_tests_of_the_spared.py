"""Test deliveries by endpoint: they go to one that is switched off or being spared, past its backlog."""

from typing import Any

from tortoise import migrations
from tortoise.migrations import operations as ops

FORWARD = """
CREATE INDEX delivery_owed_test ON delivery (webhook_id, due_at) WHERE finished_at IS NULL AND is_test;
"""

BACKWARD = """
DROP INDEX delivery_owed_test;
"""


async def forward(apps: Any, editor: Any) -> None:
    await editor.client.execute_script(FORWARD)


async def backward(apps: Any, editor: Any) -> None:
    await editor.client.execute_script(BACKWARD)


class Migration(migrations.Migration):
    dependencies = [("models", "0003_operations")]

    operations = [ops.RunPython(forward, backward)]
