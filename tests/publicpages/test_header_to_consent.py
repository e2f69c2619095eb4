"""From the header in a mail that really was sent to the consent in the database."""

import re
import socket
from collections.abc import Iterator

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from campaigns.models import Campaign
from contacts.models import Contact, ContactList, Subscription
from delivery.models import Message
from feedback.models import Feedback
from smtpservers.models import SmtpServer
from tests.harness.send_test import tried

pytestmark = pytest.mark.django_db(transaction=True)


class Mailbox:
    """Keeps what it is handed."""

    def __init__(self) -> None:
        self.mails: list[str] = []
        self.port = 0

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.mails.append(envelope.content.decode())
        return "250 2.0.0 kept"


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    handler = Mailbox()
    with socket.socket() as free:  # The controller knocks at the port it is given, so 0 will not do.
        free.bind(("127.0.0.1", 0))
        handler.port = free.getsockname()[1]
    controller = Controller(handler, hostname="127.0.0.1", port=handler.port)
    controller.start()
    yield handler
    controller.stop()


def test_the_unsubscribe_header_of_a_test_is_complete_and_inert(mailbox: Mailbox) -> None:
    news = ContactList.objects.create(name="News")
    ann = Contact.objects.create(email="ann@example.com", first_name="Ann")
    Subscription.objects.create(contact=ann, list=news)
    SmtpServer.objects.create(
        name="Alpha",
        host="127.0.0.1",
        port=mailbox.port,
        use_tls=False,
        mail_from="Shop <news@example.com>",
        handles_email_validation=True,
    )
    campaign = Campaign.objects.create(name="Sale", subject="Hello {{ first_name }}", text="Snow.")
    campaign.lists.set([news])
    client = Client()
    boss = User.objects.create_superuser("boss")
    client.force_login(boss)

    page = tried(
        client, reverse("campaigns:send_test", args=[campaign.pk]), {"recipient": "ann@example.com", "contact": ann.pk}
    ).content.decode()
    mail = mailbox.mails[0]
    link = re.search(r"List-Unsubscribe:\s+<([^>]+)>", mail)
    assert link is not None
    path = re.sub(r"^https?://[^/]+", "", link.group(1))
    answer = Client(enforce_csrf_checks=True).post(path, {"List-Unsubscribe": "One-Click"})

    assert "Alpha accepted the test to ann@example.com" in page
    assert "Subject: [TEST] Hello Ann" in mail
    assert "List-Unsubscribe-Post: List-Unsubscribe=One-Click" in mail
    assert Message.objects.get().status == "accepted"
    assert answer.status_code == 200
    assert "This is a test." in Client().get(path).content.decode()
    assert Subscription.objects.get().status == "subscribed"
    assert not Feedback.objects.exists()
