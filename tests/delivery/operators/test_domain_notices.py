"""What operators are told of the DNS of sending domains, and that they are told once."""

import datetime as dt

import pytest
from django.contrib.auth import get_user_model

from delivery.models import Mailing, Message
from delivery.operators import notices
from domains.models import DnsChange, SendingDomain
from installation.models import SiteSettings

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("saved_settings")]
NOW = dt.datetime(2026, 11, 30, 23, 50, tzinfo=dt.UTC)


def change(
    domain: SendingDomain, line: str, before: str, after: str, at: dt.datetime = NOW, told: bool = False
) -> None:
    sentence = f"{line} is wrong. {{{{ first_name }}}}" if after == "broken" else "Fine."
    DnsChange.objects.create(
        domain=domain, line=line, before=before, after=after, sentence=sentence, changed_at=at, is_told=told
    )


def test_what_one_look_found_is_one_notice_with_a_line_for_each_change() -> None:
    SiteSettings.objects.create(pk=1, alert_address="ops@shop.example")
    shop = SendingDomain.objects.create(name="xn--bcher-kva.example")
    other = SendingDomain.objects.create(name="other.example")
    change(shop, "spf", "good", "broken")
    change(shop, "dmarc", "broken", "good")
    change(shop, "mx", "good", "good", told=True)
    change(other, "spf", "look", "broken")

    assert notices.notice(NOW) == 2
    assert notices.notice(NOW) == 0

    second, first = Mailing.objects.filter(stream="notice").order_by("pk")
    assert (first.subject, second.subject) == ("bücher.example: DNS needs a look", "other.example: DNS needs a look")
    assert "SPF: spf is wrong." in first.text
    assert "DMARC is good again." in first.text
    assert "MX" not in first.text
    assert f"/admin/domains/sendingdomain/{shop.pk}/change/" in first.text
    assert Message.objects.filter(email="ops@shop.example").count() == 2
    assert not DnsChange.objects.filter(is_told=False).exists()


def test_more_changes_than_one_round_tells_of_are_told_whole_in_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notices, "LOOKS_AT_ONCE", 3)
    SiteSettings.objects.create(pk=1, alert_address="ops@shop.example")
    for number in range(5):
        domain = SendingDomain.objects.create(name=f"shop{number}.example")
        for line in ("spf", "dmarc", "mx"):
            change(domain, line, "good", "broken", NOW + dt.timedelta(seconds=number))

    assert [notices.notice(NOW) for _ in range(3)] == [3, 2, 0]

    texts = list(Mailing.objects.filter(stream="notice").values_list("text", flat=True))
    assert [text.count(" is wrong.") for text in texts] == [3] * 5
    assert not DnsChange.objects.filter(is_told=False).exists()


def test_the_notice_is_in_the_language_of_the_site_and_goes_to_administrators() -> None:
    get_user_model().objects.create_superuser("boss", "boss@shop.example")
    SiteSettings.objects.create(pk=1, language="de")
    change(SendingDomain.objects.create(name="shop.example"), "spf", "broken", "good")

    notices.notice(NOW)

    mailing = Mailing.objects.get(stream="notice")
    assert mailing.subject == "shop.example: DNS prüfen"
    assert "SPF ist wieder in Ordnung." in mailing.text
    assert Message.objects.get(mailing=mailing).email == "boss@shop.example"


def test_without_anybody_to_tell_a_change_waits_for_a_day() -> None:
    change(SendingDomain.objects.create(name="shop.example"), "spf", "good", "broken")

    assert notices.notice(NOW) == 0
    assert DnsChange.objects.filter(is_told=False).exists()
    assert notices.notice(NOW + dt.timedelta(days=1, seconds=1)) == 0

    assert not DnsChange.objects.filter(is_told=False).exists()
