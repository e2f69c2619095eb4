"""Makes the rule that fits everything: display order over all servers, as it was before there were rules."""

from django.db import migrations


def forwards(apps, schema_editor):
    routes = apps.get_model("smtpservers", "Route").objects.using(schema_editor.connection.alias)
    routes.get_or_create(is_default=True, defaults={"name": "Default", "display_order": 9999})


class Migration(migrations.Migration):
    dependencies = [("smtpservers", "0003_routing_rules")]

    operations = [migrations.RunPython(forwards, migrations.RunPython.noop)]
