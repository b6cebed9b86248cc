"""An event is found by its uuid, which is all that a receiver knows of it: `webhook-id`.

While PostgreSQL makes the index nothing is written to `event`: a second or so for a million rows.
"""

from typing import Any

from tortoise import migrations
from tortoise.migrations import operations as ops


async def forward(apps: Any, editor: Any) -> None:
    await editor.client.execute_script("CREATE INDEX event_uuid ON event (uuid)")


async def backward(apps: Any, editor: Any) -> None:
    await editor.client.execute_script("DROP INDEX event_uuid")


class Migration(migrations.Migration):
    dependencies = [("models", "0006_waiting_copies")]

    operations = [ops.RunPython(forward, backward)]
