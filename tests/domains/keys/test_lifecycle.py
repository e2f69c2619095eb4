"""The life of keys by the clock: two good checks, the daily one, a wrong record, rotation, rest and revocation."""

import datetime as dt
import re
from collections.abc import Iterator

import pytest
from django.test import override_settings

from domains.keys import lifecycle
from domains.keys.dns_check import Seen
from domains.keys.publication import of_key
from domains.keys.signers import obstacles, signing_for
from domains.models import DkimKey, SendingDomain
from mail.records.finding import Record

NOW = dt.datetime(2026, 11, 30, 23, 50, tzinfo=dt.UTC)
MINUTE, HOUR, DAY = dt.timedelta(minutes=1), dt.timedelta(hours=1), dt.timedelta(days=1)
State = DkimKey.State
pytestmark = pytest.mark.django_db


class Dns:
    """Has every record that was published."""

    def __init__(self) -> None:
        self.published: dict[str, str] = {}
        self.asked: list[str] = []
        self.is_from_cache, self.ttl_seconds, self.is_silent = False, 60, False

    def publish(self, *keys: DkimKey) -> None:
        self.published |= {key.selector: key.record for key in keys}

    def __call__(self, record: Record) -> Seen:
        selector = record.name.partition(".")[0]
        self.asked.append(selector)
        if self.is_silent:
            return Seen(is_answered=False, sentence="no answer in time")
        found = self.published.get(selector)
        fault = "dkim-missing" if found is None else "dkim-revoked" if not found else ""
        if found and found != record.value:
            fault = "dkim-other-key"
        return Seen(fault=fault, is_from_cache=self.is_from_cache, ttl_seconds=self.ttl_seconds)


@pytest.fixture(autouse=True)
def quick_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small keys: half a second each for real ones would be most of these tests."""
    monkeypatch.setattr("domains.keys.pair.RSA_BITS", 1024)


@pytest.fixture
def dns() -> Dns:
    return Dns()


@pytest.fixture
def domain() -> Iterator[SendingDomain]:
    with override_settings(DNS_RESOLVERS=["127.0.0.1#1"]):  # So that a domain for examples is asked for.
        yield SendingDomain.objects.create(name="shop.example")


def keep(dns: Dns, now: dt.datetime) -> int:
    return lifecycle.keep(dns, lambda: now, lambda: False)  # type: ignore[arg-type]


def pair(domain: SendingDomain, state: str = "") -> list[DkimKey]:
    found = domain.dkim_keys.order_by("-made_at", "-algorithm")
    return list(found.filter(state=state) if state else found)


def states(domain: SendingDomain) -> list[str]:
    return [f"{key.algorithm} {key.state}" for key in pair(domain)]


def signing(domain: SendingDomain, dns: Dns, now: dt.datetime = NOW) -> list[DkimKey]:
    lifecycle.make_pair(domain.pk, now)
    dns.publish(*pair(domain, State.MADE))
    keep(dns, now)
    keep(dns, now + 10 * MINUTE)
    return pair(domain, State.SIGNING)


def test_a_pair_has_selectors_that_no_other_pair_meets(domain: SendingDomain) -> None:
    assert lifecycle.make_pair(domain.pk, NOW)
    assert not lifecycle.make_pair(domain.pk, NOW)  # One waits already.

    rsa, ed25519 = pair(domain)
    assert re.fullmatch(r"br2611[a-z]{3}r", rsa.selector)
    assert ed25519.selector == rsa.selector[:-1] + "e"
    assert str(of_key(rsa).record).startswith(f'{rsa.selector}._domainkey.shop.example. IN TXT "v=DKIM1; k=rsa; p=')
    assert of_key(rsa).host == f"{rsa.selector}._domainkey"


def test_signing_begins_with_the_second_good_check_ten_minutes_later(domain: SendingDomain, dns: Dns) -> None:
    lifecycle.make_pair(domain.pk, NOW)
    keep(dns, NOW)
    assert states(domain) == ["rsa made", "ed25519 made"]
    dns.publish(*pair(domain))

    keep(dns, NOW + 10 * MINUTE)
    assert states(domain) == ["rsa seen", "ed25519 seen"]
    assert keep(dns, NOW + 19 * MINUTE) == 0
    assert signing_for("shop.example").signer is None

    keep(dns, NOW + 20 * MINUTE)
    assert states(domain) == ["rsa signing", "ed25519 signing"]
    assert signing_for("news.shop.example").signer is not None
    assert signing_for("workshop.example").why_not == "has no DKIM key for workshop.example that DNS confirms"


def test_a_wrong_check_in_between_begins_again(domain: SendingDomain, dns: Dns) -> None:
    lifecycle.make_pair(domain.pk, NOW)
    dns.publish(*pair(domain))
    keep(dns, NOW)
    dns.published.clear()
    keep(dns, NOW + 10 * MINUTE)
    dns.publish(*pair(domain))

    keep(dns, NOW + 20 * MINUTE)
    assert states(domain) == ["rsa seen", "ed25519 seen"]
    keep(dns, NOW + 30 * MINUTE)
    assert states(domain) == ["rsa signing", "ed25519 signing"]


def test_trouble_of_a_resolver_changes_nothing(domain: SendingDomain, dns: Dns) -> None:
    signing(domain, dns)
    dns.is_silent = True

    for days in range(1, 5):
        keep(dns, NOW + days * DAY)

    assert states(domain) == ["rsa signing", "ed25519 signing"]
    assert {key.unanswered for key in pair(domain)} == {"no answer in time"}


def test_where_only_a_resolver_answers_the_second_check_waits_for_its_memory(domain: SendingDomain, dns: Dns) -> None:
    dns.is_from_cache, dns.ttl_seconds = True, 3600
    lifecycle.make_pair(domain.pk, NOW)
    dns.publish(*pair(domain))
    keep(dns, NOW)

    assert keep(dns, NOW + 59 * MINUTE) == 0
    keep(dns, NOW + 60 * MINUTE)

    assert states(domain) == ["rsa signing", "ed25519 signing"]


def test_ed25519_never_signs_alone(domain: SendingDomain, dns: Dns) -> None:
    lifecycle.make_pair(domain.pk, NOW)
    rsa, ed25519 = pair(domain)
    dns.publish(ed25519)
    for minutes in (0, 10, 20):
        keep(dns, NOW + minutes * MINUTE)
    assert states(domain) == ["rsa made", "ed25519 seen"]
    assert signing_for("shop.example").signer is None

    dns.publish(rsa)
    for minutes in (30, 40):
        keep(dns, NOW + minutes * MINUTE)

    assert states(domain) == ["rsa signing", "ed25519 signing"]


def test_a_record_that_stays_wrong_for_a_day_stops_the_key_until_it_is_good_again(
    domain: SendingDomain, dns: Dns
) -> None:
    rsa, _ed25519 = signing(domain, dns)
    del dns.published[rsa.selector]
    keep(dns, NOW + 2 * DAY)
    keep(dns, NOW + 2 * DAY + 23 * HOUR)
    assert states(domain) == ["rsa signing", "ed25519 signing"]

    keep(dns, NOW + 3 * DAY)
    assert states(domain) == ["rsa made", "ed25519 seen"]
    assert obstacles()("shop.example") == "has no DKIM key for shop.example that DNS confirms"

    dns.publish(rsa)
    keep(dns, NOW + 3 * DAY + HOUR)
    keep(dns, NOW + 3 * DAY + HOUR + 10 * MINUTE)
    assert states(domain) == ["rsa signing", "ed25519 signing"]


def test_keys_rotate_every_half_year_and_the_old_ones_rest(domain: SendingDomain, dns: Dns) -> None:
    old = signing(domain, dns)
    started = NOW + 10 * MINUTE
    keep(dns, started + 165 * DAY)
    assert len(pair(domain)) == 2

    keep(dns, started + 166 * DAY)
    new = pair(domain, State.MADE)
    assert [key.starts_at for key in new] == [started + 180 * DAY] * 2
    dns.publish(*new)
    for minutes in (0, 10, 20):
        keep(dns, started + 170 * DAY + minutes * MINUTE)
    assert [key.state for key in pair(domain)] == ["seen", "seen", "signing", "signing"]

    keep(dns, started + 180 * DAY)
    assert [key.state for key in pair(domain)] == ["signing", "signing", "resting", "resting"]
    assert {key.private.reveal(key.destination)[:10] for key in pair(domain, State.RESTING)} == {"-----BEGIN"}

    keep(dns, started + 187 * DAY)
    gone = pair(domain, State.REVOKED)
    assert {key.selector for key in gone} == {key.selector for key in old}
    assert not any(key.private for key in gone)
    assert of_key(gone[0]).record.value == "v=DKIM1; k=rsa; p="


def test_a_rotation_waits_for_dns_and_the_old_pair_goes_on(domain: SendingDomain, dns: Dns) -> None:
    signing(domain, dns)
    keep(dns, NOW + 167 * DAY)

    keep(dns, NOW + 200 * DAY)

    assert [key.state for key in pair(domain)] == ["made", "made", "signing", "signing"]


def test_revoking_deletes_all_private_halves_and_makes_a_pair_at_once(
    domain: SendingDomain, dns: Dns, monkeypatch: pytest.MonkeyPatch
) -> None:
    signing(domain, dns)
    told: list[str] = []
    monkeypatch.setitem(lifecycle.WATCHERS, "test", lambda: told.append("other keys"))

    assert lifecycle.revoke_all(domain.pk, NOW + DAY)

    assert [key.state for key in pair(domain)] == ["made", "made", "revoked", "revoked"]
    assert not any(key.private for key in pair(domain, State.REVOKED))
    assert told == ["other keys"]
    assert signing_for("shop.example").signer is None


def test_the_records_of_revoked_keys_are_watched_until_they_are_gone(domain: SendingDomain, dns: Dns) -> None:
    rsa, ed25519 = signing(domain, dns)
    lifecycle.revoke_all(domain.pk, NOW + DAY)
    dns.published[rsa.selector] = ""
    del dns.published[ed25519.selector]

    keep(dns, NOW + 2 * DAY)

    rsa.refresh_from_db()
    ed25519.refresh_from_db()
    assert (rsa.fault, rsa.next_check_at) == ("dkim-revoked", NOW + 3 * DAY)
    assert (ed25519.fault, ed25519.next_check_at) == ("dkim-missing", None)


def test_when_other_keys_sign_the_findings_are_asked_for_again(domain: SendingDomain, dns: Dns) -> None:
    for name in ("news.shop.example", "workshop.example"):
        SendingDomain.objects.create(name=name)
    SendingDomain.objects.update(next_check_at=NOW + 5 * DAY)

    signing(domain, dns)

    due = SendingDomain.objects.filter(next_check_at__lte=NOW + DAY).order_by("name")
    assert [each.name for each in due] == ["news.shop.example", "shop.example"]
    SendingDomain.objects.update(next_check_at=NOW + 5 * DAY)
    lifecycle.revoke_all(domain.pk, NOW + DAY)
    assert due.count() == 2


def test_ask_again_checks_every_record_but_those_that_are_gone(domain: SendingDomain, dns: Dns) -> None:
    signing(domain, dns)
    lifecycle.revoke_all(domain.pk, NOW + DAY)
    gone = pair(domain, State.REVOKED)[0]
    DkimKey.objects.filter(pk=gone.pk).update(next_check_at=None)
    dns.asked.clear()
    keep(dns, NOW + DAY)

    lifecycle.ask_again(domain, NOW + DAY + MINUTE)

    assert keep(dns, NOW + DAY + MINUTE) == 3
    assert gone.selector not in dns.asked


@override_settings(DKIM_ZONE="dkim.house.example")
def test_with_a_zone_of_ours_two_fixed_names_are_used_in_turn(domain: SendingDomain, dns: Dns) -> None:
    names = []
    for half_year in range(4):
        names += [key.selector for key in signing(domain, dns, NOW + half_year * 180 * DAY)[:1]]
        keep(dns, NOW + (half_year * 180 + 8) * DAY)
    first = of_key(pair(domain)[-2])

    assert names == ["br1r", "br2r", "br1r", "br2r"]
    # Of the replaced keys, those whose name is in use again are asked for no more.
    watched = [key.made_at for key in pair(domain, State.REVOKED) if key.next_check_at]
    assert set(watched) == {NOW + 360 * DAY}
    assert first.record.name == "br1r.shop.example.dkim.house.example"
    assert str(first.alias) == "br1r._domainkey.shop.example. IN CNAME br1r.shop.example.dkim.house.example."


@override_settings(DKIM_ZONE="dkim.house.example")
def test_a_third_pair_within_a_week_has_a_name_of_its_own(domain: SendingDomain, dns: Dns) -> None:
    signing(domain, dns)
    signing(domain, dns, NOW + DAY)

    lifecycle.make_pair(domain.pk, NOW + 2 * DAY)

    assert pair(domain)[0].selector.startswith("br2612")
    assert of_key(pair(domain)[0]).alias is None


def test_a_copy_that_waits_makes_and_replaces_no_key(
    domain: SendingDomain, dns: Dns, monkeypatch: pytest.MonkeyPatch
) -> None:
    signing(domain, dns)
    monkeypatch.setitem(lifecycle.HOLDS, "test", lambda now: "This database is a copy.")

    with pytest.raises(lifecycle.KeysHeld, match=r"This database is a copy\."):
        lifecycle.make_pair(domain.pk, NOW)
    with pytest.raises(lifecycle.KeysHeld):
        lifecycle.revoke_all(domain.pk, NOW)
    assert keep(dns, NOW + 180 * DAY) == 0
    assert states(domain) == ["rsa signing", "ed25519 signing"]


def test_a_private_half_of_another_domain_or_of_other_keys_signs_nothing(domain: SendingDomain, dns: Dns) -> None:
    rsa, ed25519 = signing(domain, dns)
    other = SendingDomain.objects.create(name="other.example")
    DkimKey.objects.filter(pk__in=[rsa.pk, ed25519.pk]).update(domain=other)

    assert signing_for("other.example").why_not == "can't decrypt the DKIM key of other.example"
    assert obstacles()("other.example") == "can't decrypt the DKIM key of other.example"

    DkimKey.objects.filter(pk__in=[rsa.pk, ed25519.pk]).update(domain=domain)
    assert obstacles()("shop.example") == ""
    with override_settings(FIELD_ENCRYPTION_KEYS=["M1ZQcTBCVnFSbmhCd3pMWUtPb1VQZ2hLeVdRTHp3V00="]):
        assert obstacles()("shop.example") == "can't decrypt the DKIM key of shop.example"
        assert signing_for("shop.example").signer is None
