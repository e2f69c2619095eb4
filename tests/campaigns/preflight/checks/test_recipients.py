"""The checks of the people who would get a campaign: addresses that got no mail for long."""

import datetime as dt
from typing import Any

import pytest

from campaigns.models import Campaign
from campaigns.preflight.review import review
from contacts.models import Contact
from delivery.models import Mailing, Message
from tests.campaigns.gate import NOW, of, told

pytestmark = pytest.mark.django_db
YEAR = dt.timedelta(days=365)


def mailed(email: str, ago: dt.timedelta, status: str = "accepted") -> None:
    mailing = Mailing.objects.create(stream="campaign", name="Old", subject="Old", created_at=NOW - ago)
    Message.objects.create(mailing=mailing, email=email, email_key=email, status=status, changed_at=NOW - ago)


def test_people_without_mail_for_a_year_are_counted(relayed: Campaign, settings: Any) -> None:
    assert told(relayed, "C4") == []  # All are new.
    Contact.objects.update(created_at=NOW - YEAR - dt.timedelta(days=1))
    mailed("ann@example.com", dt.timedelta(days=364))
    mailed("bea@example.com", dt.timedelta(days=366))
    mailed("cleo@example.com", dt.timedelta(days=1), status="failed")

    [finding] = of(review(relayed, NOW + dt.timedelta(minutes=11)), "C4")

    assert (finding.severity.value, finding.sentence) == ("warn", "2 people got no mail from you for 12 months.")
    settings.RETAIN_MESSAGES_MONTHS = 11  # Older messages are gone.
    assert told(relayed, "C4", NOW + dt.timedelta(minutes=11)) == []
