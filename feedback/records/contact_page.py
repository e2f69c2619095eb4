"""The feedback section of the contact page."""

import datetime as dt

from django.db.models import Q
from django.http import HttpRequest
from django.utils.translation import gettext as _

from contacts.models import Contact
from contacts.privacy.contact_page import Section
from feedback.models import Feedback

SHOWN = 50


def feedback_of(contact: Contact, request: HttpRequest, now: dt.datetime) -> Section | None:
    """Return the section with the person's feedback, newest first."""
    if not request.user.has_perm("feedback.view_feedback"):
        return None
    rows = Feedback.objects.filter(Q(message__contact=contact) | Q(email=contact.email))
    found = list(
        rows.select_related("message__mailing", "relay")
        .prefetch_related("reports")
        .order_by("-received_at", "-pk")[: SHOWN + 1]
    )
    return Section(
        "feedback",
        _("Feedback"),
        "feedback/story.html",
        {
            "found": found[:SHOWN],
            "has_more": len(found) > SHOWN,
            "contact": contact,
            "may_see_reports": request.user.has_perm("feedback.view_report"),
        },
    )
