"""The one list of an import gives way to ``lists``, which 0003 filled with its key and name; nothing read it since."""

from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("contacts", "0006_left_every_list")]

    operations = [migrations.RemoveField(model_name="contactimport", name="list")]
