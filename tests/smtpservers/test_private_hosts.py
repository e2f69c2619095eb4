"""Servers in private networks: relays of one's own as a rule, and out of reach where the site says so."""

from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from delivery.testing import send_test
from tests.delivery.making import make_server
from tests.peer import running_peer

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_private_host_is_reached_unless_the_site_forbids_it(tmp_path: Path, settings: Any) -> None:
    with running_peer(tmp_path) as peer:
        server = make_server(peer.port, host="localhost")

        def talk() -> Any:
            return send_test(server_id=server.pk, recipient="ops@customer.example", actor=None, now=timezone.now())

        assert talk().is_accepted
        settings.FORBID_PRIVATE_HOSTS = True
        refused = talk()

        assert len(peer.accepted()) == 1
    assert refused.steps[-1].step.reply == "localhost has only link-local or private addresses, which are refused"
    assert "FORBID_PRIVATE_HOSTS" in refused.steps[-1].explanation
