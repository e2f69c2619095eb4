"""Signatures through a real worker: both verify, mail waits where it must, and keys change under a running campaign."""

import asyncio
import contextlib
import datetime as dt
import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import override_settings
from django.utils import timezone

from delivery.content.signatures import Signatures
from delivery.models import Attempt, Mailing, Message
from delivery.outbox.transactional import send_single
from delivery.outcomes import results
from delivery.records import figures
from delivery.worker.drain import drain
from domains.keys import lifecycle
from domains.keys.dns_check import Seen
from domains.models import DkimKey, SendingDomain
from mail.records.finding import Record
from smtpservers.models import QuotaPeriod
from tests.delivery.making import make_list, make_mailing, make_server
from tests.domains.keys.making import make_signing, published, selectors, start
from tests.harness.workers import Worker
from tests.peers.peer import Peer, running_peer

pytestmark = pytest.mark.django_db(transaction=True)
OTHER_KEYS = ["M1ZQcTBCVnFSbmhCd3pMWUtPb1VQZ2hLeVdRTHp3V00="]
DAY = dt.timedelta(days=1)


@pytest.fixture(autouse=True)
def small_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("domains.keys.pair.RSA_BITS", 1024)


def run(seconds: float = 20, clock: Callable[[], dt.datetime] = timezone.now, idle_seconds: float = 0.2) -> None:
    """Send as a worker does."""
    asyncio.run(drain(seconds, clock=clock, idle_seconds=idle_seconds, signer_for=Signatures().signer_for))
    results.finish_mailings(clock())


def signed_by(peer: Peer) -> list[list[str]]:
    records = published()
    return [selectors(content, records) for _number, content in peer.bodies]


def test_every_message_has_two_signatures_that_verify(tmp_path: Path) -> None:
    rsa, ed25519 = make_signing("shop.example", timezone.now())
    with running_peer(tmp_path) as peer:
        make_server(peer.port, dkim="brilliance", preset="sendgrid", max_connections=5)
        make_mailing(make_list(40))

        run()

        assert signed_by(peer) == [[rsa.selector, ed25519.selector]] * 40  # RSA on top.
        content = peer.bodies[0][1]
        assert content.startswith(b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=shop.example;\r\n")
        assert b"\r\nX-SMTPAPI:" in content  # Added before, and not covered.
        assert b"x-smtpapi" not in content.partition(b"bh=")[0]


def test_messages_that_are_made_in_the_background_are_signed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("delivery.worker.composer_cache.SLOW_SECONDS", 0.0)  # As if each took its time.
    rsa, ed25519 = make_signing("shop.example", timezone.now())
    with running_peer(tmp_path) as peer:
        make_server(peer.port, dkim="brilliance", mail_bcc="archive@shop.example")
        make_mailing(make_list(8))

        run()

        assert signed_by(peer) == [[rsa.selector, ed25519.selector]] * 16  # The copies too.


def test_a_subdomain_is_signed_with_the_keys_of_its_longest_parent(tmp_path: Path) -> None:
    make_signing("example", timezone.now())
    make_signing("shop.example", timezone.now())
    with running_peer(tmp_path) as peer:
        make_server(peer.port, dkim="brilliance", mail_from="News <a@news.shop.example>")
        make_mailing(make_list(1))

        run()

        assert b" d=shop.example;" in peer.bodies[0][1]
        assert signed_by(peer)


def test_without_a_key_mail_waits_and_nothing_is_used(tmp_path: Path) -> None:
    with running_peer(tmp_path) as peer:
        make_server(peer.port, dkim="brilliance", max_per_month=100)
        mailing = make_mailing(make_list(7))
        password = send_single(to="ann@customer.example", subject="Hi", html="<p>Hi</p>", now=timezone.now())

        run()

        assert peer.journal.events("connect") == []
        mailing.refresh_from_db()
        why = "has no DKIM key for shop.example that DNS confirms"
        assert why in mailing.waiting_reason
        assert why in Mailing.objects.get(pk=password.mailing_id).waiting_reason
        assert figures.counts(mailing.pk)["queued"] == 7
        assert not Attempt.objects.exists()
        assert not QuotaPeriod.objects.exclude(used=0, reserved=0).exists()

        make_signing("shop.example", timezone.now())
        run()

        mailing.refresh_from_db()
        assert (mailing.waiting_reason, figures.counts(mailing.pk)["accepted"]) == ("", 7)
        assert len(signed_by(peer)) == 8


def test_another_server_whose_provider_signs_takes_over(tmp_path: Path) -> None:
    with running_peer(tmp_path) as ours, running_peer(tmp_path / "other") as theirs:
        make_server(ours.port, dkim="brilliance")
        make_server(theirs.port, "Beta")
        make_mailing(make_list(5))

        run()

        assert (len(ours.bodies), len(theirs.bodies)) == (0, 5)


def test_a_server_that_does_not_require_a_key_sends_unsigned(tmp_path: Path) -> None:
    with running_peer(tmp_path) as peer:
        make_server(peer.port, dkim="brilliance", requires_dkim=False)
        make_mailing(make_list(3))

        run()

        assert signed_by(peer) == [[]] * 3


def test_keys_of_a_backup_that_cannot_be_decrypted_make_mail_wait(tmp_path: Path) -> None:
    make_signing("shop.example", timezone.now())
    with running_peer(tmp_path) as peer, override_settings(FIELD_ENCRYPTION_KEYS=OTHER_KEYS):
        make_server(peer.port, dkim="brilliance")
        mailing = make_mailing(make_list(4))

        run()

        mailing.refresh_from_db()
        assert "can't decrypt the DKIM key of shop.example" in mailing.waiting_reason
        assert (peer.bodies, figures.counts(mailing.pk)["queued"]) == ([], 4)


def test_a_key_that_goes_between_plan_and_message_leaves_no_trace(tmp_path: Path) -> None:
    """The plan saw a key; it is gone when the first message is made."""
    make_signing("shop.example", timezone.now())
    signatures = Signatures()

    def signer_for(mailing: Mailing, server: Any) -> Any:
        DkimKey.objects.filter(state="signing").update(state="revoked", private="")
        return signatures.signer_for(mailing, server)

    with running_peer(tmp_path) as peer:
        make_server(peer.port, dkim="brilliance", max_per_month=10)
        mailing = make_mailing(make_list(3))

        asyncio.run(drain(20, clock=timezone.now, idle_seconds=0.2, signer_for=signer_for))

        assert peer.bodies == []
        assert figures.counts(mailing.pk)["queued"] == 3
        assert "has no DKIM key for shop.example" in Message.objects.filter(mailing=mailing)[0].reason
        assert not QuotaPeriod.objects.exclude(used=0, reserved=0).exists()


def test_revoking_in_the_middle_of_a_campaign_stops_the_old_keys_within_seconds(tmp_path: Path) -> None:
    old = make_signing("shop.example", timezone.now())
    records = published()
    revoked_at: list[float] = []
    dots: list[tuple[float, int]] = []

    def revoke(event: str, context: dict[str, Any]) -> bytes | None:
        if event == "dot":
            dots.append((time.monotonic(), len(dots)))
            time.sleep(0.03)
            if len(dots) == 10:
                with contextlib.closing(connection):
                    lifecycle.revoke_all(old[0].domain_id, timezone.now())
                revoked_at.append(time.monotonic())
        return None

    with running_peer(tmp_path, revoke) as peer:
        make_server(peer.port, dkim="brilliance", max_connections=2)
        mailing = make_mailing(make_list(200))

        run(15)

        late = [at for at, _number in dots if at > revoked_at[0] + 5]
        assert late == []
        counts = figures.counts(mailing.pk)
        assert counts["accepted"] == len(peer.bodies) < 200
        assert counts["queued"] == 200 - len(peer.bodies)
        mailing.refresh_from_db()
        assert "has no DKIM key for shop.example that DNS confirms" in mailing.waiting_reason

        first = len(peer.bodies)
        start(SendingDomain.objects.get(), timezone.now())
        run(30)

        assert figures.counts(mailing.pk)["accepted"] == 200
        assert all(selectors(content, records)[0] == old[0].selector for _n, content in peer.bodies[:first])
        fresh = published()
        assert all(selectors(content, fresh)[0] != old[0].selector for _n, content in peer.bodies[first:])


class _Dns:
    """What a person publishes: the next records a few days after they were asked for."""

    def __init__(self) -> None:
        self.records: dict[str, str] = {}

    def __call__(self, record: Record) -> Seen:
        found = self.records.get(record.name)
        return Seen(fault="" if found == record.value else "dkim-missing" if found is None else "dkim-other-key")


def days_of(half_years: int) -> list[int]:
    """Return the days to look at: each one from two weeks before a rotation to a week after it, and some others."""
    return [day for day in range(181 * half_years + 10) if day % 15 == 0 or (day + 15) % 180 < 25]


def test_three_half_years_of_rotation_leave_no_message_unsigned_or_unverifiable(tmp_path: Path) -> None:
    began = dt.datetime(2026, 11, 30, 9, tzinfo=dt.UTC)
    domain, dns = SendingDomain.objects.create(name="shop.example"), _Dns()
    lifecycle.make_pair(domain.pk, began)
    dns.records = published()
    sent: list[tuple[dt.datetime, bytes, dict[str, str]]] = []
    used: set[str] = set()

    with override_settings(DNS_RESOLVERS=["127.0.0.1#1"]), running_peer(tmp_path) as peer:
        make_server(peer.port, dkim="brilliance")
        for day in days_of(3):
            now = began + day * DAY
            for minutes in (0, 10, 20):
                lifecycle.keep(dns, lambda at=now + minutes * dt.timedelta(minutes=1): at, lambda: False)  # type: ignore[arg-type, misc]
            if day % 5 == 0:
                later = now + dt.timedelta(hours=1)
                send_single(to=f"ann{day}@customer.example", subject="Hi", html="<p>Hi</p>", now=later)
                run(clock=lambda at=later: at, idle_seconds=0.02)  # type: ignore[misc]
                assert len(peer.bodies) == len(sent) + 1, f"a message waited on day {day}"
                sent.append((now, peer.bodies[-1][1], dict(dns.records)))
            waiting = DkimKey.objects.filter(state="made", made_at__lte=now - 5 * DAY)
            if waiting.exists():  # A person needs some days.
                dns.records = {**dns.records, **published()}
            # What was sent up to a week ago must verify with what is in DNS today.
            gone = DkimKey.objects.filter(state="revoked").values_list("selector", flat=True)
            dns.records = {name: value for name, value in dns.records.items() if name.partition(".")[0] not in gone}
            for at, content, at_first in sent[-12:]:
                if now - at <= 6 * DAY:
                    found = selectors(content, dns.records)
                    assert len(found) == 2
                    used.add(found[0])
                    assert set(found) <= {name.partition(".")[0] for name in at_first}

    assert len(used) == 4
    assert DkimKey.objects.exclude(private="").count() <= 6
    assert all(len(selectors(content, records)) == 2 for _at, content, records in sent)


def test_a_worker_of_the_product_signs(tmp_path: Path) -> None:
    rsa, ed25519 = make_signing("shop.example", timezone.now())
    with running_peer(tmp_path / "peer") as peer:
        make_server(peer.port, dkim="brilliance")
        mailing = make_mailing(make_list(20))
        worker = Worker(tmp_path, FIELD_ENCRYPTION_KEYS=",".join(settings.FIELD_ENCRYPTION_KEYS))
        try:
            deadline = time.monotonic() + 60
            for _ in itertools.count():
                if figures.counts(mailing.pk)["accepted"] == 20:
                    break
                assert time.monotonic() < deadline, worker.log.read_text()[-2000:]
                time.sleep(0.1)
        finally:
            worker.stop()

        assert signed_by(peer) == [[rsa.selector, ed25519.selector]] * 20
