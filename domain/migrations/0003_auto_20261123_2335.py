from tortoise import migrations
from tortoise.migrations import operations as ops

class Migration(migrations.Migration):
    dependencies = [('models', '0002_postgresql')]

    initial = False

    operations = [
        ops.AlterModelOptions(
            name='Announcement',
            options={'table': 'announcement', 'app': 'models', 'pk_attr': 'delivery_id', 'table_description': 'A delivery whose last changes may not stand in the live stream yet (docs/decisions, "announcements").'},
        ),
    ]
