"""A probe makes the whole circle: through the server, over the wire, and in by the listener."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from delivery.models import Message
from feedback import probes
from feedback.models import Probe, RawReport
from smtpservers.models import SmtpServer
from tests.delivery.making import make_server, run_drain
from tests.feedback.listener.conftest import running
from words.texts import TRANSLATOR


@pytest.mark.django_db(transaction=True)
def test_a_probe_that_comes_in_turns_mailto_unsubscribe_on_for_its_server_alone(tmp_path: Path) -> None:
    with running(tmp_path) as port:  # It is the server's mail exchanger, too.
        server = make_server(port, use_return_path=True, return_path="bounces@shop.example.net")
        other = make_server(port, name="Other", use_return_path=True, return_path="bounces@other.example.net")
        probes.send(server, timezone.now())
        run_drain()

    assert set(Message.objects.values_list("status", flat=True)) == {"accepted"}
    probe = Probe.objects.get()
    assert None not in (probe.bounce_at, probe.unsubscribe_at)
    assert probe.mailbox is None
    server.refresh_from_db()
    other.refresh_from_db()
    assert (server.mailto_domain, other.mailto_domain) == ("shop.example.net", "")
    assert not RawReport.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_a_probe_that_was_refused_before_sending_says_so_and_why(monkeypatch: pytest.MonkeyPatch) -> None:
    boss = Client()
    boss.force_login(User.objects.create_superuser("boss"))
    server = make_server(
        1, handles_email_validation=False, use_return_path=True, return_path="bounces@shop.example.net"
    )
    probes.send(server, timezone.now())

    queued = boss.get("/admin/feedback/mailbox/").content.decode()
    run_drain()
    Message.objects.order_by("pk").filter(email__startswith="unsub").update(status="accepted")
    refused = boss.get("/admin/feedback/mailbox/").content.decode()

    monkeypatch.setattr(TRANSLATOR, "gettext", lambda template: f"⟦{template}⟧")
    translated = boss.get("/admin/feedback/mailbox/").content.decode()

    assert queued.count("not arrived yet.") == 2
    assert "Not sent: ⟦The domain shop.example.net is reserved and receives no mail.⟧" in translated
    assert "Not sent: The domain shop.example.net is reserved and receives no mail." in refused
    assert refused.count("not arrived") == 1  # The other mail was accepted.
    assert "Queued " not in refused


@pytest.mark.django_db
def test_a_return_path_that_was_changed_meanwhile_is_not_proved() -> None:
    server = make_server(1, use_return_path=True, return_path="bounces@shop.example.net")
    probe = probes.send(server, timezone.now())
    SmtpServer.objects.update(return_path="bounces@elsewhere.example.net")

    assert probes.arrived(probe.key, probes.Purpose.UNSUBSCRIBE, timezone.now())

    server.refresh_from_db()
    assert server.mailto_domain == ""


@pytest.mark.django_db
def test_an_unknown_key_is_no_probe() -> None:
    assert not probes.arrived("0" * 32, None, timezone.now())
    assert probes.key_in(f"Re: {probes.SUBJECT} {'0' * 32} x") == "0" * 32
    assert probes.key_in(f"{probes.SUBJECT} {'0' * 31}") == ""


@pytest.mark.django_db
def test_a_server_without_a_return_path_cannot_be_probed() -> None:
    with pytest.raises(ValueError, match="needs a return path"):
        probes.send(make_server(1), timezone.now())


@pytest.mark.django_db
@pytest.mark.parametrize("domain", ["", "shop.example.net"])
def test_a_server_that_names_the_address_without_a_probe_says_so(domain: str) -> None:
    boss = Client()
    boss.force_login(User.objects.create_superuser("boss"))
    make_server(1, use_return_path=True, return_path="bounces@shop.example.net", mailto_domain=domain)

    page = boss.get("/admin/feedback/mailbox/").content.decode()

    assert ("named in mail all the same" in page) == bool(domain)
