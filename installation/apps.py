"""The app configuration of the installation."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class InstallationConfig(AppConfig):
    name = "installation"
    verbose_name = _("Settings")
