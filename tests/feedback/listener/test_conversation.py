"""What the listener takes and refuses, over real sockets."""

import datetime as dt
import itertools
import smtplib
import ssl
import threading
import time
from pathlib import Path

import pytest
from django.db import OperationalError
from django.utils import timezone

from domains.models import SendingDomain
from feedback.intake import store
from feedback.intake.addresses import Purpose
from feedback.listener import conversation, storage
from feedback.models import Forward, RawReport
from smtpservers.models import SmtpServer
from tests.feedback.listener.conftest import RETURN_PATH, TAGGED, UNSUBSCRIBE, Deaf, Talk, running


def stored() -> list[bytes]:
    return [store.content_of(raw) for raw in RawReport.objects.order_by("pk")]


@pytest.mark.parametrize(
    ("recipient", "answer"),
    [
        (TAGGED, "250 2.1.5"),
        (TAGGED.upper(), "250 2.1.5"),
        (UNSUBSCRIBE, "250 2.1.5"),
        ("fbl@news.example.org", "250 2.1.5"),
        ("Postmaster@news.example.org", "250 2.1.5"),
        ("abuse@news.example.org", "250 2.1.5"),
        ("Postmaster", "250 2.1.5"),  # RFC 5321 section 4.5.1.
        ("abuse", "550 5.1.1"),
        (RETURN_PATH, "550 5.1.1"),  # Each message has a tag; the plain address gets only spam.
        (TAGGED.replace("+", "+a")[:-21] + "@news.example.org", "550 5.1.1"),
        ("unsub+" + TAGGED.partition("+")[2], "550 5.1.1"),  # A tag of another purpose.
        ("ann@news.example.org", "550 5.1.1"),
        ("postmaster@elsewhere.example.net", "550 5.1.1"),
        ("ann%elsewhere.example.net@news.example.org", "550 5.1.1"),
        ("@elsewhere.example.net:ann@news.example.org", "55"),
    ],
    ids=itertools.count(),  # Tags differ from run to run.
)
def test_a_recipient_is_taken_or_refused_at_once(port: int, recipient: str, answer: str) -> None:
    with Talk(port) as talk:
        talk.say("MAIL FROM:<>")

        assert talk.say(f"RCPT TO:<{recipient}>").startswith(answer)

    assert not RawReport.objects.exists()


def test_the_plain_return_path_is_taken_where_messages_have_no_tag(port: int, server: SmtpServer) -> None:
    SmtpServer.objects.update(use_verp=False)

    with Talk(port) as talk:
        assert talk.deliver(RETURN_PATH) == "250 2.0.0 Stored"


def test_a_mail_is_stored_before_250_with_its_envelope(port: int) -> None:
    with Talk(port) as talk:
        assert talk.deliver(TAGGED, content=b"Subject: x\r\n\r\n..dot\r\n") == "250 2.0.0 Stored"
        assert talk.deliver(TAGGED, content=b"Subject: x\r\n\r\n..dot\r\n") == "250 2.0.0 Stored"  # Repeated.
        assert talk.deliver(UNSUBSCRIBE, sender="ann@example.net") == "250 2.0.0 Stored"

        assert stored() == [
            f"Return-Path: <>\r\nDelivered-To: {TAGGED}\r\nSubject: x\r\n\r\n.dot\r\n".encode(),
            f"Return-Path: <ann@example.net>\r\nDelivered-To: {UNSUBSCRIBE}\r\nSubject: x\r\n\r\nhello\r\n".encode(),
        ]
    assert [raw.envelope_to for raw in RawReport.objects.order_by("pk")] == [TAGGED, UNSUBSCRIBE]
    assert not Forward.objects.exists()


def test_what_people_write_to_postmaster_is_kept_once_for_forwarding(port: int) -> None:
    to = (
        "Postmaster@news.example.org",
        "postmaster@NEWS.example.org",
        "fbl@news.example.org",
        "abuse@news.example.org",
    )
    with Talk(port) as talk:
        assert talk.deliver(*to, sender="ann@example.net") == "250 2.0.0 Stored"

    assert Forward.objects.get().address == "Postmaster@news.example.org"
    assert RawReport.objects.get().envelope_to == "postmaster@news.example.org"


def test_a_recipient_that_is_named_twice_gets_one_mail(port: int) -> None:
    with Talk(port) as talk:
        assert talk.deliver(TAGGED, TAGGED.upper(), UNSUBSCRIBE, UNSUBSCRIBE.title()) == "250 2.0.0 Stored"

    assert [raw.envelope_to for raw in RawReport.objects.order_by("pk")] == [TAGGED, UNSUBSCRIBE]


def test_an_address_that_everybody_can_guess_gets_so_much_mail_a_day(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(storage.MOST_A_DAY, Purpose.ROLE, 2)
    with Talk(port) as talk:
        for number in range(2):
            talk.deliver("postmaster@news.example.org", content=b"Subject: %d\r\n\r\nhello\r\n" % number)
        talk.say("MAIL FROM:<>")

        assert talk.say("RCPT TO:<Postmaster@news.example.org>").startswith("452 4.2.2")
        assert talk.say(f"RCPT TO:<{TAGGED}>").startswith("250")
        assert talk.say("RCPT TO:<abuse@news.example.org>").startswith("250")
        RawReport.objects.update(received_at=timezone.now() - dt.timedelta(days=1, seconds=1))
        assert talk.say("RCPT TO:<postmaster@news.example.org>").startswith("250")


def test_after_twenty_refused_recipients_the_sender_is_sent_away(port: int) -> None:
    with Talk(port) as talk:
        talk.say("MAIL FROM:<>")

        answers = [talk.say(f"RCPT TO:<a{number}@news.example.org>") for number in range(20)]

        assert {answer[:9] for answer in answers[:19]} == {"550 5.1.1"}
        assert answers[19].startswith("421 4.7.0")
        assert talk.answer() == ""


def test_starttls_is_offered_and_forgets_what_came_before_it(port: int) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
        client.ehlo()
        assert client.has_extn("starttls")
        assert not client.has_extn("auth")
        assert client.esmtp_features["size"] == str(conversation.LARGE_MAIL_BYTES)
        client.starttls(context=context)
        client.sendmail("", [TAGGED], b"Subject: x\r\n\r\nhello\r\n")
    with Talk(port) as talk:
        talk.send(b"STARTTLS\r\nMAIL FROM:<evil@example.net>\r\n")
        assert talk.answer().startswith("220")
        with context.wrap_socket(talk._socket) as secured:
            secured.sendall(b"EHLO a\r\nRCPT TO:<" + TAGGED.encode() + b">\r\n")
            lines = secured.makefile("rb")
            while (line := lines.readline())[3:4] == b"-" or line.startswith(b"250"):
                pass
            assert line.startswith(b"503")

    assert len(stored()) == 1


@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\n\n.\r\r\n"])
def test_no_second_mail_is_smuggled_in(port: int, end: bytes) -> None:
    smuggled = f"MAIL FROM:<>\r\nRCPT TO:<{UNSUBSCRIBE}>\r\nDATA\r\nSubject: smuggled\r\n\r\nx\r\n".encode()
    with Talk(port) as talk:
        assert talk.deliver(TAGGED, content=b"Subject: x\r\n\r\nhello" + end + smuggled).startswith("250")

    assert [raw.envelope_to for raw in RawReport.objects.all()] == [TAGGED]


ENDLESS = {
    "a line": (b"DATA\r\n", b"x" * 65_536),
    "lines": (b"DATA\r\n", (b"x" * 70 + b"\r\n") * 900),
    "a command": (b"", b"x" * 65_536),
    "commands": (b"", b"NOOP\r\n" * 10_000),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_a_sender_without_end_is_cut_off(port: int, kind: str) -> None:
    first, rest = ENDLESS[kind]
    with Talk(port) as talk:
        talk.say("MAIL FROM:<>")
        talk.say(f"RCPT TO:<{TAGGED}>")
        talk.send(first)
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            talk.send_on(rest, 1_000)

    with Talk(port) as other:
        assert other.deliver(TAGGED).startswith("250")
    assert len(stored()) == 1


LARGE = conversation.LARGE_MAIL_BYTES - 100


def report_address() -> str:
    domain, _ = SendingDomain.objects.get_or_create(name="news.example.org")
    return f"dmarc+{domain.report_tag}@news.example.org"


def lines(size: int) -> bytes:
    return b"Subject: x\r\n\r\n" + (b"x" * 78 + b"\r\n") * ((size - 100) // 80)


def test_a_report_about_a_domain_may_be_large_if_it_says_so(port: int) -> None:
    with Talk(port) as talk:
        talk.say(f"MAIL FROM:<> SIZE={LARGE}")
        assert talk.say(f"RCPT TO:<{report_address()}>") == "250 2.1.5 Recipient OK"
        assert talk.say(f"RCPT TO:<{TAGGED}>").startswith("552 5.3.4")
        talk.say("DATA")
        talk.send(lines(LARGE) + b".\r\n")
        assert talk.answer() == "250 2.0.0 Stored"

        assert talk.deliver(report_address(), content=lines(1_080_000)).startswith("552")  # It did not say so.
    assert not Forward.objects.exists()
    (content,) = stored()
    assert len(content) > LARGE - 1_000


def test_a_mail_that_lies_about_its_size_is_cut_off(port: int) -> None:
    with Talk(port) as talk:
        assert talk.say(f"MAIL FROM:<> SIZE={conversation.LARGE_MAIL_BYTES + 1}").startswith("552")
        talk.say("MAIL FROM:<> SIZE=2000000")
        talk.say(f"RCPT TO:<{report_address()}>")
        talk.say("DATA")
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            talk.send_on(lines(1 << 20), 100)

    assert not RawReport.objects.exists()


def test_few_large_mails_come_at_once(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "LARGE_AT_ONCE", 1)
    to = report_address()
    with Talk(port) as one, Talk(port) as other:
        for talk in (one, other):
            talk.say("MAIL FROM:<> SIZE=2000000")

        assert one.say(f"RCPT TO:<{to}>").startswith("250")
        assert other.say(f"RCPT TO:<{to}>").startswith("452 4.3.1")
        one.say("RSET")
        assert other.say(f"RCPT TO:<{to}>").startswith("250")


def test_large_mails_are_few_a_day(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "LARGE_A_DAY", 1)
    to = report_address()
    with Talk(port) as talk:
        talk.say("MAIL FROM:<> SIZE=1200000")
        talk.say(f"RCPT TO:<{to}>")
        talk.say("DATA")
        talk.send(lines(1_200_000) + b".\r\n")
        assert talk.answer().startswith("250")

        talk.say("MAIL FROM:<> SIZE=1200000")
        assert talk.say(f"RCPT TO:<{to}>").startswith("452 4.2.2")
        talk.say("RSET")
        assert talk.deliver(to).startswith("250")  # Small ones go on.


def test_a_mail_of_more_than_a_mebibyte_is_told_so(port: int) -> None:
    line = b"x" * 70 + b"\r\n"
    with Talk(port) as talk:
        talk.say("MAIL FROM:<> SIZE=1048577")
        assert talk.say(f"RCPT TO:<{TAGGED}>").startswith("552 5.3.4")
        talk.say("RSET")
        assert talk.deliver(TAGGED, content=line * (1_048_576 // len(line))).startswith("250")
        assert talk.deliver(TAGGED, content=line * (1_048_576 // len(line) + 2)).startswith("552")


@pytest.mark.parametrize("line", ["", "RCPT", "MAIL FROM:" + "<" * 400, "\x00\xff", "DATA", "MAIL FROM:" + "(" * 400])
def test_senseless_commands_get_an_error_and_the_conversation_goes_on(port: int, line: str) -> None:
    with Talk(port) as talk:
        assert talk.say(line)[:1] in "45"
        assert talk.deliver(TAGGED).startswith("250")


def test_a_silent_sender_is_left(server: SmtpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feedback.listener.server.IDLE_SECONDS", 0.3)
    with running(tmp_path) as port, Talk(port) as talk:
        assert talk.answer() == ""


@pytest.mark.parametrize("is_secured", [False, True])
def test_senders_who_read_no_answer_hold_no_connection(
    server: SmtpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_secured: bool
) -> None:
    monkeypatch.setattr("feedback.listener.server.IDLE_SECONDS", 2)  # Long enough for a handshake of this machine.
    monkeypatch.setattr(conversation, "LINGER_SECONDS", 0.2)
    with running(tmp_path) as port:
        deaf = [Deaf(port, is_secured) for _ in range(conversation.CONNECTIONS)]
        ends_at = time.monotonic() + 20

        while (late := Talk(port, greets=False)).greeting.startswith("421") and time.monotonic() < ends_at:
            late.close()

        assert late.greeting.startswith("220")
        late.close()
        for sender in deaf:
            sender.close()


def test_a_stop_waits_for_nobody_who_reads_no_answer(
    server: SmtpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "LINGER_SECONDS", 0.2)
    with running(tmp_path) as port:  # It says so itself if it does not end.
        deaf = Deaf(port)
    deaf.close()


def test_a_failed_handshake_leaves_no_connection_open(port: int) -> None:
    with Talk(port) as talk:
        talk.say("STARTTLS")
        talk.send(b"no TLS at all\r\n" * 10)

        assert talk.ends()


def test_outside_each_network_has_so_many_connections() -> None:
    reception = conversation.Reception(storage=None)  # type: ignore[arg-type]
    of_one = conversation.outside_network("2600:1f18::1")

    def connect(network: str | None) -> bool:
        if is_room := reception.has_room(network):
            one = object.__new__(conversation.Conversation)
            one.network = network
            reception.connections.add(one)
        return is_room

    assert [connect(of_one) for _ in range(6)] == [True] * 5 + [False]
    assert connect(conversation.outside_network("2600:1f18::ffff:1")) is False
    assert connect(conversation.outside_network("8.8.8.8")) is True
    assert [connect(None) for _ in range(15)] == [True] * 14 + [False]
    reception.connections.clear()


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("8.8.8.8", "8.8.8.8"),
        ("::ffff:8.8.8.8", "8.8.8.8"),
        ("2600:1f18::1", "2600:1f18::/64"),
        ("127.0.0.1", None),
        ("::1", None),
        ("172.18.0.1", None),
        ("fe80::1%eth0", None),
    ],
)
def test_our_own_machines_are_no_network_outside(address: str, network: str | None) -> None:
    assert conversation.outside_network(address) == network


def test_a_bounce_with_long_lines_is_taken(port: int) -> None:
    with Talk(port) as talk:
        assert talk.deliver(TAGGED, content=b"x" * (64 * 1024 - 2) + b"\r\n").startswith("250")
        assert talk.deliver(TAGGED, content=b"x" * (64 * 1024 + 1) + b"\r\n").startswith("500")


def test_a_sender_who_drips_is_left_in_the_end(
    server: SmtpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "LONGEST_SECONDS", 0.4)
    with running(tmp_path) as port, Talk(port) as talk, pytest.raises((BrokenPipeError, ConnectionResetError)):
        talk.send_on(b"N", 2_000, seconds=0.01)


def test_beyond_twenty_connections_the_next_one_waits(port: int) -> None:
    talks = [Talk(port) for _ in range(20)]
    with Talk(port, greets=False) as late:
        assert late.greeting.startswith("421 4.3.2")
    for talk in talks:
        talk.close()


def test_while_the_database_is_away_the_sender_is_asked_to_come_again(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*args: object, **kwargs: object) -> None:
        raise OperationalError("server closed the connection")

    with Talk(port) as talk:
        with monkeypatch.context() as patch:
            patch.setattr(storage, "our_addresses", away)
            talk.say("MAIL FROM:<>")
            assert talk.say(f"RCPT TO:<{TAGGED}>").startswith("451 4.3.0")
        talk.say("RSET")
        with monkeypatch.context() as patch:
            patch.setattr(store, "take", away)
            assert talk.deliver(TAGGED).startswith("451 4.3.0")
        assert not RawReport.objects.exists()
        assert talk.deliver(TAGGED).startswith("250")


def test_lmtp_answers_for_each_recipient(server: SmtpServer, tmp_path: Path) -> None:
    with running(tmp_path, is_lmtp=True) as port, Talk(port, greets=False) as talk:
        assert talk.say("EHLO a").startswith("500")
        assert talk.say("LHLO a").startswith("250")
        assert talk.deliver(TAGGED, UNSUBSCRIBE) == "250 2.0.0 Stored"
        assert talk.answer() == "250 2.0.0 Stored"
        assert talk.say("NOOP").startswith("250")
    assert len(stored()) == 2


def test_a_stop_waits_for_what_is_being_stored(
    server: SmtpServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, may_go_on = threading.Event(), threading.Event()
    whole = store.take

    def slow(*args: object, **kwargs: object) -> store.Taken:
        reached.set()
        may_go_on.wait(10)
        return whole(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "take", slow)
    answers: list[str] = []
    with running(tmp_path) as port:
        talk = Talk(port)
        sending = threading.Thread(target=lambda: answers.append(talk.deliver(TAGGED)))
        sending.start()
        assert reached.wait(10)
        threading.Timer(0.2, may_go_on.set).start()
    sending.join(10)
    talk.close()

    assert answers == ["250 2.0.0 Stored"]
    assert len(stored()) == 1
