"""Django's configuration of the room ``domains``."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class DomainsConfig(AppConfig):
    name = "domains"
    verbose_name = _("Domains")
    default_auto_field = "django.db.models.BigAutoField"
