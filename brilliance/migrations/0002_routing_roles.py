"""Lets ops and marketers see the routing rules, and admins change them."""

from django.db import migrations

from brilliance.roles import make_roles


def forwards(apps, schema_editor):
    make_roles(apps, schema_editor.connection.alias)


class Migration(migrations.Migration):
    dependencies = [
        ("brilliance", "0001_roles"),
        ("campaigns", "0002_campaign_servers"),
        ("delivery", "0003_routing"),
        ("smtpservers", "0004_default_route"),
    ]

    operations = [migrations.RunPython(forwards, migrations.RunPython.noop)]
