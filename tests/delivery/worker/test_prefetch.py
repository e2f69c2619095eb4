"""How far claims run ahead of the database."""

import datetime as dt
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import pytest

from delivery.outbox import claims
from delivery.outcomes import results
from delivery.outcomes.result import Result
from delivery.worker import result_buffer
from tests.delivery.making import make_list, make_mailing, make_server, run_drain
from tests.harness.judge import verify
from tests.peers.peer import running_peer

pytestmark = pytest.mark.django_db(transaction=True)

PEOPLE = 300
CLAIMED, UNRECORDED = 10, 20


def test_nothing_is_claimed_while_many_results_wait_to_be_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(claims, "CLAIM_MESSAGES", CLAIMED)
    monkeypatch.setattr(result_buffer, "MOST_UNRECORDED", UNRECORDED)
    most = UNRECORDED + 3 * CLAIMED  # With what is claimed already: piles and connections are full.
    sent_unrecorded = 0
    record = results.record

    def record_late(token: uuid.UUID, group: Sequence[Result], now: dt.datetime) -> bool:
        """Wait before the first group until the server gets no more messages, or too many."""
        nonlocal sent_unrecorded
        quiet_at = 0.0 if sent_unrecorded else time.monotonic() + 1
        while time.monotonic() < quiet_at and sent_unrecorded <= most:
            if (sent := len(peer.accepted())) > sent_unrecorded:
                sent_unrecorded, quiet_at = sent, time.monotonic() + 1
            time.sleep(0.02)
        return record(token, group, now)

    monkeypatch.setattr(results, "record", record_late)
    with running_peer(tmp_path) as peer:
        server = make_server(peer.port)
        mailing = make_mailing(make_list(PEOPLE))

        run_drain()
        statuses = verify(mailing.pk, PEOPLE, [(server, peer)])

    assert 0 < sent_unrecorded <= most
    assert statuses == {"accepted": PEOPLE}
