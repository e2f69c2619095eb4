"""The opens and clicks of a person on the contact page: what people did is told plainly, and programs quietly."""

import datetime as dt
from collections.abc import Sequence

from django.db.models import Min
from django.http import HttpRequest
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from contacts.consent import tracking
from contacts.models import Contact
from contacts.privacy.contact_page import Section
from feedback.models import Visit
from feedback.records.visits import opens_by_click
from mail.visits.names import REASON_TITLES, VISITOR_TITLES, Kind, Visitor
from words.texts import translated

KINDS = {Kind.OPEN.value: tracking.FIELDS[tracking.OPENS], Kind.CLICK.value: tracking.FIELDS[tracking.CLICKS]}
SHOWN = 20
MOST_WORDS = 100  # Characters of what a link says, or of its address.
LARGEST = 2**63 - 1


def visits_of(contact: Contact, request: HttpRequest, now: dt.datetime) -> Section | None:
    """Return the person's opens and clicks, newest first, a page at a time.

    Only people who agree to be counted by name have any here; whoever took that back is no longer named.
    """
    if not request.user.has_perm("feedback.view_feedback"):
        return None
    agreed = {field for field in KINDS.values() if getattr(contact, field) == tracking.YES}
    kinds = [kind for kind, field in KINDS.items() if field in agreed]
    rows = Visit.objects.filter(message__contact=contact, message__copy_of=None, kind__in=kinds)
    before = request.GET.get("visits_before", "")
    if before.isascii() and before.isdecimal() and int(before[:20]) <= LARGEST:
        rows = rows.filter(pk__lt=int(before[:20]))
    else:
        before = ""
    # One more than shown, to see whether there are others.
    found = list(
        rows.select_related("message__mailing", "link").prefetch_related("link__targets").order_by("-pk")[: SHOWN + 1]
    )
    proofs = _proofs_of_opens(found[:SHOWN]) if KINDS[Kind.OPEN] in agreed else set()
    shown = [
        {"at": visit.at, "told": _told(visit), "aside": _aside(visit), "is_proof": visit.pk in proofs}
        for visit in found[:SHOWN]
    ]
    next_before = found[SHOWN - 1].pk if len(found) > SHOWN else None
    return Section(
        "visits",
        _("Opens and clicks"),
        "feedback/visit_story.html",
        {"found": shown, "next_before": next_before, "before": before, "contact": contact},
    )


def _proofs_of_opens(visits: Sequence[Visit]) -> set[int]:
    """Return those of the visits that are the first click of a message whose open is only known by it."""
    messages = {visit.message_id for visit in visits if (visit.kind, visit.visitor) == (Kind.CLICK, Visitor.HUMAN)}
    inferred = opens_by_click().filter(message__in=messages).values("message")
    clicks = Visit.objects.filter(message__in=inferred, kind=Kind.CLICK.value, visitor=Visitor.HUMAN.value)
    return set(clicks.order_by().values("message").annotate(first=Min("pk")).values_list("first", flat=True))


def _told(visit: Visit) -> str:
    facts: dict[str, object] = {"mailing": visit.message.mailing.name}
    if visit.kind == Kind.OPEN:
        return _("Opened %(mailing)s (estimate)") % facts
    if visit.link is None:
        return _("Clicked %(mailing)s") % facts
    words = Truncator(visit.link.words).chars(MOST_WORDS)
    facts |= {"number": visit.link.position, "label": words}
    if visit.link.is_in_text:
        if words:
            return _("Clicked %(mailing)s (text link %(number)s: %(label)s)") % facts
        return _("Clicked %(mailing)s (text link %(number)s)") % facts
    if words:
        return _("Clicked %(mailing)s (link %(number)s: %(label)s)") % facts
    return _("Clicked %(mailing)s (link %(number)s)") % facts


def _aside(visit: Visit) -> str:
    """Return who it was, and why that is thought, unless it was the person; visits are kept longer than names."""
    if visit.visitor == Visitor.HUMAN:
        return ""
    who = {each.value: translated(title) for each, title in VISITOR_TITLES.items()}.get(visit.visitor, visit.visitor)
    why = {each.value: translated(title) for each, title in REASON_TITLES.items()}.get(visit.reason, visit.reason)
    return f"{who}: {why}"
