"""How Django finds the room ``smtpservers``."""

from django.apps import AppConfig


class SmtpServersConfig(AppConfig):
    name = "smtpservers"
    verbose_name = "Sending"
    default_auto_field = "django.db.models.BigAutoField"
