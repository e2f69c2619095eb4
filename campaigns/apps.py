"""How Django finds the room ``campaigns``."""

from django.apps import AppConfig


class CampaignsConfig(AppConfig):
    name = "campaigns"
    verbose_name = "Sending"  # Its group in the sidebar.
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from campaigns import restoration
        from campaigns.audience import users_of
        from campaigns.conditions import CAMPAIGN
        from campaigns.steering import users_of_servers
        from contacts.segmenting import USES, register
        from delivery.restoration import PREPARATIONS, TELLERS
        from smtpservers import routes

        register("campaign", CAMPAIGN)
        USES.append(users_of)
        routes.USES.append(users_of_servers)
        TELLERS.append(restoration.tell)
        PREPARATIONS.append(restoration.prepare)
