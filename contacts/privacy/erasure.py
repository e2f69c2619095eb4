"""Data subject rights: an export of everything held about a person, and its erasure except for a keyed hash.

Higher rooms register what they hold at start; see :data:`PERSONAL_DATA`. Nothing here reads the clock.
"""

import datetime as dt
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.utils.translation import gettext as _

from contacts.consent import changes
from contacts.models import (
    ConsentEvent,
    Contact,
    ContactImport,
    ErasedAddress,
    RefusedRow,
    Segment,
    Subscription,
    Suppression,
    SuppressionLift,
)
from contacts.privacy.redaction import ERASED, Pattern, redact, text_columns
from mail import tokens
from mail.addresses import fold
from registry import Registry

PURPOSE = "erased address"
ASKED_AT_ONCE = 2_000  # Bound parameters per query; SQLite may be built with a limit of 32,766.


def is_erased(emails: Iterable[str]) -> set[str]:
    """Return the subset of ``emails``, as given, whose people had everything about them erased.

    Addresses are found by hashes under TOKEN_KEYS: the first key makes new hashes, all keys find old ones, so that keys
    can be rotated.
    """
    given = list(emails)
    if not given or not ErasedAddress.objects.exists():  # The usual case.
        return set()
    asked: dict[str, list[str]] = {}
    for email in given:
        for digest in _digests(email):
            asked.setdefault(digest, []).append(email)
    digests = list(asked)
    erased: set[str] = set()
    for start in range(0, len(digests), ASKED_AT_ONCE):
        some = digests[start : start + ASKED_AT_ONCE]
        for digest in ErasedAddress.objects.filter(digest__in=some).values_list("digest", flat=True):
            erased.update(asked[digest])
    return erased


def _digests(email: str) -> list[str]:
    """Return the hashes of an address, the same for every spelling; the first is the one to store."""
    key = fold(email).encode()
    return [tokens.prover(PURPOSE, secret)(key)[:32].hex() for secret in settings.TOKEN_KEYS]


def admit(email: str) -> bool:
    """Remove an address from the erased ones, because the person came back or a user decided so; return whether it was
    there.
    """
    return ErasedAddress.objects.filter(digest__in=_digests(email)).delete()[0] > 0


# --- erasing --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Subject:
    """The person whose data it is: the contact, and every address they are known to have had."""

    contact_id: int
    emails: frozenset[str]
    keys: frozenset[str]  # The addresses, folded.
    names: tuple[str, str] = ("", "")

    @property
    def pattern(self) -> Pattern:
        return Pattern(self.emails)


@dataclass(frozen=True, slots=True)
class PersonalData:
    """How a higher room exports and erases what it holds about people."""

    emails: Callable[[int], Iterable[str]]  # The addresses it knows for a contact.
    stop: Callable[[Subject, dt.datetime], bool]  # Stop mail on its way; True if some cannot be stopped yet.
    export: Callable[[Subject], dict[str, Any]]  # By heading; JSON types only.
    erase: Callable[[Subject, dt.datetime], dict[str, int]]  # Number of changed rows, by kind.


PERSONAL_DATA: Registry[PersonalData] = Registry()
NO_CONTACT = 0  # Matches no row.


@dataclass(frozen=True, slots=True)
class ErasureResult:
    """The result of an erasure."""

    is_done: bool
    sentence: str
    counts: dict[str, int] = field(default_factory=dict)


def subject_of(contact: Contact) -> Subject:
    """Return all keys and addresses by which the rooms find what they hold about the person."""
    emails = {
        contact.email,
        contact.email_key,
        *(email for part in PERSONAL_DATA.values() for email in part.emails(contact.pk)),
    }
    # An earlier address may belong to somebody else today.
    others = Contact.objects.exclude(pk=contact.pk).filter(email_key__in=set(map(fold, emails)))
    taken = set(others.values_list("email_key", flat=True))
    emails = {email for email in emails if fold(email) not in taken}
    names = (contact.first_name, contact.last_name)
    return Subject(contact.pk, frozenset(emails), frozenset(map(fold, emails)), names)


def subject_at(email: str) -> Subject:
    """Return the subject for an address, with or without a contact: people may only ever have had single messages."""
    contact = Contact.objects.filter(email_key=fold(email)).first()
    return subject_of(contact) if contact else Subject(NO_CONTACT, frozenset({email}), frozenset({fold(email)}))


def erase(subject: Subject, actor: User, now: dt.datetime) -> ErasureResult:
    """Erase everything about a person, except the keyed hash of the address that keeps them out.

    Mail on its way is stopped first. A message that a worker is sending cannot be stopped: then nothing is erased yet,
    no further mail is sent, and a repeated call finishes the erasure.
    """
    with transaction.atomic():
        for email in sorted(subject.emails):
            changes.suppress(email, Suppression.Reason.MANUAL, "being erased", now)
        under_way = [part.stop(subject, now) for part in PERSONAL_DATA.values()]
    if any(under_way):
        return ErasureResult(
            False,
            _("A message to this person is being sent right now, so nothing is erased yet. Try again in a minute."),
        )
    with transaction.atomic():
        counts: dict[str, int] = {}
        for part in reversed(PERSONAL_DATA.values()):  # A higher room finds its rows through rows of a lower one.
            counts |= part.erase(subject, now)
        counts |= _erase_own(subject)
        digests = [_digests(key)[0] for key in sorted(subject.keys)]
        ErasedAddress.objects.bulk_create([ErasedAddress(digest=each) for each in digests], ignore_conflicts=True)
        _log(actor, "Erased a person", ", ".join(f"{number:,} {what}" for what, number in counts.items() if number))
    return ErasureResult(True, _("Person erased."), counts)


def _erase_own(subject: Subject) -> dict[str, int]:
    pattern = subject.pattern
    contact_type = ContentType.objects.get_for_model(Contact)
    events = ConsentEvent.objects.filter(contact=subject.contact_id).count()
    subscriptions = Subscription.objects.filter(contact=subject.contact_id).count()
    Contact.objects.filter(pk=subject.contact_id).delete()
    Suppression.objects.filter(email_key__in=subject.keys).delete()
    of_contact = LogEntry.objects.filter(content_type=contact_type, object_id=str(subject.contact_id))
    of_contact.update(object_repr=ERASED, object_id=None)
    redacted = redact(LogEntry.objects.all(), pattern, "object_repr", "change_message")
    for model in _others():
        redacted += redact(model._default_manager.all(), pattern, *text_columns(model))
    return {"subscriptions": subscriptions, "steps of consent": events, "other texts": redacted}


def _others() -> list[Any]:
    """Return the models whose texts may name a person incidentally: the other ones of this room, and every history."""
    own = (SuppressionLift, ContactImport, RefusedRow, Segment)
    history = [model for model in apps.get_models() if any(f.name == "history_id" for f in model._meta.fields)]
    return [*own, *history]


def export(subject: Subject) -> dict[str, Any]:
    """Return everything held about a person, by heading, in JSON types."""
    contact = Contact.objects.filter(pk=subject.contact_id).first()
    held = _export_contact(contact) if contact else {"person": {"e-mail": ", ".join(sorted(subject.emails))}}
    held |= _export_own(subject)
    for part in PERSONAL_DATA.values():
        held |= part.export(subject)
    return held


def _export_contact(contact: Contact) -> dict[str, Any]:
    person = {
        "e-mail": contact.email,
        "first name": contact.first_name,
        "last name": contact.last_name,
        "language": contact.language,
        "time zone": contact.time_zone,
        "opens counted": contact.open_tracking,
        "clicks counted": contact.click_tracking,
        "asked for a break until": contact.paused_until,
        "attributes": contact.attributes,
        "known since": contact.created_at,
        "last changed": contact.updated_at,
    }
    return {
        "person": person,
        "lists": [
            {"list": row.list.name, "status": row.status, "since": row.changed_at, "source": row.source}
            for row in Subscription.objects.filter(contact=contact).select_related("list").order_by("list__name")
        ],
        "history of consent": [
            {
                "at": event.at,
                "about": event.topic,
                "list": event.list_name,
                "became": event.status,
                "by": event.method,
                "source": event.source,
                "agreed to": event.wording,
                "network": event.network,
            }
            for event in ConsentEvent.objects.filter(contact=contact).order_by("at", "pk")
        ],
    }


def _export_own(subject: Subject) -> dict[str, Any]:
    """Return what this room holds under the addresses, not under the contact."""
    domains = {f"@{key.rpartition('@')[2]}" for key in subject.keys}
    suppressions = Suppression.objects.filter(email_key__in=[*subject.keys, *domains])
    lifts = SuppressionLift.objects.filter(email__in=subject.emails)
    return {
        "suppressions": [
            {
                "of": row.email,
                "reason": row.reason,
                "source": row.source,
                "since": row.created_at,
                "until": row.expires_at,
                "unsubscribed from everything": row.unsubscribed_at,
            }
            for row in suppressions
        ],
        "lifted suppressions": [
            {"of": row.email, "reason": row.reason, "lifted at": row.lifted_at, "why": row.why} for row in lifts
        ],
        "refused rows of imports": [
            {
                "file": row.contact_import.file_name,
                "line": row.line_number,
                "row": row.content or ", ".join(row.cells),
                "reason": row.reason,
            }
            for row in RefusedRow.objects.filter(subject.pattern.holds("content", "cells")).select_related(
                "contact_import"
            )
        ],
        "changes by users": [
            {"at": entry.action_time, "by": entry.user.get_username(), "change": entry.get_change_message()}
            for entry in LogEntry.objects.filter(
                content_type=ContentType.objects.get_for_model(Contact), object_id=str(subject.contact_id)
            ).select_related("user")
        ],
    }


def record_export(actor: User, subject: Subject) -> None:
    """Log who exported a person's data."""
    LogEntry.objects.create(
        user=actor,
        content_type=ContentType.objects.get_for_model(Contact),
        object_id=str(subject.contact_id) if subject.contact_id else None,
        object_repr=min(subject.emails)[:200],
        action_flag=CHANGE,
        change_message="Exported everything held about them.",
    )


def _log(actor: User, what: str, words: str) -> None:
    LogEntry.objects.create(
        user=actor,
        content_type=ContentType.objects.get_for_model(Contact),
        object_repr=what,
        action_flag=DELETION,
        change_message=words,
    )


def as_json(held: dict[str, Any]) -> str:
    """Return an export as JSON text that people can read too."""
    return json.dumps(held, cls=DjangoJSONEncoder, ensure_ascii=False, indent=2)
