"""Test messages of a campaign to several addresses: a worker sends them, and a page follows them."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from campaigns.content.frozen import COUNTING, frozen_content
from campaigns.models import Campaign
from contacts.models import Contact
from delivery.content.test_inbox import leads_to_test_inbox
from delivery.models import Message, Trial
from delivery.operators import trials
from delivery.operators.receipts import Receipt, receipt_of
from delivery.operators.send_test import Content, Conversation
from smtpservers.models import SmtpServer
from smtpservers.routing import rules
from smtpservers.routing.candidates import fleet
from smtpservers.routing.selection import choose


@dataclass(frozen=True, slots=True)
class SendTestResult:
    """One test message: how far it is, or what became of it."""

    recipient: str
    conversation: Conversation | None = None  # So far.
    problem: str = ""  # Why there is no conversation, or why it ended in the middle.
    waiting: str = ""  # How far it is; empty once it has ended.
    is_in_test_inbox: bool = False  # It was accepted, and a page of the product shows it.
    receipt: Receipt | None = None  # It was sent to a mailbox that is connected here …
    is_receipt_followed: bool = False  # … and may arrive there soon.

    @property
    def status_label(self) -> str:
        status = self.conversation.status if self.conversation is not None else ""
        return str(dict(Message.Status.choices).get(status, status))

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


def ask(
    campaign: Campaign,
    server: SmtpServer,
    recipients: Sequence[str],
    contact: Contact | None,
    actor: Any,
    now: dt.datetime,
) -> str:
    """Ask a worker to send the same test message to each address; return the name under which it is followed.

    :param contact: the person whose merge fields are filled in; None for a reader without a name.
    :param actor: the user who sends the tests.
    :raises ContentInvalid: if the content cannot become a mail.
    """
    content = Content(**{name: value for name, value in frozen_content(campaign).items() if name not in COUNTING})
    merge = None
    if contact is not None:
        merge = {**contact.attributes, "first_name": contact.first_name, "last_name": contact.last_name}
    return trials.ask_several(server, recipients, content, merge, actor, now)


def results(campaign: Campaign, batch: str, now: dt.datetime) -> list[SendTestResult]:
    """Return how far the tests of a campaign are that were asked for together; empty if there are none."""
    return [_result(trial, now) for trial in trials.of_batch(batch, f"c{campaign.pk}")]


def _result(trial: Trial, now: dt.datetime) -> SendTestResult:
    conversation = trials.conversation_of(trial)
    if trial.ended_at is not None:
        is_accepted = conversation is not None and conversation.is_accepted
        is_shown_here = is_accepted and leads_to_test_inbox(trial.server)
        receipt = receipt_of(trial.recipient, conversation.message_id) if conversation and is_accepted else None
        return SendTestResult(
            trial.recipient,
            conversation,
            trial.refusal_text,
            is_in_test_inbox=is_shown_here,
            receipt=receipt,
            is_receipt_followed=receipt is not None and receipt.is_followed(trial.ended_at, now),
        )
    headline, advice = trials.under_way(trial, now)
    if trials.is_lost(trial, now):
        return SendTestResult(trial.recipient, conversation, problem=f"{headline} {advice}")
    return SendTestResult(trial.recipient, conversation, waiting=headline)
