from tortoise import migrations
from tortoise.migrations import operations as ops
from tortoise import fields
from tortoise.indexes import Index

class Migration(migrations.Migration):
    dependencies = [('models', '0002_postgresql')]

    initial = False

    operations = [
        ops.RemoveField(model_name='Announcement', name='delivery_id'),
        ops.AddField(
            model_name='Announcement',
            name='delivery_id',
            field=fields.BigIntField(primary_key=True, unique=True, db_index=True),
        ),
        ops.AddIndex(
            model_name='Announcement',
            index=Index(fields=['delivery_id']),
        ),
    ]
