"""How Django finds the room ``campaigns``."""

from django.apps import AppConfig


class CampaignsConfig(AppConfig):
    name = "campaigns"
    verbose_name = "Sending"  # Its group in the sidebar.
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from campaigns.audience import users_of
        from campaigns.conditions import CAMPAIGN
        from contacts.segmenting import USES, register

        register("campaign", CAMPAIGN)
        USES.append(users_of)
