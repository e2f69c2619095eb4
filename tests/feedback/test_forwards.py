"""What people write to postmaster and report addresses goes on to Mail to, and nowhere that the listener takes."""

import datetime as dt

import pytest

from delivery.models import Message, Notice
from feedback.forwards import forward, recipients
from feedback.intake import store
from feedback.models import Forward, RawReport
from smtpservers.models import SmtpServer
from tests.feedback.reports.making import dsn, make_mailing, process, return_path, sent_to

NOW = dt.datetime(2026, 11, 30, 9, 0, tzinfo=dt.UTC)
MAIL = (
    b"From: =?utf-8?Q?J=C3=B6rg?= <joerg@example.net>\r\nSubject: Your\r\n newsletter\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n\r\nPlease stop {{ email }}.\r\n"
)


def make_server(name: str, **fields: object) -> SmtpServer:
    defaults = {"host": "relay.example.org", "mail_from": "a@example.org", "use_return_path": True}
    return SmtpServer.objects.create(name=name, **{**defaults, **fields})


def taken(address: str, content: bytes = MAIL, **state: object) -> Forward:
    raw = store.take(RawReport.Source.LISTENER, content, now=NOW, envelope_to=address)
    RawReport.objects.filter(pk=raw.raw_id).update(**state)
    return Forward.objects.create(raw_id=raw.raw_id, address=address)


@pytest.fixture
def server(db: None) -> SmtpServer:
    return make_server("One", return_path="bounces@news.example.org", mail_to="Boss <boss@shop.example.net>")


def test_a_mail_goes_on_once_it_was_read_and_is_no_report(server: SmtpServer) -> None:
    taken("postmaster@news.example.org")
    assert forward(NOW) == 0  # No worker has read it yet.
    RawReport.objects.update(state=RawReport.State.DONE, is_recognised=False)

    assert forward(NOW) == 1
    assert forward(NOW) == 0

    notice = Notice.objects.get()
    assert notice.mailing.subject == "Mail to postmaster@news.example.org: Your newsletter"
    assert "Jörg <joerg@example.net> wrote to postmaster@news.example.org:" in notice.mailing.text
    assert "Please stop" in notice.mailing.text
    assert "{{ email }}" not in notice.mailing.text  # It is nobody's merge tag.
    assert Message.objects.get().email == "boss@shop.example.net"


def test_a_report_does_not(server: SmtpServer) -> None:
    taken("abuse@news.example.org", state=RawReport.State.DONE, is_recognised=True)

    assert forward(NOW) == 0
    assert not Forward.objects.exists()
    assert not Notice.objects.exists()


def test_a_mail_that_cannot_be_read_is_told_all_the_same(server: SmtpServer) -> None:
    content = b"Subject: x\r\n" + b"".join(b"X: boundary=a%d\r\n" % number for number in range(99)) + b"\r\n"
    taken("abuse@news.example.org", content, state=RawReport.State.UNREADABLE)

    assert forward(NOW) == 1


def test_mail_to_is_that_of_the_servers_concerned_and_never_an_address_of_the_listener(server: SmtpServer) -> None:
    make_server("Two", return_path="b@other.example.org", mail_to="other@shop.example.net")
    make_server("Loop", return_path="b@loop.example.org", mail_to="abuse@loop.example.org")
    make_server("Reports", use_spam_address=True, spam_address="fbl@news.example.org", mail_to="fbl@news.example.org")

    assert recipients("postmaster@news.example.org") == ["boss@shop.example.net"]
    assert recipients("fbl@news.example.org") == ["boss@shop.example.net"]
    assert recipients("abuse@other.example.org") == ["other@shop.example.net"]
    assert recipients("abuse@loop.example.org") == []
    assert recipients("postmaster") == []  # There is no alert address, and no administrator.


def bounce(to: str, number: int = 1) -> None:
    content = dsn(("ann@customer.example", "failed", "550 5.1.1 no such user"), to=to, number=number)
    store.take(RawReport.Source.MAILBOX, content, now=NOW, envelope_to=to)


def test_a_bounce_that_matches_no_message_goes_on_to_mail_to_unknown(server: SmtpServer) -> None:
    SmtpServer.objects.update(mail_to_unknown="Lost <lost@shop.example.net>")
    make_server("Two", return_path="b@other.example.org", mail_to_unknown="other@shop.example.net")
    bounce("bounces@news.example.org")
    bounce("bounces+" + "a" * 24 + "@News.example.org", 2)
    process(NOW)

    assert forward(NOW) == 2
    assert forward(NOW) == 0

    assert set(Message.objects.values_list("email", flat=True)) == {"lost@shop.example.net"}
    text = Notice.objects.order_by("pk")[0].mailing.text
    assert "MAILER-DAEMON@mx.example wrote to bounces@news.example.org:" in text


def test_a_bounce_with_a_message_or_for_nobody_goes_nowhere(server: SmtpServer) -> None:
    message = sent_to("ann@customer.example", make_mailing(), server)
    bounce(return_path(message))
    bounce("bounces@news.example.org")  # Its server has no Mail to unknown.
    SmtpServer.objects.create(
        name="Loop",
        host="relay.example.org",
        use_return_path=True,
        return_path="b@loop.example.org",
        mail_to_unknown="postmaster@loop.example.org",
    )
    bounce("b@loop.example.org")
    process(NOW)

    assert forward(NOW) == 0
    assert not Forward.objects.exists()


def test_at_most_fifty_mails_an_hour_go_on(server: SmtpServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feedback.forwards.MOST_AN_HOUR", 2)
    done = {"state": RawReport.State.DONE, "is_recognised": False}
    for number in range(3):
        taken("postmaster@news.example.org", MAIL + b"%d" % number, **done)

    assert forward(NOW) == 2
    assert not Forward.objects.exists()
    taken("postmaster@news.example.org", MAIL + b"again", **done)
    assert forward(NOW + dt.timedelta(hours=1)) == 1
