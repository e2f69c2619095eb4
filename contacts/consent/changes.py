"""Changes of consent, with their history: request, confirmation, withdrawal, suppression and lifting.

Only this module changes the status of a subscription, and adds or lifts suppressions. Every change writes one
ConsentEvent in the same transaction; a call that changes nothing writes none. Two things undo a withdrawal: the person,
by the confirmation link in a mail, or a user on the person's behalf. Imports and bulk edits never do. Nothing here
sends, and only :func:`follow_new_address` reads the clock.

Changes of one person's consent lock the row of the contact, so that two simultaneous clicks give the same result as two
clicks in sequence.
"""

import datetime as dt
from collections.abc import Collection, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

from django.contrib.auth.models import User
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.db.models.signals import pre_save
from django.dispatch import receiver
from django.utils import timezone

from contacts.consent import tracking
from contacts.consent.ip_networks import network_of
from contacts.consent.suppressed import active, left_everything
from contacts.models import (
    SOURCE_CHARACTERS,
    ConsentEvent,
    Contact,
    ContactList,
    Subscription,
    Suppression,
    SuppressionLift,
)
from db.dialect import among, is_postgresql
from mail.addresses import fold

Method = ConsentEvent.Method
Status = Subscription.Status

THE_PERSON = "the person"
# These follow a person to a new address. A hard bounce does not: it concerns the old mailbox only.
OWN_WILL = (Suppression.Reason.UNSUBSCRIBED, Suppression.Reason.COMPLAINT)


# --- asking and giving


def wording_of(contact_list: ContactList) -> str:
    """Return the consent text that the form of the list shows, word for word."""
    return contact_list.consent_text.strip() or (
        f"I would like to receive “{contact_list.public_title}” by email. I can unsubscribe at any time."
    )


def subscribe(
    contact: Contact,
    contact_list: ContactList,
    *,
    method: str,
    source: str,
    now: dt.datetime,
    wording: str = "",
    network: str = "",
) -> bool:
    """Record that ``contact`` agreed to ``contact_list``, even if an earlier consent was withdrawn.

    The caller must know that the person chose this: they followed a link in a mail to them, or they told a user. A
    public form calls :func:`request_subscription`; bulk operations call :func:`subscribe_in_bulk`.

    :param method: one of ``ConsentEvent.Method``.
    :param source: who or what gave the consent, for example ``admin: ann``; cut to 200 characters.
    :param wording: the text the person agreed to, word for word; see :func:`wording_of`.
    :param network: the IP address of the request; only its /24 or /48 is kept.
    :return: whether anything changed.
    """
    with transaction.atomic():
        before = _status(contact.pk, contact_list.pk) if _lock_contact(contact.pk) else Status.SUBSCRIBED
        if before == Status.SUBSCRIBED:
            return False
        _set(contact.pk, [contact_list], Status.SUBSCRIBED, method, source, now, wording, network)
    return True


def request_subscription(
    contact: Contact,
    contact_list: ContactList,
    *,
    source: str,
    now: dt.datetime,
    method: str = Method.FORM,
    wording: str = "",
    network: str = "",
) -> Subscription.Status:
    """Record that this address was entered on a form, perhaps by somebody else, and return the status now.

    SUBSCRIBED: the list has single opt-in, or the person was subscribed already; nothing is left to do. PENDING
    otherwise: send the link that leads to :func:`confirm`. People who withdrew before are PENDING on every list,
    because anybody can type an address into a form. A repeated request is recorded again.

    :raises Contact.DoesNotExist: if the contact was deleted meanwhile.
    """
    with transaction.atomic():
        if not _lock_contact(contact.pk):
            raise Contact.DoesNotExist(f"the contact {contact.pk} was deleted while they subscribed")
        before = _status(contact.pk, contact_list.pk)
        if before == Status.SUBSCRIBED and not _left_everything(contact.email_key):
            return Status.SUBSCRIBED
        is_free = contact_list.opt_in == ContactList.OptIn.SINGLE and before is None
        after = Status.SUBSCRIBED if is_free and not _left_everything(contact.email_key) else Status.PENDING
        _set(contact.pk, [contact_list], after, method, source, now, wording, network)
    return after


def confirm(
    contact: Contact,
    contact_list: ContactList,
    *,
    source: str,
    now: dt.datetime,
    asked_at: dt.datetime | None = None,
    method: str = Method.CONFIRMATION,
    wording: str = "",
    network: str = "",
) -> Subscription.Status | None:
    """Record that the person followed the link of a double opt-in, and return the status of their subscription now.

    SUBSCRIBED: they are on the list, now or already before. UNSUBSCRIBED: they withdrew after the request; an old link
    does not bring them back. PENDING: nor does it confirm a newer request, which somebody else may have made. None:
    there is nothing to confirm. If the person had unsubscribed from everything, that suppression is lifted; their other
    lists stay withdrawn.

    :param asked_at: when the request of this link was made; None: the newest request.
    :param wording: the text they agreed to; empty: the text that the form recorded.
    """
    with transaction.atomic():
        if not _lock_contact(contact.pk):
            return None
        before = _status(contact.pk, contact_list.pk)
        if before != Status.PENDING:
            return before
        steps = history(contact.pk).filter(list=contact_list.pk)
        if asked_at is not None and steps.filter(status=Status.UNSUBSCRIBED, at__gte=asked_at).exists():
            return before
        asked = steps.filter(status=Status.PENDING).first()
        agreed_to = wording or (asked.wording if asked else "")
        _set(contact.pk, [contact_list], Status.SUBSCRIBED, method, source, now, agreed_to, network)
        come_back([contact.email_key], f"The person subscribed to {contact_list.name} again and confirmed it.", now)
    return Status.SUBSCRIBED


def forget_request(subscription: Subscription) -> None:
    """Undo a request that nobody confirmed, and remove it from the history.

    If the person had withdrawn before, the withdrawal is restored; otherwise an import could bring them back.
    """
    with transaction.atomic():
        if not _lock_contact(subscription.contact_id):
            return
        asked = Subscription.objects.filter(pk=subscription.pk, status=Status.PENDING)
        steps = history(subscription.contact_id).filter(list=subscription.list_id)
        before = steps.exclude(status=Status.PENDING).first()
        if before is None:
            undone, _ = asked.delete()
        else:
            undone = asked.update(status=before.status, source=before.source, changed_at=before.at)
        if undone:
            steps.filter(status=Status.PENDING).order_by().delete()


def subscribe_in_bulk(
    contact_ids: Sequence[int], list_id: int, *, method: str, source: str, now: dt.datetime, wording: str = ""
) -> int:
    """Subscribe the contacts that have no subscription to the list yet, and return their number.

    Existing subscriptions stay as they are: withdrawn stays withdrawn, pending stays pending. People who unsubscribed
    from everything are skipped. Call it inside the transaction that stores the contacts, with their rows locked. It is
    raw SQL, because model instances would take most of an import's time.
    """
    if not contact_ids:
        return 0
    moment = connection.ops.adapt_datetimefield_value(now)
    said: list[Any] = [method, source[:SOURCE_CHARACTERS], wording]
    values: list[Any] = [list_id, Status.SUBSCRIBED, source[:SOURCE_CHARACTERS], moment, moment]
    new, keys = among(contact_ids)
    subscribe_new = _SUBSCRIBE.format(among=new)
    with transaction.atomic(), connection.cursor() as cursor:
        if is_postgresql():
            # One statement takes half the time of two for a million people: the second would have to find the new rows
            # again.
            cursor.execute(f"WITH s AS ({subscribe_new}) {_RECORD_OF} s {_BY_LIST}", [*values, *keys, *said, moment])
            return int(cursor.rowcount)
        cursor.execute(subscribe_new, [*values, *keys])
        added, keys = among([row[0] for row in cursor.fetchall()])
        newly = f"(SELECT * FROM contacts_subscription WHERE list_id = %s AND contact_id {added})"  # noqa: S608
        cursor.execute(f"{_RECORD_OF} {newly} s {_BY_LIST}", [*said, moment, list_id, *keys])
        return int(cursor.rowcount)


_SUBSCRIBE = """
    INSERT INTO contacts_subscription (contact_id, list_id, status, source, created_at, changed_at)
    SELECT c.id, %s, %s, %s, %s, %s FROM contacts_contact c WHERE c.id {among}
    AND NOT EXISTS (
        SELECT 1 FROM contacts_suppression p WHERE p.email_key = c.email_key
        AND (p.reason = 'unsubscribed' OR p.unsubscribed_at IS NOT NULL)
    )
    ORDER BY c.id ON CONFLICT (contact_id, list_id) DO NOTHING RETURNING contact_id, list_id
"""
_RECORD_OF = """
    INSERT INTO contacts_consentevent
    (contact_id, list_id, list_name, status, method, source, wording, network, at)
    SELECT s.contact_id, s.list_id, l.name, 'subscribed', %s, %s, %s, '', %s FROM
"""
_BY_LIST = "JOIN contacts_contactlist l ON l.id = s.list_id ORDER BY s.contact_id"


# --- withdrawing and pausing


def unsubscribe(
    contact_id: int, list_ids: Collection[int], *, method: str, source: str, now: dt.datetime, network: str = ""
) -> int:
    """Record that the person withdrew from the lists, and return for how many lists this was a change.

    A list that the person is not on gets a withdrawal as well: mail for it may have been on its way when they were
    taken off, and an import must not bring them back. A repetition changes neither source nor date.

    :param method: one of ``ConsentEvent.Method``.
    :param source: who or what withdrew the consent, for example ``link in mail``; cut to 200 characters.
    :param network: the IP address of the request; only its /24 or /48 is kept.
    """
    with transaction.atomic():
        if not _lock_contact(contact_id):
            return 0
        withdrawn = Subscription.objects.filter(contact_id=contact_id, status=Status.UNSUBSCRIBED).values("list_id")
        lists = list(ContactList.objects.filter(pk__in=list_ids).exclude(pk__in=withdrawn))
        _set(contact_id, lists, Status.UNSUBSCRIBED, method, source, now, network=network)
    return len(lists)


def unsubscribe_from_everything(
    email: str,
    *,
    method: str,
    source: str,
    now: dt.datetime,
    contact_id: int | None = None,
    network: str = "",
) -> None:
    """Record that the reader of ``email`` wants no more mail: withdraw every consent, suppress the address.

    :param contact_id: the person; None: the contact with this address, if there is one. If the person has changed their
        address since, both addresses are suppressed.
    """
    with transaction.atomic():
        contact = None
        if contact_id:  # Locked before the address is read: it may be changing.
            contact = Contact.objects.select_for_update(no_key=True).filter(pk=contact_id).first()
        addresses = {fold(each): each for each in (email, contact.email if contact else email)}
        withdraw_everywhere(addresses, method=method, source=source, now=now, network=network)
        for key in sorted(addresses):
            suppress(addresses[key], Suppression.Reason.UNSUBSCRIBED, source, now)


def withdraw_everywhere(
    email_keys: Iterable[str], *, method: str, source: str, now: dt.datetime, network: str = ""
) -> None:
    """Record that the people with these folded addresses withdrew from every list they are on or asked to be on.

    It is part of unsubscribing from everything: otherwise lifting that suppression would restore all their
    subscriptions. What they agreed to about opens and clicks ends as well.
    """
    with transaction.atomic():
        people = Contact.objects.select_for_update(no_key=True).filter(email_key__in=list(email_keys)).order_by("pk")
        ids = list(people.values_list("pk", flat=True))
        kept = list(
            Subscription.objects.filter(contact__in=ids).exclude(status=Status.UNSUBSCRIBED).select_related("list")
        )
        Subscription.objects.filter(pk__in=[each.pk for each in kept]).update(
            status=Status.UNSUBSCRIBED, source=source[:SOURCE_CHARACTERS], changed_at=now
        )
        for each in kept:
            each.status = Status.UNSUBSCRIBED
        _record(kept, method, source, now, "", network)
        tracking.withdraw(ids, method=method, source=source, now=now, network=network)


def pause(contact: Contact, until: dt.datetime | None) -> None:
    """Leave the person out of campaigns until this instant, as they asked; None ends the break. Consent stays."""
    Contact.objects.filter(pk=contact.pk).update(paused_until=until)
    contact.paused_until = until


# --- suppressing


def suppress(email: str, reason: str, source: str, now: dt.datetime, *, until: dt.datetime | None = None) -> bool:
    """Suppress ``email``, or a whole domain given as ``@example.com``; return whether it was not suppressed until now.

    An existing suppression keeps its reason, unless it is over, ends earlier or lets more mail through; see
    :func:`gives_way`. That the person unsubscribed from everything is kept beside whatever reason stands. To record
    that wish, use :func:`unsubscribe_from_everything`, which also withdraws consents.

    :param reason: one of ``Suppression.Reason``.
    :param source: the cause, in words for people; cut to 500 characters.
    :param until: the first instant at which mail is sent again; None: for good.
    """
    values: dict[str, Any] = {
        "email": email,
        "reason": reason,
        "source": source[:500],
        "expires_at": until,
        "created_at": now,
    }
    with transaction.atomic():
        present, is_new = Suppression.objects.select_for_update().get_or_create(email_key=fold(email), defaults=values)
        if is_new:
            return True
        is_wish = reason == Suppression.Reason.UNSUBSCRIBED and until is None
        wished_at = present.unsubscribed_at
        if present.reason == Suppression.Reason.UNSUBSCRIBED and present.expires_at is None:
            wished_at = present.created_at
        if not gives_way(present, reason, until, now):
            if is_wish and wished_at is None:
                Suppression.objects.filter(pk=present.pk).update(unsubscribed_at=now)
            return False
        values["unsubscribed_at"] = None if is_wish else wished_at
        was_over = present.expires_at is not None and present.expires_at <= now
        for name, value in values.items():
            setattr(present, name, value)
        present.save(update_fields=[*values])
    return was_over


def suppress_all(causes: Mapping[str, str], reason: str, now: dt.datetime) -> None:
    """Do what :func:`suppress` does for good, for many addresses at once.

    :param causes: the cause, in words for people, by address.
    """
    by_key = {fold(email): email for email in causes}
    rows = [
        Suppression(email=email, email_key=key, reason=reason, source=causes[email][:500], created_at=now)
        for key, email in sorted(by_key.items())
    ]
    with transaction.atomic():
        Suppression.objects.bulk_create(rows, ignore_conflicts=True)
        present = Suppression.objects.filter(email_key__in=by_key).exclude(reason=reason, created_at=now)
        for key in sorted(present.values_list("email_key", flat=True)):
            suppress(by_key[key], reason, causes[by_key[key]], now)


@receiver(pre_save, sender=Contact)
def follow_new_address(instance: Contact, update_fields: Collection[str] | None = None, **_: Any) -> None:
    """Carry a person's own suppression over to their new address, on every save that changes the address.

    The old address stays suppressed: mail to it was unwanted, and it may belong to somebody else by now.
    """
    if instance.pk is None or (update_fields is not None and "email_key" not in update_fields):
        return
    # Locked, so that a simultaneous withdrawal sees the new address, or is seen here.
    held = Contact.objects.select_for_update(no_key=True).filter(pk=instance.pk).order_by()
    before = held.values_list("email_key", flat=True).first()
    if before is None or before == instance.email_key:
        return
    now = timezone.now()  # noqa: TID251  # A signal is an edge: no caller can pass the time.
    own_will = Q(reason__in=OWN_WILL) | left_everything()
    wish = Suppression.objects.filter(active(now), own_will, email_key=before).first()
    if wish is not None:
        source = f"Followed the person to a new address. {wish.source}".strip()
        if wish.reason in OWN_WILL:
            suppress(instance.email, wish.reason, source, now, until=wish.expires_at)
        if wish.unsubscribed_at is not None:
            suppress(instance.email, Suppression.Reason.UNSUBSCRIBED, "Followed the person to a new address.", now)


def gives_way(present: Suppression, reason: str, until: dt.datetime | None, now: dt.datetime) -> bool:
    """Tell whether :func:`suppress` would replace a suppression by one with this reason and end."""
    if present.expires_at is not None and present.expires_at <= now:
        return True
    lasts_longer = present.expires_at is not None and (until is None or until > present.expires_at)
    lasts_as_long = lasts_longer or until == present.expires_at
    # Transactional mail passes UNSUBSCRIBED, and no other reason; see delivery.outbox.claims.
    is_stronger = present.reason == Suppression.Reason.UNSUBSCRIBED != reason
    is_weaker = reason == Suppression.Reason.UNSUBSCRIBED != present.reason
    return (is_stronger and lasts_as_long) or (lasts_longer and not is_weaker)


def lift(
    suppression: Suppression, why: str, actor: User | None, now: dt.datetime, *, by: str = THE_PERSON
) -> SuppressionLift | None:
    """Remove a suppression and record who lifted it and why; None if it is gone, or a newer one is in its place.

    If the person unsubscribed from everything while another reason stood, their wish stays as a suppression. No consent
    is restored: a person who withdrew from a list stays off it.

    :param actor: the user; None: ``by`` names who it was.
    :param by: who lifted it, if it was not a user; the default is the person, by a link in a mail to them.
    """
    with transaction.atomic():
        same = Suppression.objects.filter(
            pk=suppression.pk, reason=suppression.reason, created_at=suppression.created_at
        )
        present = same.select_for_update().first()
        return None if present is None else _lift(present, why, actor, now, by)


def _lift(
    suppression: Suppression, why: str, actor: User | None, now: dt.datetime, by: str = THE_PERSON
) -> SuppressionLift:
    if suppression.unsubscribed_at is None:
        suppression.delete()
    else:
        Suppression.objects.filter(pk=suppression.pk).update(
            reason=Suppression.Reason.UNSUBSCRIBED,
            source="",
            expires_at=None,
            created_at=suppression.unsubscribed_at,
            unsubscribed_at=None,
        )
    return SuppressionLift.objects.create(
        email=suppression.email,
        reason=suppression.reason,
        suppressed_at=suppression.created_at,
        why=why[:500],
        lifted_by=actor,
        lifted_by_name=actor.get_username() if actor else by,
        lifted_at=now,
    )


def come_back(
    email_keys: Collection[str], why: str, now: dt.datetime, *, left_at: Collection[dt.datetime] = ()
) -> None:
    """Take back that a person unsubscribed from everything, as they ask. Other reasons to write to nobody stay.

    :param left_at: the moments at which they unsubscribed; empty: any.
    """
    with transaction.atomic():
        for each in Suppression.objects.select_for_update().filter(left_everything(), email_key__in=email_keys):
            if left_at and (each.unsubscribed_at or each.created_at) not in left_at:
                continue
            if each.reason == Suppression.Reason.UNSUBSCRIBED:
                _lift(each, why, None, now)
            else:
                Suppression.objects.filter(pk=each.pk).update(unsubscribed_at=None)


def _left_everything(email_key: str) -> bool:
    return Suppression.objects.filter(left_everything(), email_key=email_key).exists()


# --- the history


def history(contact_id: int) -> QuerySet[ConsentEvent]:
    """Return every step of the person's consents, latest first."""
    return ConsentEvent.objects.filter(contact=contact_id).select_related("list").order_by("-at", "-pk")


def _lock_contact(contact_id: int) -> bool:
    """Lock the contact against other consent changes until the transaction ends; False if the person is gone."""
    # Not FOR UPDATE: inserting a row that references the contact need not wait.
    held = Contact.objects.select_for_update(no_key=True).filter(pk=contact_id).order_by()
    return bool(held.values_list("pk", flat=True))


def _status(contact_id: int, list_id: int) -> Subscription.Status | None:
    status = Subscription.objects.filter(contact=contact_id, list=list_id).values_list("status", flat=True).first()
    return None if status is None else Status(status)


def _set(
    contact_id: int,
    lists: Iterable[ContactList],
    status: str,
    method: str,
    source: str,
    now: dt.datetime,
    wording: str = "",
    network: str = "",
) -> None:
    """Set the status of the person's subscriptions to the lists, create missing ones, and record the step."""
    subscriptions = [
        Subscription(
            contact_id=contact_id,
            list=each,
            status=status,
            source=source[:SOURCE_CHARACTERS],
            created_at=now,
            changed_at=now,
        )
        for each in sorted(lists, key=attrgetter("pk"))
    ]
    Subscription.objects.bulk_create(
        subscriptions,
        update_conflicts=True,
        unique_fields=["contact", "list"],
        update_fields=["status", "source", "changed_at"],
    )
    _record(subscriptions, method, source, now, wording, network)


def _record(
    subscriptions: Iterable[Subscription], method: str, source: str, now: dt.datetime, wording: str, network: str
) -> None:
    """Add a step to the history for each of these subscriptions, with its present status."""
    ConsentEvent.objects.bulk_create(
        ConsentEvent(
            contact_id=each.contact_id,
            list=each.list,
            list_name=each.list.name,
            status=each.status,
            method=method,
            source=source[:SOURCE_CHARACTERS],
            wording=wording,
            network=network_of(network),
            at=now,
        )
        for each in subscriptions
    )
