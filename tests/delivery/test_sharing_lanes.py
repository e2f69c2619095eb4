"""How worker processes share the lanes of a fleet."""

from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from delivery import lanes
from delivery.models import WorkerSeen
from tests.delivery.making import make_list, make_mailing, make_server, run_drain
from tests.peer import running_peer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize(("others", "most"), [(0, 4), (1, 2), (3, 1)])
def test_a_worker_takes_its_fair_share_of_the_lanes_and_no_more(tmp_path: Path, others: int, most: int) -> None:
    held: list[int] = []

    def count(event: str, context: dict[str, Any]) -> None:
        if event == "mail":
            held.append(len(lanes.busy_servers()))
            connection.close()  # This thread's own.

    with running_peer(tmp_path, count) as peer:
        for number in range(others):
            WorkerSeen.objects.create(name=f"deliver elsewhere process {number}", seen_at=timezone.now())
        mailings = [
            make_mailing(make_list(8, name=f"List {number}"), server=make_server(peer.port, f"Server {number}"))
            for number in range(4)
        ]

        run_drain()

        assert max(held) == most
        assert {mailing.messages.get(email__startswith="person0.").status for mailing in mailings} == {"accepted"}
        assert len(peer.accepted()) == 4 * 8


@pytest.mark.postgres
def test_a_process_that_is_stopped_in_a_transaction_does_not_hold_up_the_others() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW idle_in_transaction_session_timeout")
        assert cursor.fetchone() == ("20s",)
