"""Notices about mailboxes: one that can't be read for long, and one that is a person's."""

import datetime as dt

from django.conf import settings
from django.db.models import F
from django.urls import reverse

from delivery.models import Notice
from delivery.operators.notice_words import words_for
from delivery.operators.notices import tell, watchers
from feedback.models import Mailbox
from installation.site import site

LASTS = dt.timedelta(minutes=30)  # A shorter failure is nobody's business.
ENOUGH_MAILS = 50  # From this many on, most of them foreign says something.


def notice(now: dt.datetime) -> int:
    """Queue notices of all events that were not told yet, and return their number."""
    words = words_for(site().language)
    active = Mailbox.objects.filter(is_active=True)
    count = 0
    for mailbox in active.filter(failing_since__lt=now - LASTS):
        assert mailbox.failing_since is not None
        key = f"mailbox {mailbox.pk} {mailbox.failing_since:%Y-%m-%dT%H:%M:%S.%f}"
        text = words.mailbox_failing.format(mailbox=mailbox.name, reason=" ".join(mailbox.last_error.split()))
        count += _tell(mailbox, key, words.mailbox_failing_subject.format(mailbox=mailbox.name), text, now)
    # In a mailbox for tests, foreign mail is expected.
    for mailbox in active.filter(authserv_id="", mail_count__gte=ENOUGH_MAILS, foreign_count__gt=F("mail_count") / 2):
        text = words.mailbox_foreign.format(mailbox=mailbox.name, number=f"{mailbox.mail_count:,}")
        key = f"mailbox {mailbox.pk} is foreign"
        count += _tell(mailbox, key, words.mailbox_foreign_subject.format(mailbox=mailbox.name), text, now)
    return count


def _tell(mailbox: Mailbox, key: str, subject: str, text: str, now: dt.datetime) -> int:
    page = settings.BASE_URL + reverse("admin:feedback_mailbox_change", args=[mailbox.pk])
    closing = words_for(site().language).mailbox_page.format(url=page)
    return tell(Notice.Kind.MAILBOX, key, subject, [text, closing], watchers(), now)
