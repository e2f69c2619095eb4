"""Tests of a campaign to several addresses, one after the other, each with what became of it."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from campaigns.freezing import frozen_content
from campaigns.models import Campaign
from contacts.models import Contact
from delivery import testing
from delivery.testing import Conversation
from smtpservers import routes
from smtpservers.models import SmtpServer
from smtpservers.selection import choose, fleet

NOT_TRIED = "It was not tried: the test before it did not even reach the message."


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one test."""

    recipient: str
    conversation: Conversation | None = None
    problem: str = ""  # Why there was no conversation.

    @property
    def is_accepted(self) -> bool:
        return self.conversation is not None and self.conversation.is_accepted


def server_for(campaign: Campaign, now: dt.datetime) -> SmtpServer | None:
    """Return the server that would be asked first now, or any; only none at all gives None."""
    rule = routes.applying(routes.rules(), campaign.mail_from)[-1]  # That of recipients no rule names.
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
) -> list[Outcome]:
    """Send the same test to each address, and return what became of each.

    A server that cannot be reached is not asked again for each of them.

    :raises ContentInvalid: if no mail can be made of what is written.
    """
    content = testing.Content(**frozen_content(campaign))
    outcomes: list[Outcome] = []
    is_broken = False
    for recipient in recipients:
        if is_broken:
            outcomes.append(Outcome(recipient, problem=NOT_TRIED))
            continue
        try:
            conversation = testing.send_test(
                server_id=server.pk, recipient=recipient, actor=actor, now=now, content=content, contact=contact
            )
        except testing.TestRefused as refusal:
            outcomes.append(Outcome(recipient, problem=str(refusal)))
            continue
        outcomes.append(Outcome(recipient, conversation))
        is_broken = not any(shown.step.name == "MAIL" for shown in conversation.steps)
    return outcomes
