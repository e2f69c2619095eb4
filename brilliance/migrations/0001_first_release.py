"""Creates the roles; see brilliance.roles."""

from django.db import migrations

from brilliance.roles import make_roles


def forwards(apps, schema_editor):
    make_roles(apps, schema_editor.connection.alias)


class Migration(migrations.Migration):
    dependencies = [
        ("accounts", "0001_first_release"),
        ("account", "0009_emailaddress_unique_primary_email"),
        ("admin", "0003_logentry_add_action_flag_choices"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("axes", "0010_accessattemptexpiration"),
        ("campaigns", "0001_first_release"),
        ("contacts", "0001_first_release"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("delivery", "0001_first_release"),
        ("feedback", "0001_first_release"),
        ("publicpages", "0001_first_release"),
        ("mfa", "0003_authenticator_type_uniq"),
        ("sandbox", "0001_first_release"),
        ("smtpservers", "0001_first_release"),
    ]

    operations = [migrations.RunPython(forwards, migrations.RunPython.noop)]
