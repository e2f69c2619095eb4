"""How Django finds the room ``publicpages``, and what it adds to the pages of lower rooms."""

from django.apps import AppConfig


class PublicPagesConfig(AppConfig):
    name = "publicpages"
    verbose_name = "System"  # Its group in the sidebar.
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from contacts.privacy.erasure import PERSONAL_DATA
        from publicpages.subscriptions.erasure import PART

        PERSONAL_DATA.register("publicpages", PART)
