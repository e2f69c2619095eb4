"""People without permission on contacts meet no address, not even in what a server answered."""

import datetime as dt
import uuid

import pytest
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.test import Client
from django.utils import timezone

from campaigns.models import Campaign
from delivery import recording
from delivery.judging import judge
from delivery.models import Attempt, Message, ProviderHold
from mail.replies import Reply, Stage
from smtpservers.models import SmtpServer
from smtpservers.transport import Answer
from tests.delivery.making import make_list, make_mailing, make_server

pytestmark = pytest.mark.django_db(transaction=True)


def refuse(server: SmtpServer, message: Message, stage: Stage, said: str, now: dt.datetime) -> None:
    """Record that the server answered so."""
    reply = Reply.parse(said)
    attempt = Attempt.objects.create(message=message, server=server, number=1, lane_token=uuid.uuid4(), started_at=now)
    judgement = judge(Answer(stage, reply), stream="campaign", attempts=1)
    result = recording.Result(
        attempt.pk, message, message.mailing_id, "campaign", server.pk, None, now, judgement, stage.value, reply
    )
    with transaction.atomic():
        recording.settle([result], now)


def pages(role: str, *addresses: str) -> str:
    client = Client()
    user = User.objects.create_user(role, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client.force_login(user, "django.contrib.auth.backends.ModelBackend")
    return " ".join(client.get(address, follow=True).content.decode() for address in addresses)


@pytest.mark.parametrize(
    ("stage", "said"),
    [
        (Stage.RCPT, "550 5.4.5 Daily user sending limit exceeded, {address} not served"),
        (Stage.RCPT, "421 4.7.28 Unusual rate of mail, {shouted} was not reached"),
        (Stage.MAIL, "550 5.7.26 Unauthenticated mail for {address}"),
        (Stage.DATA, "550 5.7.1 Rejected by the DMARC policy for {address}"),
    ],
)
def test_what_stops_a_server_or_a_campaign_names_nobody(stage: Stage, said: str) -> None:
    server = make_server(9, "Alpha")
    mailing = make_mailing(make_list(3))
    Campaign.objects.create(name="Winter", subject="Winter", mailing=mailing, status="sending")
    for message in Message.objects.filter(mailing=mailing):
        email = message.email
        refuse(server, message, stage, said.format(address=email, shouted=email.upper()), timezone.now())

    campaign = Campaign.objects.get()
    for role in ("ops", "viewer"):
        shown = pages(
            role,
            "/admin/",
            "/admin/smtpservers/smtpserver/",
            f"/delivery/servers/{server.pk}/test/",
            f"/campaigns/{campaign.pk}/",
            f"/campaigns/{campaign.pk}/progress.json",
        ).lower()
        assert "alpha" in shown
        assert "@customer.example" not in shown
    server.refresh_from_db()
    mailing.refresh_from_db()
    held = "".join(ProviderHold.objects.values_list("reason", flat=True))
    assert "@customer.example" not in held.lower()
    assert server.full_reason or held or mailing.waiting_reason, "nothing was stopped, nothing tried"
