"""The app configuration of ``sandbox``."""

from django.apps import AppConfig


class SandboxConfig(AppConfig):
    name = "sandbox"
    verbose_name = "System"  # The heading of the sidebar group.
    default_auto_field = "django.db.models.BigAutoField"
