"""What people write to postmaster and report addresses goes on to Mail to, and nowhere that the listener takes."""

import datetime as dt

import pytest

from delivery.models import Message, Notice
from feedback.forwards import forward, recipients
from feedback.intake import store
from feedback.models import Forward, RawReport
from smtpservers.models import SmtpServer

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
