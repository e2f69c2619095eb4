"""Unsubscribing by a link in a mail, its undo, and the token behind such links.

contacts.consent.changes changes the consent; this module finds the message of a link and counts each unsubscribe once.
"""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Max, QuerySet

from contacts.consent import changes, decisions, suppressed
from contacts.models import ConsentEvent, ContactList, Subscription, Suppression
from delivery.content import tokens
from delivery.models import Mailing, Message
from delivery.records.erasure import address_of, is_anonymous
from feedback import relay
from feedback.models import Feedback
from mail.addresses import fold

METHODS = {
    Feedback.Channel.ONE_CLICK: ConsentEvent.Method.ONE_CLICK,
    Feedback.Channel.PAGE: ConsentEvent.Method.UNSUBSCRIBE,
    Feedback.Channel.PREFERENCES: ConsentEvent.Method.PREFERENCES,
    Feedback.Channel.MAIL: ConsentEvent.Method.MAIL,
    Feedback.Channel.WEBHOOK: ConsentEvent.Method.UNSUBSCRIBE,  # The link that a provider added to the mail.
}
UNDO_WITHIN = dt.timedelta(days=1)  # Afterwards the preference page is the way back.


def find_message(token: str, purpose: str = tokens.UNSUBSCRIBE) -> Message | None:
    """Return the message of ``token``; None if it is forged or truncated, or its person was erased."""
    number = tokens.message_of(token, purpose)
    if number is None:
        return None
    related = Message.objects.select_related("mailing__server", "contact", "server", "copy_of__contact")
    message = related.filter(pk=number).first()
    if message is not None and message.contact is None and is_anonymous(message):
        return None
    return message


def belongs_to_nobody(token: str, purpose: str = tokens.UNSUBSCRIBE) -> bool:
    """Whether the token is one of ours without a recipient."""
    return tokens.message_of(token, purpose) == tokens.NOBODY


def is_test(message: Message) -> bool:
    return message.mailing.stream == Mailing.Stream.TEST


def is_copy(message: Message) -> bool:
    """Whether it is a copy: its reader must not be able to unsubscribe the original recipient."""
    return message.copy_of_id is not None


@dataclass(frozen=True, slots=True)
class UnsubscribeStanding:
    """The reader's standing on the lists of the mailing, and towards all mail."""

    staying: tuple[str, ...]  # Titles of lists they can still leave.
    left: tuple[str, ...]  # Titles of lists they left.
    left_everything: bool
    may_undo: bool


def standing(message: Message, now: dt.datetime) -> UnsubscribeStanding:
    """Return the facts for the unsubscribe page."""
    names: dict[int, str] = {}
    withdrawn: set[int] = set()
    if message.contact_id is not None:
        names = {each.pk: each.public_title for each in message.mailing.lists.only("pk", "name", "title")}
        of_person = Subscription.objects.filter(contact=message.contact_id, list__in=names)
        withdrawn = set(of_person.filter(status=Subscription.Status.UNSUBSCRIBED).values_list("list", flat=True))
    left_everything = Suppression.objects.filter(suppressed.left_everything(), email_key__in=_keys(message)).exists()
    return UnsubscribeStanding(
        tuple(name for pk, name in names.items() if pk not in withdrawn),
        tuple(name for pk, name in names.items() if pk in withdrawn),
        left_everything,
        (left_everything or bool(withdrawn)) and _undoable(message, now).exists(),
    )


def unsubscribe(
    message: Message,
    *,
    from_everything: bool,
    channel: Feedback.Channel,
    reason: str,
    now: dt.datetime,
    cause: str = "",
    network: str = "",
) -> None:
    """Withdraw the person's consent to the lists of the mailing, or to all mail, and count it once.

    Tests and copies are ignored. If the mailing has no list or the contact is gone, the address is suppressed for all
    mail: otherwise an import could bring the person back. A repetition changes nothing.

    :param reason: the person's own words; cut to 500 characters.
    :param cause: one of ``Feedback.Cause``.
    :param network: the IP address of the request; only its network is kept.
    """
    if is_test(message) or is_copy(message):
        return
    contact = message.contact
    if contact is None and is_anonymous(message):  # Nobody is left to send to.
        return
    source = f"{METHODS[channel].in_files}: {message.mailing.name}"
    lists = list(message.mailing.lists.values_list("pk", flat=True))
    with transaction.atomic():
        if contact is not None and lists:
            changes.unsubscribe(contact.pk, lists, method=METHODS[channel], source=source, now=now, network=network)
        else:
            from_everything = True
        if from_everything:
            changes.unsubscribe_from_everything(
                address_of(message),
                method=METHODS[channel],
                source=source,
                now=now,
                contact_id=message.contact_id,
                network=network,
            )
        count(message, channel=channel, is_global=from_everything, reason=reason, cause=cause, now=now)


def count(
    message: Message,
    *,
    channel: Feedback.Channel,
    is_global: bool,
    now: dt.datetime,
    reason: str = "",
    cause: str = "",
) -> None:
    """Record that a message made its recipient unsubscribe; once, unless they undid it meanwhile."""
    Feedback.objects.bulk_create(
        [
            Feedback(
                kind=Feedback.Kind.UNSUBSCRIBE,
                channel=channel,
                message=message,
                email=message.email,
                is_global=is_global,
                reason=reason[:500],
                cause=cause,
                received_at=now,
            )
        ],
        ignore_conflicts=True,  # Counted before: providers repeat their POST, and people press twice.
    )
    again = counts = Feedback.objects.filter(kind=Feedback.Kind.UNSUBSCRIBE, message=message, is_global=is_global)
    if not _changed_something(message, now):
        again = again.filter(undone_at__isnull=False)
    # undo() goes by this time: a repetition keeps the first one, a person who came back and left again gets a new one.
    again.update(undone_at=None, received_at=now, channel=channel)
    if (counted := counts.filter(received_at=now).first()) is not None:
        relay.tell(message, counted, now)


def _changed_something(message: Message, now: dt.datetime) -> bool:
    """Whether the person left a list, or everything, just now."""
    return (
        Subscription.objects.filter(
            contact=message.contact_id, status=Subscription.Status.UNSUBSCRIBED, changed_at=now
        ).exists()
        or Suppression.objects.filter(email_key__in=_keys(message), created_at=now).exists()
    )


def stamp_of(message: Message) -> str:
    """Return the stamp of what the person decided last, for the page that offers to undo."""
    return decisions.stamp_of(message.contact_id, _keys(message))


def undo(message: Message, stamp: str, now: dt.datetime, network: str = "") -> bool:
    """Undo exactly the changes of unsubscribing through this message; False if there are none.

    Lists that they were not on before, or left in another way, stay as they are.

    :param stamp: that of the page. If the person decided anything since, nothing is undone.
    """
    if is_test(message) or is_copy(message):
        return False
    with transaction.atomic():
        if not decisions.is_newest(stamp, message.contact_id, _keys(message)):
            return False
        moments = list(_undoable(message, now).values_list("received_at", flat=True))
        if not moments or not _undoable(message, now).update(undone_at=now):
            return False
        relay.forget(message)
        why = "The person took back that they had unsubscribed."
        changes.come_back(_keys(message), why, now, left_at=moments)
        if message.contact is not None:
            for contact_list in _left_by(message.contact.pk, moments):
                changes.subscribe(
                    message.contact,
                    contact_list,
                    method=ConsentEvent.Method.UNSUBSCRIBE,
                    source=f"undone: {message.mailing.name}",
                    now=now,
                    network=network,
                )
    return True


def _undoable(message: Message, now: dt.datetime) -> QuerySet[Feedback]:
    """Return the feedback that can be undone, without anything older than the person's own choice of lists."""
    left = Feedback.objects.filter(
        message=message, kind=Feedback.Kind.UNSUBSCRIBE, undone_at=None, received_at__gt=now - UNDO_WITHIN
    )
    chosen = ConsentEvent.objects.filter(
        contact=message.contact_id,
        method=ConsentEvent.Method.PREFERENCES,
        status=Subscription.Status.SUBSCRIBED,
        at__gt=now - UNDO_WITHIN,
    ).aggregate(last=Max("at"))["last"]
    return left.filter(received_at__gte=chosen) if chosen else left


def _left_by(contact_id: int, moments: Collection[dt.datetime]) -> list[ContactList]:
    """Return the lists that the person was on until they left at one of these times."""
    withdrawn = Subscription.objects.filter(
        contact=contact_id, status=Subscription.Status.UNSUBSCRIBED, changed_at__in=moments
    )
    found = []
    for subscription in withdrawn.select_related("list").order_by("pk"):
        earlier = changes.history(contact_id).filter(list=subscription.list, at__lt=subscription.changed_at).first()
        was_on = earlier.status == Subscription.Status.SUBSCRIBED if earlier else None
        # Subscriptions older than the history count as subscribed, unless the withdrawal created the row.
        if was_on or (was_on is None and subscription.created_at < subscription.changed_at):
            found.append(subscription.list)
    return found


def _keys(message: Message) -> set[str]:
    """Return the person's folded addresses: the message's and the present one."""
    written_to = set() if is_anonymous(message) else {fold(message.email)}
    return {*written_to, *({message.contact.email_key} if message.contact else ())}


def count_unsubscribed(mailing_id: int) -> int:
    """Return how many recipients of a mailing unsubscribed through it without undoing it."""
    rows = Feedback.objects.filter(
        message__mailing_id=mailing_id, kind=Feedback.Kind.UNSUBSCRIBE, undone_at__isnull=True
    )
    return rows.values("message").distinct().count()
