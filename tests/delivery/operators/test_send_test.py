"""The test of one server while somebody watches."""

import email
import email.policy
import ssl
from pathlib import Path
from typing import Any

import pytest
import trustme
from django.conf import LazySettings
from django.utils import timezone

from delivery.models import Attempt, Lane, Message
from delivery.operators.send_test import Content, Conversation, SendTestRefused, send_test
from mail.message.footers import WORDS
from smtpservers.models import QuotaPeriod, SmtpServer
from tests.delivery.making import make_server
from tests.peers.conversation import DROP
from tests.peers.name_server import MX, running_nameserver
from tests.peers.peer import running_peer

pytestmark = pytest.mark.django_db(transaction=True)
CANARY = "CANARY-secret-51"


def talk(server: SmtpServer, recipient: str = "ops@customer.example") -> Conversation:
    return send_test(server_id=server.pk, recipient=recipient, actor=None, now=timezone.now())


def failing(conversation: Conversation) -> tuple[str, str]:
    """Return the name of the failing step and its explanation."""
    (failed,) = [shown for shown in conversation.steps if not shown.step.is_ok]
    return failed.step.name, failed.explanation


def test_every_step_is_shown_and_no_secret(tmp_path: Path) -> None:
    with running_peer(tmp_path) as peer:
        server = make_server(peer.port, username="ann", password=CANARY)

        conversation = talk(server)

        names = [shown.step.name for shown in conversation.steps]
        assert names == ["DNS", "connect", "banner", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "message"]
        assert conversation.is_accepted
        assert all(shown.step.milliseconds >= 0 and shown.explanation == "" for shown in conversation.steps)
        assert CANARY not in repr(conversation)
        assert conversation.message_id in peer.bodies[0][1].decode()


def test_it_counts_in_the_quota_and_stands_in_the_account(tmp_path: Path) -> None:
    with running_peer(tmp_path) as peer:
        server = make_server(peer.port, max_per_month=1, is_active=False)

        talk(server)

        period = QuotaPeriod.objects.get()
        assert (period.used, period.reserved) == (1, 0)
        assert Attempt.objects.get().outcome == "accepted"
        assert not Lane.objects.exists()
        with pytest.raises(SendTestRefused, match="Alpha has used its 1 message for this period, until "):
            talk(server)


def test_the_subject_is_in_the_servers_language(tmp_path: Path) -> None:
    with running_peer(tmp_path) as peer:
        talk(make_server(peer.port, language="de"))

        assert b"Testnachricht" in peer.bodies[0][1]


def test_a_servers_name_is_no_merge_tag(tmp_path: Path) -> None:
    with running_peer(tmp_path) as peer:
        assert talk(make_server(peer.port, name="{% z %}")).is_accepted

        assert b"through { % z %}" in peer.bodies[0][1]


def test_no_such_host() -> None:
    step, explanation = failing(talk(make_server(25, host="no-such-host.invalid")))

    assert step == "DNS"
    assert explanation.startswith("no-such-host.invalid wasn't found.")


def test_a_host_beyond_ascii_is_named_as_it_was_typed() -> None:
    conversation = talk(make_server(25, host="xn--bcher-kva.invalid"))

    _, explanation = failing(conversation)
    assert explanation.startswith("bücher.invalid wasn't found.")
    assert "there is no address for bücher.invalid" in conversation.reason


def test_a_refused_connection(tmp_path: Path) -> None:
    with running_peer(tmp_path) as peer:
        port = peer.port

    step, explanation = failing(talk(make_server(port)))

    assert step == "connect"
    assert "refused the connection" in explanation


def test_a_refused_password(tmp_path: Path) -> None:
    def refuse(event: str, context: dict[str, object]) -> bytes | None:
        return f"535 5.7.8 wrong: {CANARY}".encode() if event == "auth" else None

    with running_peer(tmp_path, refuse) as peer:
        server = make_server(peer.port, username="ann", password=CANARY)
        conversation = talk(server)

    step, explanation = failing(conversation)
    server.refresh_from_db()
    assert step == "AUTH"
    assert "password was rejected for ann" in explanation
    assert CANARY not in repr(conversation)
    assert CANARY not in str(list(Attempt.objects.values()) + list(Message.objects.values()))
    assert server.paused_reason == ""  # Somebody is setting it up.


def test_a_server_without_starttls_gets_nothing(tmp_path: Path) -> None:
    with running_peer(tmp_path) as peer:
        step, explanation = failing(talk(make_server(peer.port, use_tls=True, username="ann", password=CANARY)))

        assert step == "TLS"
        assert "doesn't offer encryption" in explanation
        assert peer.journal.events("auth", "mail") == []


def test_clear_text_at_a_port_for_implicit_tls(tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    with running_peer(tmp_path, tls=context) as peer:
        step, explanation = failing(talk(make_server(peer.port, timeout_seconds=5)))

    assert step == "banner"
    assert "needs implicit TLS" in explanation


def test_an_unknown_certificate_is_refused_and_a_trusted_one_shown(tmp_path: Path) -> None:
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    with running_peer(tmp_path, starttls=context) as peer:
        server = make_server(peer.port, use_tls=True)
        step, explanation = failing(talk(server))
        assert step == "TLS"
        assert "Trusted certificate" in explanation
        assert peer.journal.events("mail") == []

        server.trusted_certificate = ca.cert_pem.bytes().decode()
        server.save()
        conversation = talk(server)

    assert conversation.is_accepted
    tls = next(shown.step for shown in conversation.steps if shown.step.name == "TLS")
    assert tls.details["version"].startswith("TLSv1.")
    assert "127.0.0.1" in tls.details["certificate for"]


def test_a_certificate_for_another_host_is_refused(tmp_path: Path) -> None:
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("mail.other.example").configure_cert(context)
    with running_peer(tmp_path, starttls=context) as peer:
        server = make_server(peer.port, use_tls=True, trusted_certificate=ca.cert_pem.bytes().decode())
        step, explanation = failing(talk(server))

    assert step == "TLS"
    assert "certificate isn't for" in explanation


def test_a_lost_answer_is_unconfirmed(tmp_path: Path) -> None:
    with running_peer(tmp_path, lambda event, context: DROP if event == "dot" else None) as peer:
        conversation = talk(make_server(peer.port))

    step, explanation = failing(conversation)
    assert (step, conversation.status) == ("message", "unconfirmed")
    assert "It may have arrived" in explanation


def test_a_bad_recipient_is_refused_before_anything_is_sent() -> None:
    server = make_server(25)

    with pytest.raises(SendTestRefused, match="@"):
        talk(server, "not an address")

    assert not Message.objects.exists()


@pytest.mark.parametrize("language", sorted(WORDS))
def test_nobody_who_tests_a_server_is_told_that_they_are_on_a_list(tmp_path: Path, language: str) -> None:
    with running_peer(tmp_path) as peer:
        talk(make_server(peer.port, language=language))

        [(_, content)] = peer.bodies
    text = email.message_from_bytes(content, policy=email.policy.default).get_body(("plain",)).get_content()
    assert WORDS[language].tested in text
    assert WORDS[language].reason not in text


def test_the_test_of_a_campaign_looks_as_its_readers_will_see_it(tmp_path: Path) -> None:
    content = Content("Winter", "Winter sale", "<p>Snow</p>", "", reference="c7")
    with running_peer(tmp_path) as peer:
        server = make_server(peer.port)
        send_test(
            server_id=server.pk, recipient="ops@customer.example", actor=None, now=timezone.now(), content=content
        )

        assert "because you are on our mailing list" in peer.bodies[0][1].decode()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"return_path": "b@gone.wiretest.net", "use_return_path": True}, "Bounces would be lost"),
        ({"return_path": "b@null.wiretest.net", "use_return_path": True}, "Bounces would be lost"),
        (
            {"return_path": "b@here.wiretest.net", "use_return_path": True},
            "Not checked: mail.customer.example couldn't",
        ),
        ({"return_path": "b@gone.wiretest.net", "use_return_path": False}, ""),
        (
            {"return_path": "b@mail.example.com", "use_return_path": True},
            "Not checked: mail.example.com is reserved for examples",
        ),
    ],
)
def test_a_return_path_that_takes_no_mail_is_said(
    tmp_path: Path, settings: LazySettings, fields: dict[str, Any], words: str
) -> None:
    zone = {"here.wiretest.net": MX, "null.wiretest.net": {"MX": ["0 ."]}}
    with running_nameserver(zone) as nameserver, running_peer(tmp_path) as peer:
        settings.DNS_RESOLVERS = [nameserver.address]

        conversation = talk(make_server(peer.port, **fields))

    assert conversation.is_accepted
    last = conversation.steps[-1].step
    assert last.name == ("bounces" if words else "message")
    assert last.is_ok is not words.startswith("Bounces")
    assert words in last.reply
