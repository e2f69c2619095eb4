"""Test messages of a campaign to several addresses, sent one after the other, each with its result."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from campaigns.content.frozen import frozen_content
from campaigns.models import Campaign
from contacts.models import Contact
from delivery.operators import send_test
from delivery.operators.send_test import Conversation
from smtpservers.models import SmtpServer
from smtpservers.routing import rules
from smtpservers.routing.candidates import fleet
from smtpservers.routing.selection import choose

NOT_TRIED = "It was not tried: the test before it did not even reach the message."


@dataclass(frozen=True, slots=True)
class SendTestResult:
    """The result of one test message."""

    recipient: str
    conversation: Conversation | None = None
    problem: str = ""  # Why there was no conversation.

    @property
    def is_accepted(self) -> bool:
        return self.conversation is not None and self.conversation.is_accepted


def server_for(campaign: Campaign, now: dt.datetime) -> SmtpServer | None:
    """Return the server that routing would choose now, else any; None if there is no server."""
    rule = rules.applying(rules.rules(), campaign.mail_from)[-1]  # The rule for recipients that no other rule names.
    choice = choose(fleet(now), now, rule=rule, mail_from=campaign.mail_from, named=campaign.server_ids).server
    if choice is not None:
        return SmtpServer.objects.get(pk=choice.server_id)
    return SmtpServer.objects.order_by("-is_active", "display_order").first()


def send_tests(
    campaign: Campaign,
    server: SmtpServer,
    recipients: Sequence[str],
    contact: Contact | None,
    actor: Any,
    now: dt.datetime,
) -> list[SendTestResult]:
    """Send the same test message to each address, and return the results.

    After a conversation that ends before MAIL, the other addresses are not tried.

    :param contact: the person whose merge fields are filled in; None for a reader without a name.
    :param actor: the user who sends the tests.
    :raises ContentInvalid: if the content cannot become a mail.
    """
    content = send_test.Content(**frozen_content(campaign))
    outcomes: list[SendTestResult] = []
    is_broken = False
    for recipient in recipients:
        if is_broken:
            outcomes.append(SendTestResult(recipient, problem=NOT_TRIED))
            continue
        try:
            conversation = send_test.send_test(
                server_id=server.pk, recipient=recipient, actor=actor, now=now, content=content, contact=contact
            )
        except send_test.SendTestRefused as refusal:
            outcomes.append(SendTestResult(recipient, problem=str(refusal)))
            continue
        outcomes.append(SendTestResult(recipient, conversation))
        is_broken = not any(shown.step.name == "MAIL" for shown in conversation.steps)
    return outcomes
