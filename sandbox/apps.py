"""How Django finds the room ``sandbox``."""

from django.apps import AppConfig


class SandboxConfig(AppConfig):
    name = "sandbox"
    verbose_name = "System"  # Its group in the sidebar.
    default_auto_field = "django.db.models.BigAutoField"
