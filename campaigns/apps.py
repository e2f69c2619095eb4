"""The Django app ``campaigns``, and what it registers with the rooms below."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class CampaignsConfig(AppConfig):
    name = "campaigns"
    verbose_name = _("Campaigns")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from campaigns.audience.audience import users_of
        from campaigns.content import from_domains
        from campaigns.lifecycle import restored_copy
        from campaigns.lifecycle.servers import users_of_servers
        from campaigns.preflight.upcoming import senders_by_server, upcoming_domains, upcoming_servers
        from campaigns.reports.segment_fields import CAMPAIGN
        from contacts.segments.query import CONDITION_KINDS, SEGMENT_USERS
        from delivery.operators.restored_copy import PREPARATIONS, TELLERS
        from delivery.operators.session_check import OTHER_SENDERS, UPCOMING
        from domains.senders import FROM_DOMAINS, SENDERS, UPCOMING_DOMAINS
        from smtpservers.routing import rules

        CONDITION_KINDS.register("campaign", CAMPAIGN)
        SEGMENT_USERS.register("campaigns", users_of)
        rules.SERVER_USERS.register("campaigns", users_of_servers)
        FROM_DOMAINS.register("campaigns", from_domains.campaign_domains)
        SENDERS.register("campaigns", from_domains.senders)
        UPCOMING.register("campaigns", upcoming_servers)
        UPCOMING_DOMAINS.register("campaigns", upcoming_domains)
        OTHER_SENDERS.register("campaigns", senders_by_server)
        TELLERS.register("campaigns", restored_copy.tell)
        PREPARATIONS.register("campaigns", restored_copy.prepare)
