"""Notices about DKIM keys: the next pair two weeks before, a wrong record, and a key that stopped, each told once."""

import datetime as dt

import pytest

from delivery.models import Mailing
from delivery.operators import key_notices
from domains.keys import lifecycle
from domains.keys.dns_check import Seen
from domains.models import DkimKey
from installation.models import SiteSettings
from tests.domains.keys.making import make_signing

NOW = dt.datetime(2026, 11, 30, 23, 50, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
WRONG = Seen(fault="dkim-missing", sentence="There is no key.")
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("saved_settings")]


@pytest.fixture(autouse=True)
def ready(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("domains.keys.pair.RSA_BITS", 1024)
    SiteSettings.objects.create(pk=1, alert_address="ops@shop.example")


def last() -> Mailing:
    return Mailing.objects.filter(stream="notice").latest("pk")


def test_the_next_pair_is_told_with_its_records_and_again_when_it_is_due() -> None:
    rsa, _ed25519 = make_signing("shop.example", NOW)
    lifecycle.advance(rsa.domain_id, NOW + 165 * DAY)
    assert key_notices.notice(NOW + 165 * DAY) == 0
    lifecycle.advance(rsa.domain_id, NOW + 166 * DAY)

    assert [key_notices.notice(NOW + days * DAY) for days in (166, 170, 180, 185)] == [1, 0, 1, 0]

    new = DkimKey.objects.filter(state="made")
    assert last().subject == "shop.example: DNS needs a look"
    assert "are replaced on 29 May 2027. Publish these records before:" in last().text
    for key in new:
        assert f"{key.selector}._domainkey.shop.example. IN TXT" in last().text
    assert f"/admin/domains/sendingdomain/{rsa.domain_id}/change/" in last().text


def test_a_wrong_record_and_the_end_of_its_signatures_are_told_once() -> None:
    rsa, _ed25519 = make_signing("shop.example", NOW)
    assert key_notices.notice(NOW) == 0
    lifecycle.note(rsa.pk, WRONG, NOW + DAY)

    assert [key_notices.notice(NOW + DAY), key_notices.notice(NOW + DAY)] == [1, 0]
    assert f"The DKIM record {rsa.selector}._domainkey.shop.example is wrong. There is no key." in last().text

    lifecycle.note(rsa.pk, WRONG, NOW + 2 * DAY)
    lifecycle.advance(rsa.domain_id, NOW + 2 * DAY)
    assert [key_notices.notice(NOW + 2 * DAY), key_notices.notice(NOW + 3 * DAY)] == [1, 0]
    assert "so its key stopped signing" in last().text


def test_the_notice_is_in_the_language_of_the_site() -> None:
    SiteSettings.objects.get().delete()
    SiteSettings.objects.create(pk=1, alert_address="ops@shop.example", language="de")
    rsa, _ed25519 = make_signing("shop.example", NOW)
    lifecycle.note(rsa.pk, WRONG, NOW + DAY)

    key_notices.notice(NOW + DAY)

    assert "Bleibt er 24 Stunden lang falsch, signiert sein Schlüssel nicht mehr." in last().text
