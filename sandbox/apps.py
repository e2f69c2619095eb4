"""The app configuration of ``sandbox``."""

from django.apps import AppConfig


class SandboxConfig(AppConfig):
    name = "sandbox"
    verbose_name = "Test inbox"
    default_auto_field = "django.db.models.BigAutoField"
