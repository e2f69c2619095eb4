"""Restored copies: the mail that was under way when a database was copied, and how a person lets it go on.

After the copy was made, the original may have sent the mail that is due here. Only a person can know whether it did.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from delivery import identity
from delivery.models import Installation, Mailing, Message
from delivery.outbox import mailings as outbox_mailings
from delivery.outbox import status_counts
from delivery.outcomes import recovery
from registry import Registry

Answer = Installation.Answer
MOST_SHOWN = 50
REASON = "Unconfirmed: this database was restored or copied, and the original may have sent this message since."


@dataclass(frozen=True, slots=True)
class UnderWay:
    """Mail that was under way when the copy was made, in words."""

    name: str
    what: str  # Its state in the copy.
    then: str  # Its future, if the original may have gone on sending.


# Higher rooms add their mail that is under way, and a step that brings it into the outbox; the step returns False while
# it must wait.
TELLERS: Registry[Callable[[dt.datetime], list[UnderWay]]] = Registry()
PREPARATIONS: Registry[Callable[[dt.datetime], bool]] = Registry()
# Called with the time of the copy before it goes on, whatever the original did: what came in since is not in it.
CATCH_UPS: Registry[Callable[[dt.datetime], None]] = Registry()


def held() -> Installation | None:
    """Return this database's row while it waits for a person's answer, or for the answer to be carried out."""
    return Installation.objects.filter(pk=1).exclude(held_because="").first()


def under_way(now: dt.datetime) -> list[UnderWay]:
    """Return the mail that was under way when the copy was made, and its future."""
    copy = held()
    if copy is None:
        return []
    mailings = _under_way(copy, now)
    campaigns = mailings.filter(stream=Mailing.Stream.CAMPAIGN).order_by("pk")
    left = [(mailing.name, _waiting(mailing.pk)) for mailing in campaigns[:MOST_SHOWN]]
    then = _("what was due becomes unconfirmed.")
    found = [UnderWay(name, _not_sent(number), then) for name, number in left if number]
    if (more := campaigns.count() - len(left)) > 0:
        found.append(
            UnderWay(
                ngettext("%(n)s more campaign", "%(n)s more campaigns", more) % {"n": f"{more:,}"},
                _("May not be sent in full yet."),
                then,
            )
        )
    others = mailings.exclude(stream=Mailing.Stream.CAMPAIGN).filter(is_snapshotted=True)
    waiting = Message.objects.filter(mailing__in=others.values("pk"), status__in=Message.PENDING).count()
    if waiting:
        found.append(UnderWay(_("Single messages, tests and notices"), _not_sent(waiting), then))
    return [*found, *(told for teller in TELLERS.values() for told in teller(now))]


def _under_way(copy: Installation, now: dt.datetime) -> QuerySet[Mailing]:
    """Return the mailings that the original may have gone on sending."""
    open_ones = Mailing.objects.filter(finished_at=None, state=Mailing.State.OPEN, created_at__lt=copy.held_since)
    return open_ones.filter(Q(opens_at=None) | Q(opens_at__lte=now))


def _not_sent(number: int) -> str:
    return ngettext("%(n)s message not sent yet.", "%(n)s messages not sent yet.", number) % {"n": f"{number:,}"}


def _waiting(mailing_id: int) -> int:
    found = status_counts.by_status(mailing_id)
    return sum(found[status] for status in Message.PENDING)


def answer(what: str) -> str:
    """Store a person's answer about the original, for the errands worker to carry out.

    :return: why the answer was not stored; empty if it was.
    """
    if what not in (Answer.MAY_HAVE_SENT, Answer.STOOD_STILL):
        return _("Choose whether the original may have continued sending.")
    if settings.START_HELD:
        return _(
            "START_HELD is set in the installation's configuration. Remove it there, restart every process, then come"
            " back."
        )
    held_unanswered = Installation.objects.filter(pk=1, answer=Answer.NONE).exclude(held_because="")
    if not held_unanswered.update(answer=what, identity=identity.identify()):
        return _("This database no longer waits for an answer.")
    return ""


def carry_on(now: dt.datetime) -> bool:
    """Carry out the person's answer, and release the database; False while it must wait.

    It may be killed and repeated, or run by two workers at once: nothing is sent before the last step.
    """
    if not identity.why_held(now):
        return True
    copy = held()
    if copy is None:  # Another worker has just released it.
        return True
    if copy.answer == Answer.NONE or copy.held_since is None:
        return False
    if copy.answer == Answer.MAY_HAVE_SENT:
        if not all(prepare(now) for prepare in PREPARATIONS.values()) or not recovery.settle_copied(now):
            return False
        for mailing_id in list(_under_way(copy, now).values_list("pk", flat=True)):
            if not _call_unconfirmed(mailing_id, copy.held_since, now):
                return False
    for catch_up in CATCH_UPS.values():
        catch_up(copy.raised_at)
    return identity.release(now)


def _call_unconfirmed(mailing_id: int, held_since: dt.datetime, now: dt.datetime) -> bool:
    while True:
        with transaction.atomic():
            # If another worker was first, messages queued since then are this installation's own.
            if not Installation.objects.select_for_update().filter(held_since=held_since).exists():
                return False
            if not outbox_mailings.call_unconfirmed(mailing_id, REASON, held_since, now):
                return True
