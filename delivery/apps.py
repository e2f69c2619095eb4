"""Django's configuration of the room ``delivery``, with its contributions to lower rooms."""

from typing import TYPE_CHECKING

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from smtpservers.models import SmtpServer


def _begin_test(request: HttpRequest, server: "SmtpServer") -> HttpResponse:
    from delivery.views import begin_test  # Only the web needs the pages.

    return begin_test(request, server)


class DeliveryConfig(AppConfig):
    name = "delivery"
    verbose_name = _("Delivery")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        import oauth.tokens
        from contacts.privacy.contact_page import SECTION_BUILDERS
        from contacts.privacy.erasure import PERSONAL_DATA
        from contacts.privacy.retention import RULES
        from contacts.segments.query import CONDITION_KINDS
        from delivery import identity
        from delivery.content import sending_domains, signatures
        from delivery.outbox import plan
        from delivery.outbox.status_counts import install_after_migrating
        from delivery.records import erasure, retention
        from delivery.records.contact_page import messages_of
        from delivery.records.scorecard import gmail_of
        from delivery.records.segment_fields import MAIL
        from domains.keys import lifecycle
        from domains.senders import FROM_DOMAINS, GMAIL_COUNTS, PROVIDER_INCLUDES, SENDERS
        from smtpservers.routing.candidates import SIGNATURES
        from smtpservers.send_test_starters import RESUME_WATCHERS, SAVE_WATCHERS, TEST_STARTERS

        TEST_STARTERS.register("delivery", _begin_test)
        oauth.tokens.HOLDS.register("restored copy", identity.why_held)
        CONDITION_KINDS.register("mail", MAIL)
        SECTION_BUILDERS.register("delivery", messages_of)
        PERSONAL_DATA.register("delivery", erasure.PART)
        FROM_DOMAINS.register("delivery", sending_domains.server_domains)
        SENDERS.register("delivery", sending_domains.senders)
        SAVE_WATCHERS.register("delivery", sending_domains.follow_server)
        RESUME_WATCHERS.register("delivery", plan.plan)  # It stores anew why mailings wait.
        SIGNATURES.register("delivery", signatures.why_unsigned)
        lifecycle.HOLDS.register("restored copy", identity.why_held)
        lifecycle.WATCHERS.register("delivery", signatures.keys_changed)
        GMAIL_COUNTS.register("delivery", gmail_of)
        PROVIDER_INCLUDES.register("delivery", sending_domains.provider_includes)
        for rule in retention.RULES:
            RULES.register(rule.title, rule)
        post_migrate.connect(install_after_migrating, sender=self)
