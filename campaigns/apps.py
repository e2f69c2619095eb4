"""The Django app ``campaigns``, and what it registers with the rooms below."""

from django.apps import AppConfig


class CampaignsConfig(AppConfig):
    name = "campaigns"
    verbose_name = "Sending"  # The group in the sidebar.
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from campaigns.audience.audience import users_of
        from campaigns.lifecycle import restored_copy
        from campaigns.lifecycle.servers import users_of_servers
        from campaigns.reports.segment_fields import CAMPAIGN
        from contacts.segments.query import USES, register
        from delivery.operators.restored_copy import PREPARATIONS, TELLERS
        from smtpservers.routing import rules

        register("campaign", CAMPAIGN)
        USES.append(users_of)
        rules.USES.append(users_of_servers)
        TELLERS.append(restored_copy.tell)
        PREPARATIONS.append(restored_copy.prepare)
