"""Notices about mailboxes, once for each event."""

import datetime as dt

import pytest
from django.conf import settings as django_settings

from delivery.models import Message, Notice
from feedback.mailboxes.notices import notice
from feedback.models import Mailbox
from tests.feedback.mailboxes.conftest import NOW

HALF_AN_HOUR = dt.timedelta(minutes=30)
MINUTE = dt.timedelta(minutes=1)


@pytest.fixture
def mailbox(db: None, settings: object, monkeypatch: pytest.MonkeyPatch) -> Mailbox:
    monkeypatch.setattr("feedback.mailboxes.notices.watchers", lambda: ["boss@shop.example.net"])
    return Mailbox.objects.create(name="Bounces", host="imap.example.org", username="ann")


def subjects() -> list[str]:
    return list(Notice.objects.order_by("pk").values_list("mailing__subject", flat=True))


def test_a_lasting_failure_is_told_once_with_its_reason_and_the_next_one_again(mailbox: Mailbox) -> None:
    failing = Mailbox.objects.filter(pk=mailbox.pk)
    failing.update(failures=5, failing_since=NOW, last_error="Sign-in refused.")

    assert notice(NOW + HALF_AN_HOUR) == 0
    assert notice(NOW + HALF_AN_HOUR + MINUTE) == 1
    assert notice(NOW + 2 * HALF_AN_HOUR) == 0
    failing.update(failing_since=NOW + 3 * HALF_AN_HOUR)
    assert notice(NOW + 5 * HALF_AN_HOUR) == 1

    assert subjects() == ["Bounces can’t be read"] * 2
    text = Notice.objects.earliest("pk").mailing.text
    assert "Sign-in refused." in text
    assert f"{django_settings.BASE_URL}/admin/feedback/mailbox/{mailbox.pk}/change/" in text
    assert set(Message.objects.values_list("email", flat=True)) == {"boss@shop.example.net"}


@pytest.mark.parametrize(("seen", "foreign", "told"), [(49, 49, 0), (50, 25, 0), (50, 26, 1), (9_000, 8_000, 1)])
def test_a_mailbox_of_mostly_foreign_mail_is_told_once(mailbox: Mailbox, seen: int, foreign: int, told: int) -> None:
    Mailbox.objects.update(mail_count=seen, foreign_count=foreign)

    assert notice(NOW) == told
    assert notice(NOW + dt.timedelta(days=9)) == 0
    assert subjects() == ["Bounces is not a bounce mailbox"] * told


def test_a_mailbox_that_is_switched_off_is_nobodys_business(mailbox: Mailbox) -> None:
    Mailbox.objects.update(is_active=False, failing_since=NOW, mail_count=99, foreign_count=99)

    assert notice(NOW + dt.timedelta(days=1)) == 0
