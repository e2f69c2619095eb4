"""The section with a person's messages on the contact page, which does not know delivery."""

import datetime as dt

from django.db.models import Q
from django.http import HttpRequest
from django.utils.translation import gettext as _

from contacts.models import Contact
from contacts.privacy.contact_page import Section
from delivery.models import Message
from delivery.records import figures

SHOWN = 20


def messages_of(contact: Contact, request: HttpRequest, now: dt.datetime) -> Section | None:
    """Return the person's messages, newest first, a page at a time."""
    if not request.user.has_perm("delivery.view_message"):
        return None
    rows = Message.objects.filter(Q(contact=contact) | Q(email_key=contact.email_key))
    before = request.GET.get("messages_before", "")
    if before.isdecimal() and len(before) < 19:
        rows = rows.filter(pk__lt=int(before))
    else:
        before = ""
    # One more than shown, to see whether there are others.
    found = list(rows.select_related("mailing", "server").order_by("-pk")[: SHOWN + 1])
    figures.show_claimed(found)
    next_before = found[SHOWN - 1].pk if len(found) > SHOWN else None
    return Section(
        "messages",
        _("Messages"),
        "delivery/story.html",
        {"found": found[:SHOWN], "next_before": next_before, "before": before, "contact": contact},
    )
