"""One click in the headers: our own page takes it, a page of somebody else only once it has shown so."""

import datetime as dt
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from smtpservers.models import SmtpServer
from tests.delivery.making import make_list, make_mailing, make_server, run_drain
from tests.peers.peer import running_peer

pytestmark = pytest.mark.django_db(transaction=True)
NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
PAGE = "https://shop.example/leave?t={token}&e={email}"


@pytest.mark.parametrize(
    ("fields", "is_offered"),
    [
        ({}, True),
        ({"unsubscribe_url": PAGE}, False),
        ({"unsubscribe_url": PAGE, "unsubscribe_probed_at": NOW}, True),
        ({"unsubscribe_url": PAGE, "unsubscribe_probed_at": NOW, "unsubscribe_problem": "No."}, False),
        ({"unsubscribe_url": PAGE, "unsubscribe_problem": "No.", "relays_unsubscribes": True}, True),
        ({"unsubscribe_url": "mailto:leave@shop.example", "unsubscribe_probed_at": NOW}, False),
        ({"unsubscribe_url": PAGE, "unsubscribe_probed_at": NOW, "use_unsubscribe_link": False}, False),
    ],
)
def test_one_click_is_offered_where_it_works(tmp_path: Path, fields: dict[str, Any], is_offered: bool) -> None:
    with running_peer(tmp_path) as peer:
        make_server(peer.port, **fields)
        make_mailing(make_list(1))
        run_drain()

        [(_, content)] = peer.bodies
    mail = message_from_bytes(content)
    assert mail["List-Unsubscribe-Post"] == ("List-Unsubscribe=One-Click" if is_offered else None)
    if fields.get("unsubscribe_url") == PAGE and fields.get("use_unsubscribe_link", True):
        is_relayed = fields.get("relays_unsubscribes", False)
        start = f"{settings.BASE_URL}/u/" if is_relayed else "https://shop.example/leave?t="
        assert mail["List-Unsubscribe"].startswith(f"<{start}")
        assert (b"shop.example/leave" in content) is not is_relayed


def test_a_copy_never_leads_to_a_page_that_would_take_the_reader_off(tmp_path: Path) -> None:
    with running_peer(tmp_path) as peer:
        make_server(peer.port, unsubscribe_url=PAGE, unsubscribe_probed_at=NOW, mail_bcc="boss@shop.example")
        make_mailing(make_list(1))
        run_drain()
        run_drain()

        mails = {context["rcpt_to"]: content for context, content in peer.bodies}
    assert len(mails) == 2
    assert b"shop.example/leave" not in mails.pop("boss@shop.example")
    assert b"shop.example/leave" in mails.popitem()[1]


def test_what_a_probe_found_reaches_the_next_message(tmp_path: Path) -> None:
    with running_peer(tmp_path) as peer:
        server = make_server(peer.port, unsubscribe_url=PAGE)
        make_mailing(make_list(1, "First"))
        run_drain()
        SmtpServer.objects.filter(pk=server.pk).update(unsubscribe_probed_at=NOW, version=server.version + 1)
        make_mailing(make_list(1, "Second"))
        run_drain()

        offers = [b"List-Unsubscribe-Post" in content for _, content in peer.bodies]
    assert offers == [False, True]
