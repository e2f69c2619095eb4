"""The preference page: a person's lists, names and language, a break, or no mail at all.

Only the person has the link, from a mail to them, so a list needs no further confirmation.
"""

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass

from django.db import transaction
from django.db.models import Q

from contacts.consent import changes, decisions, suppressed
from contacts.models import ConsentEvent, Contact, ContactList, Subscription, Suppression
from delivery.models import Message
from delivery.records.erasure import address_of
from feedback import unsubscribe
from feedback.models import Feedback
from mail.addresses import fold
from publicpages.subscriptions.subscribe import NAME_CHARACTERS, wording

PAUSE = dt.timedelta(days=30)
SOURCE = "preference page"
ON = (Subscription.Status.SUBSCRIBED, Subscription.Status.PENDING)


@dataclass(frozen=True, slots=True)
class Offer:
    """A list as shown on the page."""

    list: ContactList
    is_on: bool
    is_pending: bool  # Requested on a form, not confirmed yet.


@dataclass(frozen=True, slots=True)
class Wishes:
    """The entries of a person on the page."""

    shown: Collection[int]  # The lists on their page; others stay as they are.
    chosen: Collection[int]
    first_name: str
    last_name: str
    language: str  # One of settings.LANGUAGES, or empty.
    shown_in: str  # The language of the page, and so of the wording that they agreed to.


def person_of(message: Message) -> Contact | None:
    """Return the person whose preferences the link of a message opens; None for tests, copies, and deleted contacts.

    None also if the person has changed their address: the old mailbox may have a new owner.
    """
    if unsubscribe.is_test(message) or unsubscribe.is_copy(message) or message.contact is None:
        return None
    return message.contact if message.contact.email_key == fold(address_of(message)) else None


def offers(contact: Contact) -> list[Offer]:
    """Return the public lists, and the lists that the person is on."""
    status_of = dict(contact.subscriptions.values_list("list", "status"))
    own = [pk for pk, status in status_of.items() if status in ON]
    lists = ContactList.objects.filter(Q(pk__in=own) | Q(is_public=True)).order_by("name")
    has_left = left_everything(contact)
    return [
        Offer(
            each,
            status_of.get(each.pk) == Subscription.Status.SUBSCRIBED and not has_left,
            status_of.get(each.pk) == Subscription.Status.PENDING,
        )
        for each in lists
    ]


def save(message: Message, contact: Contact, wishes: Wishes, stamp: str, network: str, now: dt.datetime) -> bool:
    """Store the person's choices; a list that they did not see, or may not choose, stays as it is.

    :param stamp: that of the page. If the person decided anything since, they leave lists and join none.
    :return: whether they are on each list they chose.
    """
    with transaction.atomic():
        may_agree = decisions.is_newest(stamp, contact.pk)
        offered = {offer.list.pk: offer for offer in offers(contact) if offer.list.pk in wishes.shown}
        wanted = [offer for pk, offer in offered.items() if pk in wishes.chosen and not offer.is_on]
        on = set(contact.subscriptions.filter(status__in=ON).values_list("list", flat=True))
        unwanted = [pk for pk in offered if pk not in wishes.chosen and pk in on]
        Contact.objects.filter(pk=contact.pk).update(
            first_name=wishes.first_name[:NAME_CHARACTERS],
            last_name=wishes.last_name[:NAME_CHARACTERS],
            language=wishes.language,
            updated_at=now,
        )
        if wanted and may_agree:
            _lift_suppression(contact, now)
        for offer in wanted if may_agree else ():
            changes.subscribe(
                contact,
                offer.list,
                method=ConsentEvent.Method.PREFERENCES,
                source=SOURCE,
                now=now,
                wording=wording(offer.list, wishes.shown_in),
                network=network,
            )
        if unwanted:
            changes.unsubscribe(
                contact.pk,
                unwanted,
                method=ConsentEvent.Method.PREFERENCES,
                source=SOURCE,
                now=now,
                network=network,
            )
            if message.mailing.lists.filter(pk__in=unwanted).exists():
                unsubscribe.count(message, channel=Feedback.Channel.PREFERENCES, is_global=False, now=now)
    return may_agree or not wanted


def pause(contact: Contact, now: dt.datetime) -> None:
    """Leave the person out of campaigns for :data:`PAUSE`."""
    changes.pause(contact, now + PAUSE)


def end_pause(contact: Contact, stamp: str) -> bool:
    """End the break; False if the person decided anything since the page with this stamp was shown."""
    with transaction.atomic():
        may_agree = decisions.is_newest(stamp, contact.pk)
        contact.refresh_from_db(fields=["paused_until"])
        if contact.paused_until is None:
            return True
        if may_agree:
            changes.pause(contact, None)
    return may_agree


def leave_everything(message: Message, network: str, now: dt.datetime) -> None:
    """Unsubscribe the person from all mail."""
    unsubscribe.unsubscribe(
        message,
        from_everything=True,
        channel=Feedback.Channel.PREFERENCES,
        reason="",
        now=now,
        network=network,
    )


def left_everything(contact: Contact) -> bool:
    """Whether the person unsubscribed from all mail, and has not come back."""
    return Suppression.objects.filter(suppressed.left_everything(), email_key=contact.email_key).exists()


def _lift_suppression(contact: Contact, now: dt.datetime) -> None:
    """Lift the suppression of a person who had unsubscribed from everything, because they chose a list."""
    changes.come_back([contact.email_key], "The person chose a list on the page of their settings.", now)
