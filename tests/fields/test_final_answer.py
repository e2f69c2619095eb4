"""How long the answer to a whole message is awaited: 600 seconds, whatever SMTP timeout says (RFC 5321 4.5.3.2.6)."""

import threading
from typing import Any

import pytest
from django.conf import settings
from django.test import override_settings
from django.utils import timezone

from delivery.models import Message
from smtpservers.models import SmtpServer
from smtpservers.smtp.endpoint import endpoint_of
from tests.fields.bench import Bench


@pytest.mark.parametrize("seconds", [5, 30, 599, 600])
def test_the_field_rules_every_answer_but_the_last(seconds: int) -> None:
    server = SmtpServer(host="127.0.0.1", mail_from="news@shop.example", timeout_seconds=seconds)

    endpoint = endpoint_of(server, final_timeout=settings.FINAL_ANSWER_SECONDS, clock=timezone.now)

    assert (endpoint.timeout, endpoint.final_timeout) == (seconds, 600)


@pytest.mark.parametrize(("silence", "status"), [(2.0, "accepted"), (20.0, "unconfirmed")])
def test_the_last_answer_is_awaited_longer_than_the_others(bench: Bench, silence: float, status: str) -> None:
    over = threading.Event()
    bench.resources.callback(over.set)

    def be_silent(event: str, context: dict[str, Any]) -> None:
        if event == "dot":
            over.wait(silence)

    bench.peer = bench.start_peer(be_silent)
    server = bench.save()
    SmtpServer.objects.filter(pk=server.pk).update(timeout_seconds=1)  # Both scaled down; the form begins at 5.

    with override_settings(FINAL_ANSWER_SECONDS=4):
        bench.campaign()

    assert Message.objects.get().status == status
    assert len(bench.peer.journal.events("dot")) == 1
