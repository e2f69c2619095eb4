"""Which of a server's fields act on which class of mail, read off the wire."""

import email
import email.policy
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path

import pytest
from django.utils import timezone

from delivery.operators import notices
from delivery.operators.send_test import Content, send_test
from delivery.outbox.transactional import send_single
from smtpservers.limits.reservations import current_period
from smtpservers.models import QuotaPeriod, SmtpServer
from tests.delivery.making import make_list, make_mailing, make_server, run_drain
from tests.peers.peer import running_peer

pytestmark = pytest.mark.django_db(transaction=True)

FIELDS = {
    "mail_to": "ops@shop.example",
    "mail_cc": "boss@shop.example",
    "mail_bcc": "archive@shop.example",
    "precedence": "bulk",
    "use_precedence": True,
    "return_path": "bounces@shop.example",
    "use_return_path": True,
    "use_spam_address": True,
    "spam_address": "fbl@shop.example",
    "use_abuse_address": True,
    "abuse_address": "abuse@shop.example",
    "unknown_first_name": "Friend",
    "utm_source": "news",
    "max_per_month": 1000,
}
HTML = '<p>Dear {{ first_name }}</p><a href="https://shop.example/sale">Sale</a>'
COPIES = {"boss@shop.example", "archive@shop.example"}


def campaign(server: SmtpServer) -> None:
    audience = make_list(1)
    audience.contacts.update(first_name="")
    make_mailing(audience, html=HTML)


def test(server: SmtpServer) -> None:
    content = Content(name="Winter", subject="Winter sale", html=HTML, text="")
    send_test(server_id=server.pk, recipient="ann@customer.example", actor=None, now=timezone.now(), content=content)


test.__test__ = False  # type: ignore[attr-defined]  # A class of mail.


def single(server: SmtpServer) -> None:
    send_single(to="ann@customer.example", subject="Receipt", html=HTML, now=timezone.now())


def commercial(server: SmtpServer) -> None:
    send_single(to="ann@customer.example", subject="Offer", html=HTML, is_commercial=True, now=timezone.now())


def notice(server: SmtpServer) -> None:
    QuotaPeriod.objects.filter(pk=current_period(server, timezone.now()).pk).update(used=800)
    notices.notice(timezone.now())


# What acts: campaign, test, single, commercial single, notice.
TABLE: dict[str, tuple[Callable[[EmailMessage, str], bool], str]] = {
    "From": (lambda message, words: message["From"] == "Example Shop <news@shop.example>", "yes yes yes yes yes"),
    "Cc": (lambda message, words: message["Cc"] == "boss@shop.example", "yes yes yes yes no"),
    "unsubscribe headers": (lambda message, words: "/u/" in str(message["List-Unsubscribe"]), "yes yes no yes no"),
    "unsubscribe link": (lambda message, words: "/u/" in words, "yes yes no yes no"),
    "Precedence": (lambda message, words: message["Precedence"] == "bulk", "yes yes no no no"),
    "X-Auto-Response-Suppress": (lambda message, words: "X-Auto-Response-Suppress" in message, "yes yes no no no"),
    "Auto-Submitted": (lambda message, words: message["Auto-Submitted"] == "auto-generated", "no no no no yes"),
    "CFBL-Address": (lambda message, words: "fbl@" in str(message["CFBL-Address"]), "yes yes yes yes no"),
    "CFBL-Feedback-ID": (lambda message, words: "CFBL-Feedback-ID" in message, "yes yes yes yes no"),
    "X-Complaints-To": (lambda message, words: "fbl@" in str(message["X-Complaints-To"]), "yes yes yes yes no"),
    "X-Report-Abuse": (lambda message, words: "abuse@" in str(message["X-Report-Abuse"]), "yes yes yes yes no"),
    "X-Abuse-Reports-To": (lambda message, words: "X-Abuse-Reports-To" in message, "yes yes yes yes no"),
    "abuse address in the words": (lambda message, words: "abuse@shop.example" in words, "no no no no yes"),
    "UTM": (lambda message, words: "utm_source=news" in words, "yes yes no yes no"),
    "unknown names": (lambda message, words: "Dear Friend" in words, "yes yes yes yes no"),  # Notices name nobody.
    "Return-Path": (lambda message, words: "Return-Path" in message, "no no no no no"),
    "Bcc": (lambda message, words: "Bcc" in message or "archive@" in words, "no no no no no"),
    "[TEST]": (lambda message, words: message["Subject"].startswith("[TEST] "), "no yes no no no"),
    "Content-Language": (lambda message, words: message["Content-Language"] == "en", "no no no no yes"),
}


@pytest.mark.parametrize("column", range(5), ids=["campaign", "test", "single", "commercial", "notice"])
def test_each_field_acts_on_its_classes_alone(tmp_path: Path, column: int) -> None:
    with running_peer(tmp_path) as peer:
        server = make_server(peer.port, **FIELDS)
        (campaign, test, single, commercial, notice)[column](server)

        run_drain()

        (context, body), *copies = peer.bodies
        message = email.message_from_bytes(body, policy=email.policy.default)
        part = message.get_body(("html", "plain"))
        assert part is not None
        words = part.get_content()
        found = {row: "yes" if acts(message, words) else "no" for row, (acts, _) in TABLE.items()}  # type: ignore[arg-type]
        assert found == {row: expected.split()[column] for row, (_, expected) in TABLE.items()}
        assert context["mail_from"].startswith("bounces+")
        assert {each["rcpt_to"] for each, _ in copies} == (set() if column == 4 else COPIES)
        used = QuotaPeriod.objects.get().used
        assert used == (801 if column == 4 else 3)
