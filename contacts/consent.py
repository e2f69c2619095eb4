"""How consent is given, withdrawn and ruled out for good.

The only place that changes a subscription's status or adds a suppression, except the import, which may give
consent to people who never withdrew it (contacts.importing). Nothing here sends or looks at the clock.
"""

import datetime as dt
from collections.abc import Collection

from django.db import transaction

from contacts.models import Contact, ContactList, Subscription, Suppression
from mail.addresses import fold


def subscribe(contact: Contact, contact_list: ContactList, source: str, now: dt.datetime) -> bool:
    """Record that ``contact`` agreed to ``contact_list``, also when an earlier consent was withdrawn.

    For a deliberate choice, by the person or by somebody who speaks with them. What comes in bulk must not
    undo a withdrawal and belongs to the import.

    :param source: who or what gave the consent, for example ``admin: ann``; cut to 200 characters.
    :return: whether anything changed.
    """
    subscription, is_new = Subscription.objects.get_or_create(
        contact=contact,
        list=contact_list,
        defaults={"source": source[:200], "created_at": now, "changed_at": now},
    )
    if is_new:
        return True
    changed = Subscription.objects.filter(pk=subscription.pk, status=Subscription.Status.UNSUBSCRIBED).update(
        status=Subscription.Status.SUBSCRIBED, source=source[:200], changed_at=now
    )
    return changed == 1


def unsubscribe(contact_id: int, list_ids: Collection[int], source: str, now: dt.datetime) -> int:
    """Record that the person withdrew from the lists, and return how many of the lists that changed.

    A list the person is not on gets a withdrawal as well: mail for it may have been on its way when they were
    taken off, and an import must not bring them back. Repeating it changes nothing, neither source nor date.

    :param source: who or what withdrew the consent, for example ``link in mail``; cut to 200 characters.
    """
    with transaction.atomic():
        if not Contact.objects.filter(pk=contact_id).exists():
            return 0
        on_record = Subscription.objects.filter(contact_id=contact_id, list_id__in=list_ids)
        missing = ContactList.objects.filter(pk__in=list_ids).exclude(pk__in=on_record.values("list_id"))
        withdrawn = [
            Subscription(
                contact_id=contact_id,
                list=contact_list,
                status=Subscription.Status.UNSUBSCRIBED,
                source=source[:200],
                created_at=now,
                changed_at=now,
            )
            for contact_list in missing
        ]
        # Inserted before the update: a subscription made meanwhile by an import is then caught by the update.
        Subscription.objects.bulk_create(withdrawn, ignore_conflicts=True)
        changed = on_record.filter(status=Subscription.Status.SUBSCRIBED).update(
            status=Subscription.Status.UNSUBSCRIBED, source=source[:200], changed_at=now
        )
    return changed + len(withdrawn)


def suppress(email: str, reason: str, source: str, now: dt.datetime) -> bool:
    """Never write to ``email`` again, on no list; return whether the address is new among the suppressions.

    The first reason stays: it is what made us stop.

    :param reason: one of ``Suppression.Reason``.
    :param source: what made us stop, in words for people; cut to 500 characters.
    """
    _, is_new = Suppression.objects.get_or_create(
        email_key=fold(email),
        defaults={"email": email, "reason": reason, "source": source[:500], "created_at": now},
    )
    return is_new
