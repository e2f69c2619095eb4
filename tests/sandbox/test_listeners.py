"""The sandbox over the wire, asked with smtplib."""

import smtplib
import socket
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from sandbox.models import SandboxMail
from sandbox.store import prune
from tests.sandbox.conftest import Running

MAIL = b"From: news@example.org\r\nTo: ann@example.org\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <1@x>\r\n"
BODY = b"\r\nHello\r\n..dot\r\n"


@pytest.fixture
def client(sandbox: Running) -> Iterator[smtplib.SMTP]:
    with smtplib.SMTP("127.0.0.1", sandbox.plain, timeout=10) as client:
        yield client


def send(client: smtplib.SMTP, recipient: str, content: bytes = MAIL + BODY) -> None:
    client.sendmail("bounces@example.org", [recipient], content)


def test_a_mail_is_stored_before_it_is_answered(client: smtplib.SMTP):
    send(client, "ann@example.org")

    mail = SandboxMail.objects.get()
    assert (mail.mail_from, mail.rcpt_to) == ("bounces@example.org", "ann@example.org")
    assert (mail.subject, mail.message_id) == ("Grüße", "<1@x>")
    assert (mail.listener, mail.tls, mail.signed_in_as) == ("plain", "", "")
    assert bytes(mail.content) == MAIL + BODY


def test_a_mail_to_two_people_is_stored_for_each(client: smtplib.SMTP):
    client.sendmail("a@example.org", ["ann@example.org", "bob@example.org"], MAIL + BODY)

    assert sorted(SandboxMail.objects.values_list("rcpt_to", flat=True)) == ["ann@example.org", "bob@example.org"]


def test_the_null_sender_of_a_bounce_is_stored_empty(client: smtplib.SMTP):
    client.sendmail("", ["ann@example.org"], MAIL + BODY)

    assert SandboxMail.objects.get().mail_from == ""


def test_addresses_outside_ascii_are_taken(client: smtplib.SMTP):
    client.ehlo()
    client.sendmail("ä@example.org", ["jörg@bücher.example"], MAIL + BODY, mail_options=["SMTPUTF8"])

    assert SandboxMail.objects.get().rcpt_to == "jörg@bücher.example"


def test_starttls_is_required_and_its_version_is_stored(sandbox: Running):
    trusting = ssl.create_default_context(cafile=str(sandbox.authority))

    with smtplib.SMTP("localhost", sandbox.starttls, timeout=10) as client:
        with pytest.raises(smtplib.SMTPSenderRefused, match="STARTTLS"):
            send(client, "ann@example.org")
        client.starttls(context=trusting)
        send(client, "ann@example.org")

    assert SandboxMail.objects.get().tls.startswith("TLSv1.3 TLS_")


def test_a_client_that_does_not_trust_the_certificate_leaves_the_listener_working(sandbox: Running):
    with smtplib.SMTP("localhost", sandbox.starttls, timeout=10) as client:
        with pytest.raises(ssl.SSLCertVerificationError):
            client.starttls(context=ssl.create_default_context())
        client.close()

    trusting = ssl.create_default_context(cafile=str(sandbox.authority))
    with smtplib.SMTP("localhost", sandbox.starttls, timeout=10) as client:
        client.starttls(context=trusting)
        send(client, "ann@example.org")
    assert SandboxMail.objects.count() == 1


@pytest.mark.parametrize("method", ["auth_plain", "auth_login"])
def test_auth_takes_the_password_made_on_the_first_run(sandbox: Running, method: str):
    with smtplib.SMTP("127.0.0.1", sandbox.auth, timeout=10) as client:
        client.ehlo()
        client.user, client.password = "brilliance", sandbox.password
        assert client.auth(method.removeprefix("auth_").upper(), getattr(client, method))[0] == 235
        send(client, "ann@example.org")

    assert SandboxMail.objects.get().signed_in_as == "brilliance"


@pytest.mark.parametrize(("user", "word"), [("brilliance", "wrong"), ("nobody", None), ("brilliance", "wörng")])
def test_auth_refuses_another_login(sandbox: Running, user: str, word: str | None):
    with smtplib.SMTP("127.0.0.1", sandbox.auth, timeout=10) as client:
        client.ehlo()
        client.user, client.password = user, word or sandbox.password
        with pytest.raises((smtplib.SMTPAuthenticationError, UnicodeEncodeError)):
            client.auth("PLAIN", client.auth_plain)


def test_auth_is_required_where_it_is_offered(sandbox: Running):
    with (
        smtplib.SMTP("127.0.0.1", sandbox.auth, timeout=10) as client,
        pytest.raises(smtplib.SMTPSenderRefused, match="Authentication required"),
    ):
        send(client, "ann@example.org")


def test_pipelining_is_offered_and_auth_only_where_there_is_a_login(client: smtplib.SMTP):
    client.ehlo()

    assert client.has_extn("pipelining")
    assert not client.has_extn("auth")


def test_the_encrypted_listener_offers_no_login_either(sandbox: Running):
    with smtplib.SMTP("localhost", sandbox.starttls, timeout=10) as client:
        client.starttls(context=ssl.create_default_context(cafile=str(sandbox.authority)))
        client.ehlo()

        assert not client.has_extn("auth")


def test_a_whole_transaction_may_come_in_one_write_after_the_dot_of_another(sandbox: Running):
    with socket.create_connection(("127.0.0.1", sandbox.plain), 10) as line:
        answers = line.makefile("rb")
        envelope = b"MAIL FROM:<a@example.org>\r\nRCPT TO:<%b@example.org>\r\nDATA\r\n"
        answers.readline()
        line.sendall(b"EHLO test\r\n" + envelope % b"one")
        while not answers.readline().startswith(b"354"):
            pass
        line.sendall(MAIL + BODY + b".\r\n" + envelope % b"two")
        replies = [answers.readline()[:3] for _ in range(4)]
        line.sendall(MAIL + BODY + b".\r\nQUIT\r\n")
        replies += [answers.readline()[:3] for _ in range(2)]

    assert replies == [b"250", b"250", b"250", b"354", b"250", b"221"]
    assert SandboxMail.objects.count() == 2


REFUSALS = [
    ("bounce@example.org", 550, b"5.1.1"),
    ("Bounce.17@example.org", 550, b"5.1.1"),
    ("full@example.org", 452, b"4.2.2"),
    ("greylist@example.org", 451, b"4.7.1"),
]


@pytest.mark.parametrize(("recipient", "code", "enhanced"), REFUSALS)
def test_special_recipients_are_refused_at_rcpt(client: smtplib.SMTP, recipient: str, code: int, enhanced: bytes):
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refusal:
        send(client, recipient)

    answer = refusal.value.recipients[recipient]
    assert answer[0] == code
    assert answer[1].startswith(enhanced)
    assert not SandboxMail.objects.exists()


def test_a_greylisted_recipient_is_accepted_at_the_second_try(client: smtplib.SMTP):
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        send(client, "greylist@example.org")

    send(client, "greylist@example.org")

    assert SandboxMail.objects.count() == 1


def test_a_slow_recipient_keeps_the_answer_back_for_three_seconds(client: smtplib.SMTP):
    started = time.monotonic()

    send(client, "slow@example.org")

    assert time.monotonic() - started >= 3


def test_a_drop_recipient_loses_the_line_after_the_dot_though_the_mail_arrived(client: smtplib.SMTP):
    with pytest.raises(smtplib.SMTPServerDisconnected):
        send(client, "drop@example.org")

    assert SandboxMail.objects.get().rcpt_to == "drop@example.org"


def test_a_mail_above_the_size_limit_is_refused(client: smtplib.SMTP):
    with pytest.raises(smtplib.SMTPResponseException) as refusal:
        send(client, "ann@example.org", MAIL + b"\r\n" + b"x" * 76 * 1024 * 150)

    assert refusal.value.smtp_code in (500, 552)
    assert not SandboxMail.objects.exists()


def test_too_many_recipients_are_refused_one_by_one(client: smtplib.SMTP):
    people = [f"person{number}@example.org" for number in range(101)]

    refused = client.sendmail("a@example.org", people, MAIL + BODY)

    assert refused == {"person100@example.org": (452, b"4.5.3 Too many recipients")}


def test_many_connections_at_once_lose_nothing(sandbox: Running):
    def send_twelve(number: int) -> None:
        with smtplib.SMTP("127.0.0.1", sandbox.plain, timeout=30) as client:
            for turn in range(12):
                send(client, f"person{number}.{turn}@example.org")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send_twelve, range(8)))

    assert SandboxMail.objects.values("rcpt_to").distinct().count() == 96


def test_control_characters_and_broken_bytes_can_be_stored(client: smtplib.SMTP):
    send(client, "ann@example.org", b"Subject: a\x00b\xff\r\n\r\nx\x00\r\n")

    mail = SandboxMail.objects.get()
    assert mail.subject == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"
    assert bytes(mail.content) == b"Subject: a\x00b\xff\r\n\r\nx\x00\r\n"


@pytest.mark.django_db
def test_only_the_newest_mails_are_kept():
    SandboxMail.objects.bulk_create(
        SandboxMail(listener="plain", rcpt_to=f"{number}@example.org", content=b"") for number in range(8)
    )

    assert prune(5) == 3
    assert prune(5) == 0
    assert SandboxMail.objects.order_by("id")[0].rcpt_to == "3@example.org"


def test_a_running_sandbox_prunes_by_itself(client: smtplib.SMTP):
    for number in range(130):  # The fixture keeps 100 and looks after every 10.
        send(client, f"{number}@example.org")

    assert 100 <= SandboxMail.objects.count() < 111
