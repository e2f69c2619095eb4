"""People without permission on contacts meet no address, not even in what a server answered."""

import datetime as dt

import pytest
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.test import Client
from django.utils import timezone

from campaigns.models import Campaign
from delivery.models import Mailing, ProviderHold
from delivery.outbox import claims as outbox_claims
from delivery.outbox import leases
from delivery.outbox.plan import LaneShare
from delivery.outcomes import results
from delivery.outcomes.verdicts import judge
from mail.replies.reply import Reply
from mail.replies.rules import Stage
from smtpservers.models import SmtpServer
from smtpservers.smtp.answer import Answer
from tests.delivery.making import make_list, make_mailing, make_server

pytestmark = pytest.mark.django_db(transaction=True)


def refuse_all(server: SmtpServer, mailing: Mailing, stage: Stage, said: str, now: dt.datetime) -> None:
    """Record that the server answered so to each message."""
    lease = leases.acquire(server.pk)
    assert lease is not None
    claims = outbox_claims.claim(lease.token, server, LaneShare(mailing.pk, "It is first."), 100, now)
    assert claims
    for claim in claims:
        email = claim.message.email
        reply = Reply.parse(said.format(address=email, shouted=email.upper()))
        judgement = judge(Answer(stage, reply), stream="campaign", attempts=1, back_off=settings.RETRY_WAITS)
        result = results.Result(
            *(claim.attempt_id, claim.message, mailing.pk, "campaign", server.pk, claim.period_id, now, judgement),
            stage=stage.value,
            reply=reply,
        )
        assert results.record(lease.token, [result], now)
    leases.release(lease)


def pages(role: str, *addresses: str) -> str:
    client = Client()
    user = User.objects.create_user(role, is_staff=True)
    user.groups.add(Group.objects.get(name=role))
    client.force_login(user)
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
    refuse_all(server, mailing, stage, said, timezone.now())

    campaign = Campaign.objects.get()
    for role in ("ops", "viewer"):
        shown = pages(
            role,
            "/admin/",
            "/admin/smtpservers/smtpserver/",
            f"/servers/{server.pk}/test/",
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
