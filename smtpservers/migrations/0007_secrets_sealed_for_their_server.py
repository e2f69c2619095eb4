"""Seal each stored secret for the server it stands at."""

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.db import migrations

from smtpservers.destinations import Destination, security_of
from smtpservers.presets import said_username
from smtpservers.secrets import Secret


def seal(apps, schema_editor):
    SmtpServer = apps.get_model("smtpservers", "SmtpServer")
    keys = MultiFernet([Fernet(key) for key in settings.FIELD_ENCRYPTION_KEYS])
    for server in list(SmtpServer.objects.exclude(password="", api_key="")):
        destination = Destination(
            host=server.host,
            port=server.port,
            security=security_of(server.port, server.use_tls),
            trusted_certificate=server.trusted_certificate,
            username=said_username(server.preset, server.username),
        )
        for name in ("password", "api_key"):
            stored = getattr(server, name)
            try:
                plain = keys.decrypt(stored.ciphertext.encode()).decode() if stored else ""
            except InvalidToken:  # Nobody can read it now; it is asked for again.
                continue
            if plain:
                SmtpServer.objects.filter(pk=server.pk).update(**{name: Secret.seal(plain, destination)})


class Migration(migrations.Migration):
    dependencies = [("smtpservers", "0006_largest_message")]

    operations = [migrations.RunPython(seal, migrations.RunPython.noop)]
