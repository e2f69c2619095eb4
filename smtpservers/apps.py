"""The app configuration of ``smtpservers``."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class SmtpServersConfig(AppConfig):
    name = "smtpservers"
    verbose_name = "Servers"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from smtpservers.routing.rules import make_default

        post_migrate.connect(make_default, sender=self)
