"""Message-IDs: one for each message, and the same one for a second copy, whichever server takes it."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from campaigns.models import Campaign, FrozenContent
from campaigns.schedule import mailings
from delivery.content import message_ids
from delivery.content.message import Outgoing
from delivery.models import Mailing, Message
from delivery.outbox import leases
from smtpservers.models import SmtpServer
from tests.delivery.making import make_list, make_mailing, make_server, run_drain
from tests.peers.peer import running_peer

pytestmark = pytest.mark.django_db
committed = pytest.mark.django_db(transaction=True)  # Other connections see its rows.

NOW = dt.datetime(2026, 11, 30, 23, 59, tzinfo=dt.UTC)


def message_id(mailing: Mailing, email: str = "ann@shop.example", **fields: Any) -> str:
    return message_ids.make_all(mailing, [Outgoing(1, 1, email, email, **fields)])[0]


def mailing(**fields: Any) -> Mailing:
    return Mailing(**({"pk": 7, "reference": "c12", "identity": "a", "id_domain": "shop.example"} | fields))


def test_it_follows_from_mailing_recipient_and_kind_of_copy_alone() -> None:
    original, other = Outgoing(2, 1, "a@b.c", "a@b.c"), Outgoing(3, 1, "d@b.c", "d@b.c")
    found = [
        message_id(mailing()),
        message_id(mailing(identity="b")),
        message_id(mailing(), "bob@shop.example"),
        message_id(mailing(), copy_of=original, copy_kind="cc"),
        message_id(mailing(), copy_of=original, copy_kind="bcc"),
        message_id(mailing(), copy_of=other, copy_kind="cc"),
        message_id(mailing(identity="", pk=7)),
        message_id(mailing(identity="", pk=8)),
    ]

    assert len(set(found)) == len(found)
    assert found[0] == message_id(mailing(pk=99))  # In a restored database the numbers may be others.
    assert found[0].startswith("<c12.")
    assert found[0].endswith("@shop.example>")


def test_nobody_can_make_one_up_without_the_key(settings: Any) -> None:
    before = message_id(mailing())
    settings.TOKEN_KEYS = ["another key"]

    assert message_id(mailing()) != before


@pytest.mark.parametrize(
    ("mail_from", "server", "domain"),
    [
        ("Shop <news@News.Shop.example>", {"domain_name": "mx.shop.example"}, "news.shop.example"),
        ("news@bücher.example", {}, "xn--bcher-kva.example"),
        ("", {"domain_name": "mx.shop.example"}, "mx.shop.example"),
        ("", {"mail_from": "Shop <a@from.example>"}, "from.example"),
    ],
)
def test_the_right_side_is_of_the_from_or_else_of_the_first_server(
    mail_from: str, server: dict[str, str], domain: str
) -> None:
    values = {"mail_from": "a@elsewhere.example", "host": "localhost"} | server

    assert message_ids.id_domain(mail_from, SmtpServer(**values)) == domain


def test_the_first_server_settles_the_right_side_for_good() -> None:
    first = SmtpServer(domain_name="first.example", mail_from="a@first.example")
    second = SmtpServer(domain_name="second.example", mail_from="a@second.example")
    stored = make_mailing(make_list(1))
    also = Mailing.objects.get(pk=stored.pk)  # As another worker has it, that read it before.

    message_ids.fix_id_domain(stored, first)
    message_ids.fix_id_domain(also, second)

    assert (stored.id_domain, also.id_domain) == ("first.example", "first.example")


@committed
def test_a_second_copy_by_another_server_has_the_first_ones_message_id(tmp_path: Path) -> None:
    with running_peer(tmp_path) as peer:
        alpha = make_server(peer.port, domain_name="alpha.shop.example", display_order=1)
        make_server(peer.port, "Beta", domain_name="beta.shop.example", display_order=9)
        make_mailing(make_list(3))
        run_drain()
        sent = dict(Message.objects.values_list("email", "message_id"))

        # As in a database that was restored from a dump of before.
        Message.objects.update(status="queued", message_id="", due_at=timezone.now(), attempt_count=5)
        Mailing.objects.update(finished_at=None)
        SmtpServer.objects.filter(pk=alpha.pk).update(is_active=False)
        run_drain()
        again = dict(Message.objects.values_list("email", "message_id"))

        headers = [line for _, body in peer.bodies for line in body.decode().splitlines() if "Message-ID:" in line]
    assert again == sent
    assert len(set(sent.values())) == 3
    assert len(headers) == 6
    assert len(set(headers)) == 3
    assert {value.rpartition("@")[2] for value in sent.values()} == {"alpha.shop.example>"}
    assert not leases.busy_servers()


def test_a_campaign_begun_again_from_what_was_queued_has_the_same_identity() -> None:
    campaign = Campaign.objects.create(name="Winter")
    assert mailings.identity_of(campaign) == ""

    frozen = FrozenContent.objects.create(
        campaign=campaign, version="1", audience={}, contents={"": {}, "A": {}}, frozen_at=NOW
    )
    first = mailings.identity_of(campaign)
    again = mailings.identity_of(Campaign.objects.get(pk=campaign.pk))
    campaign.letter = "A"
    of_variant = mailings.identity_of(campaign)
    FrozenContent.objects.filter(pk=frozen.pk).update(frozen_at=NOW + dt.timedelta(seconds=1))

    assert first == again
    assert len({"", first, of_variant, mailings.identity_of(Campaign.objects.get(pk=campaign.pk))}) == 4
    assert len(first) == 32
