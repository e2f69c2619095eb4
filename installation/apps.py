"""The app configuration of the installation."""

from django.apps import AppConfig


class InstallationConfig(AppConfig):
    name = "installation"
    verbose_name = "Settings"
