"""A relay that limits the account, while the workers that hear of it are killed: nobody bounces, nothing is lost."""

import threading
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from contacts.models import Suppression
from delivery.models import Attempt, Mailing, MailingOutcome, Message, Refusal, ServerOutcome
from delivery.records import figures
from smtpservers.models import SmtpServer
from tests.delivery.making import make_mailing, make_server
from tests.delivery.outcomes.test_account_limits import people
from tests.faults.test_processes import are_finished, running, wait_for
from tests.harness.workers import Worker
from tests.peers.peer import kill_sender, running_peer

__all__ = ["running"]  # A fixture.

pytestmark = pytest.mark.django_db(transaction=True)


class Deadly:
    """Accepts so many messages and refuses all others; at some of its refusals the process that asked is killed."""

    def __init__(self, accepts: int, kills_at: set[int]) -> None:
        self.left, self.kills_at, self.refused = accepts, kills_at, 0
        self.killed = 0
        self.lock = threading.Lock()

    def __call__(self, event: str, context: dict[str, Any]) -> bytes | None:
        if event != "rcpt":
            return None
        with self.lock:
            if self.left > 0:
                self.left -= 1
                return None
            self.refused += 1
            if self.refused in self.kills_at:
                self.killed += 1
                kill_sender(context)
        return b"550 Enough for customer %d today" % self.refused


def rehearse(folder: Path, running: Callable[..., Worker], number: int, campaigns: int, kills_at: set[int]) -> None:
    script = Deadly(25, kills_at)
    with ExitStack() as stack:
        limited = stack.enter_context(running_peer(folder / "limited", script))
        other = stack.enter_context(running_peer(folder / "other"))
        make_server(limited.port, "Limited", display_order=1)
        make_server(other.port, "Other", display_order=2)
        audience = people(number)
        worker = running(folder / "data")
        mailings = []
        for _ in range(campaigns):
            mailings.append(make_mailing(audience))
            wait_for(are_finished(*mailings), worker, seconds=300)
            SmtpServer.objects.update(full_until=None)  # A person resumes it, and learns nothing.
        worker.stop()

        statuses: Counter[str] = Counter()
        for mailing in mailings:
            statuses.update(figures.counts(mailing.pk))
        assert statuses["accepted"] + statuses["unconfirmed"] == number * campaigns, statuses
        assert len(limited.accepted()) + len(other.accepted()) == number * campaigns
        assert statuses["unconfirmed"] <= 2 * 3 * len(kills_at)
        assert script.killed == len(kills_at)
    burnt = ["bounced", "failed"]
    assert not Suppression.objects.exists()
    assert not Message.objects.filter(status__in=burnt).exists()
    assert not Attempt.objects.filter(outcome__in=burnt).exists()
    counted = Counter(Attempt.objects.exclude(outcome="not_sent").values_list("batch__server_name", "outcome"))
    for model in (MailingOutcome, ServerOutcome):
        found: Counter[tuple[str, str]] = Counter()
        for server, outcome, of_it in model.objects.values_list("server_name", "outcome", "number"):
            found[server, outcome] += of_it
        assert found == counted
    assert Refusal.objects.filter(is_taken_back=True).exists()
    assert not Refusal.objects.filter(is_taken_back=False, is_in_row=True).exists()
    assert not Mailing.objects.filter(finished_at=None).exists()


def test_a_limited_account_and_a_killed_worker_leave_nobody_bounced(
    tmp_path: Path, running: Callable[..., Worker]
) -> None:
    rehearse(tmp_path, running, number=120, campaigns=1, kills_at={4})


@pytest.mark.faults
def test_three_campaigns_to_400_people_and_four_kills_suppress_nobody(
    tmp_path: Path, running: Callable[..., Worker]
) -> None:
    rehearse(tmp_path, running, number=400, campaigns=3, kills_at={3, 5, 8, 11})
