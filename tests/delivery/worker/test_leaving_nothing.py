"""What a worker holds after it has sent: no more than before, however many messages and lines there were."""

import gc
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from delivery.content.message import Outgoing
from delivery.outbox.claims import Claim
from delivery.outcomes.result import Result
from delivery.records import figures
from tests.delivery.making import make_list, make_mailing, make_server, run_drain
from tests.peers.conversation import DROP, Script
from tests.peers.peer import running_peer

pytestmark = pytest.mark.django_db(transaction=True)

CLOSE_WAIT = "08"


def close_every_seventh() -> Script:
    """Return a script that ends a connection behind an answer: what the worker does not close stays half open."""
    answered = [0]

    def script(event: str, context: dict[str, Any]) -> Any:
        if event != "dot":
            return None
        answered[0] += 1
        return (b"250 2.0.0 queued", DROP) if answered[0] % 7 == 0 else None

    return script


def half_open() -> int:
    """Return how many of this process's lines were closed by the other side alone."""
    own = {os.readlink(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd") if _is_there(name)}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[3] == CLOSE_WAIT and f"socket:[{row[9]}]" in own for row in rows)


def _is_there(name: str) -> bool:
    return os.path.islink(f"/proc/self/fd/{name}")


def standing() -> tuple[int, int, int]:
    """Return how many threads, open files and values of messages there are."""
    connections.close_all()
    gc.collect()
    values = sum(isinstance(thing, Claim | Outgoing | Result) for thing in gc.get_objects())
    return threading.active_count(), len(os.listdir("/proc/self/fd")), values


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs Linux's /proc")
def test_a_run_leaves_no_thread_file_line_or_message_behind(tmp_path: Path) -> None:
    with running_peer(tmp_path, close_every_seventh()) as peer:
        make_server(peer.port, max_connections=5)
        audience = make_list(60)
        after = []
        for _ in range(3):
            mailing = make_mailing(audience)
            run_drain(seconds=30)
            assert figures.counts(mailing.pk)["accepted"] > 30  # Others are deferred with their line.
            assert half_open() == 0
            after.append(standing())

    assert after[0][2] == 0
    assert after[1] == after[2] == after[0]
