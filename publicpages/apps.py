"""The app configuration of ``publicpages``, and its contributions to lower rooms."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PublicPagesConfig(AppConfig):
    name = "publicpages"
    verbose_name = _("Settings")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from contacts.privacy.erasure import PERSONAL_DATA
        from delivery.identity import IN_LINKS
        from publicpages.models import SignUp
        from publicpages.subscriptions.erasure import PART

        PERSONAL_DATA.register("publicpages", PART)
        IN_LINKS.register("sign-ups", SignUp)
