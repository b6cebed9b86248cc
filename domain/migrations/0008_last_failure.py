"""When a webhook failed last: of the time since then, in which nothing was sent, a day counts as failing."""

from tortoise import fields, migrations
from tortoise.migrations import operations as ops


class Migration(migrations.Migration):
    dependencies = [("models", "0007_events_by_uuid")]

    operations = [
        ops.AddField(model_name="Webhook", name="failed_at", field=fields.DatetimeField(null=True)),
    ]
