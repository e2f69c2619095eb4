"""Servers in private networks: relays of one's own as a rule, and out of reach where the site says so."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from delivery.operators.send_test import send_test
from smtpservers.destinations import Security
from smtpservers.smtp.connection import ConnectionFailed, connect
from smtpservers.smtp.conversation import Step
from smtpservers.smtp.endpoint import Endpoint
from tests.delivery.making import make_server
from tests.peers.peer import running_peer

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


def attempt(peer: Any, answers: list[str], *, forbids_private: bool) -> tuple[list[Step], list[str]]:
    """Connect where a name server answers so, once; return the steps, and what was looked up."""
    endpoint = Endpoint(
        1, "Peer", "mx.shop.example", peer.port, Security.STARTTLS, "shop.example", forbids_private=forbids_private
    )
    steps: list[Step] = []
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return answers if len(asked) == 1 else ["127.0.0.1"]

    async def run() -> None:
        with pytest.raises(ConnectionFailed):
            await connect(endpoint, steps.append, resolve=resolve)

    asyncio.run(run())
    return steps, asked


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "::ffff:0.0.0.0", "100.64.0.1", "100.100.100.200", "198.18.7.7", "64:ff9b::7f00:1"),  # noqa: S104
        *("2002:7f00:1::", "fec0::1", "::127.0.0.1", "64:ff9b::a9fe:a9fe", "2001:0:1::80ff:fffe", "64:ff9b:1::7f00:1"),
        *("::1", "127.0.0.1", "fd00::5", "ff02::1", "fe80::1%lo", "192.0.2.1"),
    ],
)
def test_no_answer_of_a_name_server_leads_into_a_private_network(tmp_path: Path, address: str) -> None:
    with running_peer(tmp_path) as peer:
        steps, asked = attempt(peer, [address, address], forbids_private=True)

        assert peer.journal.events("conn") == []
    assert [step.name for step in steps] == ["DNS"]
    assert "which are refused" in steps[0].reply
    assert asked == ["mx.shop.example"], "what was judged is what would be connected to"


@pytest.mark.parametrize("address", ["0.0.0.0", "::ffff:0.0.0.0", "::ffff:169.254.169.254", "224.0.0.1", "::"])  # noqa: S104
def test_some_addresses_are_refused_in_any_case(tmp_path: Path, address: str) -> None:
    with running_peer(tmp_path) as peer:
        steps, _ = attempt(peer, [address], forbids_private=False)

        assert peer.journal.events("conn") == []
    assert steps[-1].reply == (
        "mx.shop.example has only link-local, unspecified or multicast addresses, which are refused"
    )
