"""What operators are told, in which words, and that they are told once."""

import datetime as dt
import email
import email.policy
import ssl
import threading
from email.message import EmailMessage
from pathlib import Path

import pytest
import trustme
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import connections
from django.utils import timezone

from contacts.models import Suppression
from delivery.models import Incident, Mailing, Message, Notice
from delivery.operators import notices
from delivery.operators.send_test import send_test
from delivery.outbox import mailings
from delivery.outcomes import results
from smtpservers.limits import circuit_breaker, reservations
from smtpservers.limits.reservations import current_period
from smtpservers.models import QuotaPeriod, SmtpServer
from tests.delivery.making import make_list, make_mailing, make_server, run_drain
from tests.oauth.making import make_account
from tests.peers.peer import Peer, running_peer

pytestmark = pytest.mark.django_db
committed = pytest.mark.django_db(transaction=True)  # Other connections see its rows.
NOW = dt.datetime(2026, 11, 23, 3, 0, tzinfo=dt.UTC)
OPS = "ops@shop.example"


def received(peer: Peer, recipient: str = OPS) -> list[EmailMessage]:
    """Return what that mailbox got, as an independent parser reads it."""
    bodies = [body for context, body in peer.bodies if context["rcpt_to"] == recipient]
    return [email.message_from_bytes(body, policy=email.policy.default) for body in bodies]  # type: ignore[misc]


def use(server: SmtpServer, used: int, now: dt.datetime = NOW) -> None:
    QuotaPeriod.objects.filter(pk=current_period(server, now).pk).update(used=used)


def subjects() -> list[str]:
    return list(Mailing.objects.filter(stream="notice").order_by("pk").values_list("subject", flat=True))


# --- OAuth accounts


def test_a_refused_account_that_only_mailboxes_use_is_told_once() -> None:
    get_user_model().objects.create_superuser("boss", OPS)
    account = make_account(state="refused", state_since=NOW, last_error="Sign in again.")
    in_use = make_account(name="Of a server", state="refused", state_since=NOW)
    make_server(25, oauth_account=in_use)

    for _ in range(2):
        notices.notice(NOW)

    assert subjects() == ["Newsletter has to be connected again"]
    text = Mailing.objects.get(stream="notice").text
    assert "The OAuth account Newsletter no longer works: Sign in again." in text
    assert f"/admin/oauth/oauthaccount/{account.pk}/change/" in text


# --- quota


def test_each_level_of_a_quota_is_told_once() -> None:
    server = make_server(25, max_per_month=20, mail_to=OPS)

    for used in (15, 16, 17, 18, 19, 19, 20, 20):
        use(server, used)
        notices.notice(NOW)

    assert subjects() == [f"Alpha: {percent} % of the quota is used" for percent in (80, 95, 100)]
    assert Message.objects.filter(email=OPS).count() == 3


def test_only_the_highest_level_that_was_reached_is_told() -> None:
    server = make_server(25, max_per_month=20, mail_to=OPS)
    use(server, 20)

    notices.notice(NOW)
    notices.notice(NOW)

    assert subjects() == ["Alpha: 100 % of the quota is used"]


def test_a_recount_that_finds_less_is_no_news() -> None:
    server = make_server(25, max_per_month=20, mail_to=OPS)
    for used in (20, 19, 16):
        use(server, used)
        notices.notice(NOW)

    assert subjects() == ["Alpha: 100 % of the quota is used"]


@pytest.mark.parametrize("caps", [{}, {"max_per_hour": 100}, {"max_per_day": 100}])
def test_what_leaves_a_unit_is_granted_all_others(caps: dict[str, int]) -> None:
    server = make_server(25, max_per_month=5, **caps)

    granted = [reservations.reserve(server, 9, NOW, leave=leave) for leave in (1, 1, 0, 0)]

    assert [reservation and reservation.units for reservation in granted] == [4, None, 1, None]


def test_a_new_period_and_a_new_quota_start_over() -> None:
    server = make_server(25, max_per_month=10, mail_to=OPS)
    use(server, 8)
    notices.notice(NOW)

    use(server, 8, NOW + dt.timedelta(days=20))
    notices.notice(NOW + dt.timedelta(days=20))
    QuotaPeriod.objects.update(quota=9)
    notices.notice(NOW + dt.timedelta(days=20))

    assert len(subjects()) == 3


def test_without_a_quota_nothing_is_told() -> None:
    use(make_server(25, mail_to=OPS), 10_000)

    assert notices.notice(NOW) == 0


@committed
def test_a_notice_is_plain_system_mail_in_the_servers_language(tmp_path: Path) -> None:
    with running_peer(tmp_path) as peer:
        sender = make_server(
            peer.port,
            "Sender",
            mail_cc="boss@shop.example",
            mail_bcc="archive@shop.example",
            use_spam_address=True,
            spam_address="fbl@shop.example",
            use_abuse_address=True,
            abuse_address="abuse@shop.example",
            utm_source="news",
            return_path="bounces@shop.example",
            use_return_path=True,
            language="fr",
        )
        server = make_server(25, "Nord", max_per_month=1000, mail_to=f"Ops <{OPS}>", language="de", is_active=False)
        use(server, 800, timezone.now())

        notices.notice(timezone.now())
        run_drain()
        notices.notice(timezone.now())
        run_drain()

        (notice,) = received(peer)
        assert notice["Subject"] == "Nord: 80 % des Kontingents sind verbraucht"
        assert "800 der 1.000 Nachrichten" in notice.get_content()
        assert "utm_" not in notice.get_content()
        assert notice["To"] == OPS
        assert notice["Auto-Submitted"] == "auto-generated"
        assert notice["Content-Language"] == "de"
        for name in ("Cc", "Precedence", "List-Id", "List-Unsubscribe", "List-Unsubscribe-Post", "Feedback-ID"):
            assert notice[name] is None
        for name in ("CFBL-Address", "CFBL-Feedback-ID", "X-Complaints-To", "X-Report-Abuse", "X-Abuse-Reports-To"):
            assert notice[name] is None
        (event,) = peer.accepted()  # No copies.
        assert event["mail_from"].startswith("bounces+")
        assert QuotaPeriod.objects.get(server=sender).used == 1


@committed
def test_a_notice_leaves_the_last_unit_of_a_server_to_other_mail(tmp_path: Path) -> None:
    with running_peer(tmp_path) as peer, running_peer(tmp_path) as other:
        server = make_server(peer.port, "Small", max_per_month=5, mail_to=OPS, display_order=1)
        use(server, 4, timezone.now())
        make_server(other.port, "Large", display_order=2, is_active=False)

        notices.notice(timezone.now())
        run_drain(seconds=3)
        assert peer.bodies == []
        assert "Small has used its quota" in Mailing.objects.get().waiting_reason

        SmtpServer.objects.filter(name="Large").update(is_active=True)
        run_drain()
        assert len(received(other)) == 1
        make_mailing(make_list(1))
        run_drain()
        assert len(peer.accepted()) == 1


@committed
def test_the_only_server_tells_that_its_quota_is_used_up_by_what_campaigns_leave(tmp_path: Path) -> None:
    with running_peer(tmp_path) as peer:
        server = make_server(peer.port, max_per_month=100, mail_to=OPS)
        use(server, 97, timezone.now())
        mailing = make_mailing(make_list(5))
        run_drain(seconds=3)
        assert len(peer.accepted()) == 2
        mailing.refresh_from_db()
        assert "Alpha has used its quota (1 kept for other mail) until" in mailing.waiting_reason

        notices.notice(timezone.now())
        run_drain(seconds=3)
        notices.notice(timezone.now())
        run_drain(seconds=3)

        (notice,) = received(peer)
        assert notice["Subject"] == "Alpha: 99 % of the quota is used"
        assert "What is left is for notices" in notice.get_content()
        assert len(peer.accepted()) == 3
        assert QuotaPeriod.objects.get().room == 0


@committed
@pytest.mark.parametrize(("quota", "sent"), [(99, 99), (100, 99), (250, 248), (2000, 1990)])
def test_campaigns_leave_one_in_a_hundred_and_a_small_quota_keeps_nothing_back(
    tmp_path: Path, quota: int, sent: int
) -> None:
    with running_peer(tmp_path) as peer:
        use(make_server(peer.port, max_per_month=quota, mail_to=OPS), sent - 3, timezone.now())
        make_mailing(make_list(20))

        run_drain(seconds=3)

        assert len(peer.accepted()) == 3
        assert QuotaPeriod.objects.get().room == quota - sent


def test_a_notice_that_finds_no_server_in_time_is_given_up(tmp_path: Path) -> None:
    server = make_server(25, max_per_month=5, mail_to=OPS)
    use(server, 5)
    notices.notice(NOW)

    assert mailings.expire(NOW + dt.timedelta(hours=23)) == 0
    assert mailings.expire(NOW + dt.timedelta(hours=25)) == 1

    assert Message.objects.get().reason == "Given up: no server could take it in time."
    results.finish_mailings(NOW + dt.timedelta(hours=25))
    assert notices.notice(NOW + dt.timedelta(hours=25)) == 0


@committed
def test_two_workers_that_look_at_once_tell_it_once() -> None:
    server = make_server(25, max_per_month=5, mail_to=OPS)
    use(server, 5)
    started = threading.Barrier(4)
    counts: list[int] = []

    def look() -> None:
        started.wait(10)
        try:
            counts.append(notices.notice(NOW))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert sorted(counts) == [0, 0, 0, 1]
    assert Mailing.objects.count() == Message.objects.count() == Notice.objects.count() == 1


# --- whom


def test_without_mail_to_the_administrators_hear_of_it() -> None:
    users = get_user_model().objects
    users.create_user("root", "root@shop.example", is_superuser=True)
    users.create_user("root2", "ROOT@shop.example", is_superuser=True)
    users.create_user("odd", "no address", is_superuser=True)
    users.create_user("mute", "", is_superuser=True)
    users.create_user("gone", "gone@shop.example", is_superuser=True, is_active=False)
    users.create_user("ops", "staff@shop.example", is_staff=True).groups.add(Group.objects.get(name="ops"))
    users.create_user("ada", "ada@shop.example").groups.add(*Group.objects.filter(name__in=["admin", "marketer"]))
    users.create_user("old", "old@shop.example", is_active=False).groups.add(Group.objects.get(name="admin"))
    use(make_server(25, max_per_month=5), 5)

    notices.notice(NOW)

    assert [message.email_key for message in Message.objects.all()] == ["root@shop.example", "ada@shop.example"]


@pytest.mark.parametrize("event", ["quota", "pause", "full", "incident", "certificate"])
def test_every_notice_of_a_server_without_mail_to_reaches_who_has_the_role(event: str) -> None:
    ada = get_user_model().objects.create_user("ada", "ada@shop.example")
    ada.groups.add(Group.objects.get(name="admin"))
    server = make_server(25, max_per_month=5)
    match event:
        case "quota":
            use(server, 5)
        case "pause":
            circuit_breaker.pause(server.pk, "535 wrong", None, NOW)
        case "full":
            reservations.note_full(server.pk, "550 enough", NOW + dt.timedelta(hours=1), NOW)
            circuit_breaker.put_on_probation(server.pk, NOW)
        case "incident":
            Incident.objects.create(key="x", server=server, kind="sender-auth", reason="550 SPF", seen_at=NOW)
        case "certificate":
            SmtpServer.objects.update(certificate_expires_at=NOW + dt.timedelta(days=2))

    assert notices.notice(NOW) == 1

    assert [message.email_key for message in Message.objects.all()] == ["ada@shop.example"]


def test_a_notice_waits_for_somebody_to_read_it() -> None:
    server = make_server(25, max_per_month=5)
    use(server, 5)
    assert notices.notice(NOW) == 0

    SmtpServer.objects.update(mail_to=OPS)

    assert notices.notice(NOW) == 1


# --- pauses


def test_an_outage_is_told_once_however_often_its_pause_doubles() -> None:
    server = make_server(25, mail_to=OPS)
    now = NOW
    for _ in range(5):
        circuit_breaker.note_failure(server.pk, "connection refused", now)
        notices.notice(now + dt.timedelta(seconds=1))
        now += dt.timedelta(seconds=45)
    assert subjects() == ["Alpha is paused"]
    text = Mailing.objects.get().text
    assert "Alpha is paused: connection refused" in text
    assert "It is tried again by itself on 23 November 2026 03:" in text

    circuit_breaker.note_success(server.pk, now)
    for _ in range(3):
        circuit_breaker.note_failure(server.pk, "connection refused", now)
    notices.notice(now)

    assert subjects() == ["Alpha is paused"] * 2


def test_a_refused_password_is_told_at_once_and_again_after_somebody_resumed() -> None:
    server = make_server(25, mail_to=OPS)
    for _ in range(2):
        circuit_breaker.pause(server.pk, "535 5.7.8 {{ wrong }}\r\npassword", None, timezone.now())
        notices.notice(timezone.now())
        circuit_breaker.pause(server.pk, "535 still wrong", None, timezone.now())
        notices.notice(timezone.now())
        circuit_breaker.resume(server.pk)

    assert len(subjects()) == 2
    text = Mailing.objects.order_by("pk")[0].text
    assert "Alpha is paused: 535 5.7.8 { { wrong }} password" in text  # Inert, and on one line.
    assert "until somebody corrects its settings or resumes it" in text


def test_neither_a_short_rest_nor_a_server_that_is_off_is_an_outage() -> None:
    slow = make_server(25, mail_to=OPS)
    circuit_breaker.pause(slow.pk, "421 slow down", NOW + dt.timedelta(minutes=5), NOW)
    off = make_server(25, "Off", mail_to=OPS, is_active=False)
    circuit_breaker.pause(off.pk, "535 no", None, NOW)

    assert notices.notice(NOW) == 0


def test_a_server_that_says_it_is_full_is_told_once_until_it_accepts_again() -> None:
    server = make_server(25, mail_to=OPS)
    for hours in range(3):
        now = NOW + dt.timedelta(hours=hours)
        reservations.note_full(server.pk, "454 Daily message quota exceeded", now + dt.timedelta(minutes=30), now)
        circuit_breaker.put_on_probation(server.pk, now)
        notices.notice(now)

    assert subjects() == ["Alpha says that its limit is reached"]
    assert "its own limit is reached: 454 Daily message quota exceeded" in Mailing.objects.get().text


@committed
def test_an_answer_that_needs_a_person_is_told_once_a_day(tmp_path: Path) -> None:
    def block(event: str, context: dict[str, object]) -> bytes | None:
        return b"550 5.7.1 Blocked using Spamhaus" if event == "rcpt" else None

    with running_peer(tmp_path, block) as peer:
        make_server(peer.port, mail_to=OPS)
        make_mailing(make_list(3))
        run_drain()

    notices.notice(timezone.now())
    notices.notice(timezone.now())
    assert subjects() == ["Alpha: an answer to look at"]
    text = Mailing.objects.get(stream="notice").text
    assert "Alpha got an answer that somebody should look at: 550 5.7.1 Blocked using Spamhaus" in text
    assert Incident.objects.get().kind == "ip-reputation"


def test_an_incident_that_nobody_can_be_told_of_is_not_told_a_day_late() -> None:
    server = make_server(25)
    Incident.objects.create(key="x", server=server, kind="malformed", reason="554 5.6.0", seen_at=NOW)
    assert notices.notice(NOW) == 0
    notices.notice(NOW + dt.timedelta(hours=25))

    SmtpServer.objects.update(mail_to=OPS)

    assert notices.notice(NOW + dt.timedelta(hours=26)) == 0


@committed
def test_a_paused_server_is_told_through_another_one(tmp_path: Path) -> None:
    def refuse(event: str, context: dict[str, object]) -> bytes | None:
        return b"535 5.7.8 wrong" if event == "auth" else None

    with running_peer(tmp_path, refuse) as strict, running_peer(tmp_path) as peer:
        make_server(strict.port, "Strict", display_order=1, username="ann", password="x", mail_to=OPS)
        make_server(peer.port, "Alive", display_order=2)
        make_mailing(make_list(2))

        run_drain()
        notices.notice(timezone.now())
        run_drain()

        (notice,) = received(peer)
        assert notice["Subject"] == "Strict is paused"
        assert "535 5.7.8 wrong" in notice.get_content()


# --- certificates


def tls_context(ca: trustme.CA, expires_at: dt.datetime) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1", not_after=expires_at).configure_cert(context)
    return context


@committed
@pytest.mark.parametrize("way", ["drain", "test", "unverified"])
def test_a_certificate_that_ends_soon_is_noted_and_told_once(tmp_path: Path, way: str) -> None:
    now, ca = timezone.now().replace(microsecond=0), trustme.CA()
    context = tls_context(ca, now + dt.timedelta(days=13))
    with running_peer(tmp_path, starttls=context) as peer:
        fields = {} if way == "unverified" else {"use_tls": True, "trusted_certificate": ca.cert_pem.bytes().decode()}
        server = make_server(peer.port, mail_to=OPS, **fields)
        if way == "test":
            send_test(server_id=server.pk, recipient="ann@customer.example", actor=None, now=now)
        else:
            make_mailing(make_list(1))
            run_drain()
        for _ in range(2):
            notices.notice(now)
            run_drain()

        server.refresh_from_db()
        assert server.certificate_expires_at == now + dt.timedelta(days=13)
        assert server.version == 1  # No edit.
        (notice,) = received(peer)
        assert notice["Subject"].startswith("The certificate of Alpha ends on ")


@committed
def test_a_certificate_with_two_weeks_left_and_clear_text_are_no_news(tmp_path: Path) -> None:
    now, ca = timezone.now(), trustme.CA()
    with running_peer(tmp_path, starttls=tls_context(ca, now + dt.timedelta(days=15))) as peer:
        server = make_server(peer.port, mail_to=OPS)
        make_mailing(make_list(1))
        run_drain()
        assert notices.notice(now) == 0
        server.refresh_from_db()
        assert server.certificate_expires_at is not None

    with running_peer(tmp_path) as clear:
        SmtpServer.objects.update(port=clear.port, version=2)
        make_mailing(make_list(1, "More"))
        run_drain()
        server.refresh_from_db()
        assert server.certificate_expires_at is None


# --- failures


def fail_some(event: str, context: dict[str, object]) -> bytes | None:
    recipient = str(context.get("rcpt_to"))
    if event == "rcpt" and recipient.startswith(("person1.", "unknown@")):
        return b"550 5.1.1 No such user"
    if event == "rcpt" and recipient.startswith("person2."):
        return b"554 5.6.0 Content refused"
    return None


@committed
def test_a_campaign_sends_one_digest_of_its_failures_when_it_is_finished(tmp_path: Path) -> None:
    with running_peer(tmp_path, fail_some) as peer:
        make_server(peer.port, mail_to_unknown=f"Lost <{OPS}>", language="de")
        mailing = make_mailing(make_list(4))
        assert notices.notice(timezone.now()) == 0  # Not finished yet.
        run_drain()

        for _ in range(2):
            notices.notice(timezone.now())
            run_drain()

        (digest,) = received(peer)
        assert digest["Subject"] == "Winter: 2 Empfänger wurden nicht erreicht"
        assert digest["Auto-Submitted"] == "auto-generated"
        text = digest.get_content()
        assert "person1." in text
        assert "550 5.1.1 No such user" in text
        assert "person2." in text
        assert "554 5.6.0 Content refused" in text
        assert "person0." not in text
        mailing.refresh_from_db()
        assert mailing.is_reported


@committed
def test_a_second_digest_has_only_what_is_new_and_comes_an_hour_later(tmp_path: Path) -> None:
    with running_peer(tmp_path, fail_some) as peer:
        make_server(peer.port, mail_to_unknown=OPS)
        mailing = make_mailing(make_list(4))
        run_drain()
        Message.objects.filter(email__startswith="person2.").update(status="failed")
        now = timezone.now()
        assert notices.notice(now) == 1

        assert mailings.retry_failed(mailing.pk, now) == 1
        run_drain()

        assert notices.notice(now + dt.timedelta(minutes=59)) == 0
        assert notices.notice(now + dt.timedelta(minutes=61)) == 1
        second = Mailing.objects.filter(stream="notice").order_by("pk")[1]
        assert "person2." in second.text  # Failed, and tried once more; the bounce is final.
        assert "person1." not in second.text


def test_a_long_digest_is_cut_and_counts_the_rest() -> None:
    server = make_server(25, mail_to_unknown=OPS)
    mailing = make_mailing(make_list(620))
    Message.objects.filter(mailing=mailing).update(status="failed", server=server, reason="No\r\nroom", changed_at=NOW)
    results.finish_mailings(NOW)

    notices.notice(NOW)

    text = Mailing.objects.get(stream="notice").text
    assert text.count(": No room\n") == 500
    assert "… and 120 more." in text


@committed
def test_without_mail_to_unknown_failures_are_only_in_the_account(tmp_path: Path) -> None:
    with running_peer(tmp_path, fail_some) as peer:
        make_server(peer.port, mail_to=OPS)
        mailing = make_mailing(make_list(4))
        run_drain()

        assert notices.notice(timezone.now()) == 0
        mailing.refresh_from_db()
        assert mailing.is_reported


@committed
def test_the_failure_of_a_notice_starts_no_other_mail(tmp_path: Path) -> None:
    with running_peer(tmp_path, fail_some) as peer:
        make_server(peer.port, mail_to_unknown="unknown@shop.example", mail_to="unknown@shop.example")
        make_mailing(make_list(4))
        run_drain()

        for _ in range(3):
            notices.notice(timezone.now())
            run_drain()

        assert Notice.objects.count() == 1
        assert Message.objects.get(email="unknown@shop.example").status == "bounced"
        assert not Suppression.objects.filter(email="unknown@shop.example").exists()
