"""How Django finds the room ``contacts``."""

from django.apps import AppConfig


class ContactsConfig(AppConfig):
    name = "contacts"
    verbose_name = "People"  # Its group in the sidebar.
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from contacts.consent import changes  # noqa: F401  # Its receiver follows people to new addresses.
