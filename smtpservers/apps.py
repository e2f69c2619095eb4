"""The app configuration of ``smtpservers``."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class SmtpServersConfig(AppConfig):
    name = "smtpservers"
    verbose_name = _("Servers")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from oauth.tokens import WATCHERS
        from smtpservers.oauth_accounts import follow
        from smtpservers.routing.rules import make_default

        WATCHERS.register("servers", follow)
        post_migrate.connect(make_default, sender=self)
