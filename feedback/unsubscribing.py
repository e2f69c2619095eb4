"""What a link in mail leads to, and what happens when a person unsubscribes through it.

The consent itself is changed by contacts.consent; this adds whose link it was, and that it is counted once.
"""

import datetime as dt

from django.db import transaction

from contacts import consent
from contacts.models import ConsentEvent
from delivery.models import Mailing, Message
from delivery.tokens import message_of
from feedback.models import Feedback

SOURCES = {
    Feedback.Channel.ONE_CLICK: "one-click in the mail program",
    Feedback.Channel.PAGE: "link in the mail",
}
METHODS = {
    Feedback.Channel.ONE_CLICK: ConsentEvent.Method.ONE_CLICK,
    Feedback.Channel.PAGE: ConsentEvent.Method.UNSUBSCRIBE,
}


def find_message(token: str) -> Message | None:
    """Return the message that ``token`` was made for; None if it is forged, cut short, or its message is gone."""
    number = message_of(token)
    if number is None:
        return None
    return Message.objects.select_related("mailing", "contact", "server", "copy_of__contact").filter(pk=number).first()


def is_test(message: Message) -> bool:
    return message.mailing.stream == Mailing.Stream.TEST


def is_copy(message: Message) -> bool:
    """Whoever reads a copy must not be able to unsubscribe the person it was written to."""
    return message.copy_of_id is not None


def unsubscribe(
    message: Message, *, from_everything: bool, channel: Feedback.Channel, reason: str, now: dt.datetime
) -> None:
    """Withdraw the person's consent, to the lists of that mailing or to all mail, and count it once.

    Tests and copies are inert. Where no list or no contact is left, nothing narrower than all mail can be
    kept, so the address is suppressed: a person who asked to hear no more must not come back by an import.
    Repeating it changes nothing.

    :param reason: the person's own words; cut to 500 characters.
    """
    if is_test(message) or is_copy(message):
        return
    source = f"{SOURCES[channel]}: {message.mailing.name}"
    lists = list(message.mailing.lists.values_list("pk", flat=True))
    contact = message.contact
    with transaction.atomic():
        if contact is not None and lists:
            consent.unsubscribe(contact.pk, lists, method=METHODS[channel], source=source, now=now)
        else:
            from_everything = True
        if from_everything:
            consent.unsubscribe_from_everything(
                message.email, method=METHODS[channel], source=source, now=now, contact_id=message.contact_id
            )
        Feedback.objects.bulk_create(
            [
                Feedback(
                    kind=Feedback.Kind.UNSUBSCRIBE,
                    channel=channel,
                    message=message,
                    email=message.email,
                    is_global=from_everything,
                    reason=reason[:500],
                    received_at=now,
                )
            ],
            ignore_conflicts=True,  # Counted before: providers repeat their POST, and people press twice.
        )


def count_unsubscribed(mailing_id: int) -> int:
    """Return how many recipients of a mailing unsubscribed through it."""
    rows = Feedback.objects.filter(message__mailing_id=mailing_id, kind=Feedback.Kind.UNSUBSCRIBE)
    return rows.values("message").distinct().count()
