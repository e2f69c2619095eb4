"""A refused password: the server is left alone at once, and its account is not locked by trying on."""

from pathlib import Path

import pytest

from delivery.models import Message
from smtpservers.models import SmtpServer
from tests.delivery.making import make_list, make_mailing, make_server, run_drain
from tests.peers.peer import running_peer

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_refused_password_is_tried_hardly_ever_and_mail_takes_another_server(tmp_path: Path) -> None:
    with (
        running_peer(tmp_path / "a", accounts={"ann": "pencil"}) as strict,
        running_peer(tmp_path / "b") as other,
    ):
        wrong = make_server(strict.port, "Strict", username="ann", password="PENCIL", display_order=1)
        make_server(other.port, "Other", display_order=2)
        make_mailing(make_list(300))
        for _ in range(3):
            run_drain()

        tries = len(strict.journal.events("auth"))
        assert len(other.accepted()) == 300
    wrong.refresh_from_db()
    assert 1 <= tries <= 3
    assert "535" in wrong.paused_reason
    assert wrong.paused_until is None, "only an edit brings it back"
    assert wrong.is_active, "the operator's own switch is never touched"
    assert set(Message.objects.values_list("status", flat=True)) == {"accepted"}


def test_an_api_key_alone_signs_in_with_the_name_of_the_provider(tmp_path: Path) -> None:
    with running_peer(tmp_path, extensions=("AUTH PLAIN",), accounts={"apikey": "SG.key"}) as peer:
        make_server(peer.port, preset="sendgrid", api_key="SG.key")
        make_mailing(make_list(1))
        run_drain()

        assert len(peer.accepted()) == 1
    assert SmtpServer.objects.get().paused_reason == ""
