"""A message that ends every worker that composes it fails after three of them; all others are sent."""

import datetime as dt
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from delivery.content.composer import Composer
from delivery.models import Attempt, Lane, Mailing, Message
from delivery.outbox import claims as outbox_claims
from delivery.outbox import leases
from delivery.outbox.plan import LaneShare
from delivery.outcomes import journal, recovery
from smtpservers.models import SmtpServer
from tests.delivery.making import make_list, make_mailing, make_server, run_drain
from tests.harness.children import Child
from tests.peers.peer import running_peer

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def own_folder(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path / "data"
    settings.LEASE_SECONDS = 1


def end_worker(
    server: SmtpServer,
    mailing: Mailing,
    *,
    composing: str = "",
    is_compiling: bool = False,
    in_background: bool = False,
) -> None:
    """Claim what there is as a worker does, and be gone, or have lost the lane, in the middle of it."""
    now = timezone.now()
    lease = leases.acquire(server.pk)
    assert lease is not None
    notes = journal.Journal(recovery.journal_folder(), lease.token)
    claims = outbox_claims.claim(lease.token, server, LaneShare(mailing.pk, "first"), 500, now)
    assert claims
    if is_compiling:
        notes.compiling(mailing.pk)
    for claim in claims:
        if composing and claim.message.email.startswith(composing):
            notes.composing(claim.attempt_id, in_background=in_background)
            notes.composing(0, in_background=not in_background)  # Others are composed meanwhile.
    notes.close()  # Which leaves everything in place, as the kernel does.
    os.utime(notes.path, (0, 0))
    Lane.objects.filter(token=lease.token).update(expires_at=now - dt.timedelta(minutes=1))
    assert recovery.sweep(now) == len(claims)


@pytest.mark.parametrize("in_background", [False, True])
def test_the_third_worker_that_a_message_ends_is_the_last(tmp_path: Path, in_background: bool) -> None:
    with running_peer(tmp_path) as peer:
        server = make_server(peer.port)
        mailing = make_mailing(make_list(8))

        for _ in range(2):
            end_worker(server, mailing, composing="person3.", in_background=in_background)
        assert set(Message.objects.values_list("status", flat=True)) == {"queued"}
        end_worker(server, mailing, composing="person3.", in_background=in_background)

        poison = Message.objects.get(email__startswith="person3.")
        assert poison.status == "failed"
        assert poison.reason == "Poison: the worker was ended each of the 3 times it composed this message."
        assert poison.attempts.count() == 3
        run_drain()
        assert len(peer.accepted()) == 7
        others = Message.objects.exclude(pk=poison.pk)
        assert set(others.values_list("status", flat=True)) == {"accepted"}


def test_workers_that_end_for_other_reasons_blame_nobody(tmp_path: Path) -> None:
    server = make_server(9)
    mailing = make_mailing(make_list(4))

    for number in range(4):
        end_worker(server, mailing, composing=f"person{number}.")
    for _ in range(4):
        end_worker(server, mailing)

    assert set(Message.objects.values_list("status", flat=True)) == {"queued"}


def test_a_content_that_ends_its_workers_pauses_its_mailing_alone(tmp_path: Path) -> None:
    server = make_server(9)
    mailing = make_mailing(make_list(3))
    other = make_mailing(make_list(1, "Other"))

    for _ in range(2):
        end_worker(server, mailing, is_compiling=True)
    mailing.refresh_from_db()
    assert mailing.state == "open"
    end_worker(server, mailing, is_compiling=True)

    mailing.refresh_from_db()
    other.refresh_from_db()
    assert (mailing.state, other.state) == ("paused", "open")
    assert mailing.waiting_reason.startswith("Poison: the worker was ended each of the 3 times")
    assert set(Message.objects.values_list("status", flat=True)) == {"queued"}


def test_what_was_being_composed_survives_sigkill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_peer(tmp_path) as peer:
        make_server(peer.port, max_connections=1)
        make_mailing(make_list(8))
        # What a renderer does that runs into a bug of its own C code.
        compose, compose_together = Composer.compose, Composer.compose_together

        def die_at_person3(self: Composer, message: Any, *args: Any, **options: Any) -> Any:
            if message.email.startswith("person3."):
                os.kill(os.getpid(), signal.SIGKILL)
            return compose(self, message, *args, **options)

        def die_with_person3(self: Composer, messages: Any, *args: Any, **options: Any) -> Any:
            if any(message.email.startswith("person3.") for message in messages):
                os.kill(os.getpid(), signal.SIGKILL)
            return compose_together(self, messages, *args, **options)

        with monkeypatch.context() as patch:
            patch.setattr(Composer, "compose", die_at_person3)
            patch.setattr(Composer, "compose_together", die_with_person3)
            end_by_sigkill()
            # It ended the worker together with others. None of them is to blame yet, and each is composed alone now.
            assert not Attempt.objects.filter(rule="ended-composing").exists()
            end_by_sigkill()

    suspect = Attempt.objects.get(rule="ended-composing")
    assert suspect.message.email.startswith("person3.")
    assert Message.objects.get(pk=suspect.message.pk).status == "queued"


def end_by_sigkill() -> None:
    """Drain in a process that a message ends, and have its work swept."""
    assert Child(run_drain).wait()[0] == -signal.SIGKILL
    deadline = time.monotonic() + 20
    while not recovery.sweep(timezone.now()):
        assert time.monotonic() < deadline, "nobody swept"
        time.sleep(0.05)


def test_what_cannot_be_composed_together_is_composed_one_by_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compose = Composer.compose

    def fail(*_: Any, **options: Any) -> Any:
        raise RuntimeError("a mistake of ours")

    def fail_at_person3(self: Composer, message: Any, *args: Any, **options: Any) -> Any:
        if message.email.startswith("person3."):
            raise RuntimeError("a mistake of ours")
        return compose(self, message, *args, **options)

    with running_peer(tmp_path) as peer, monkeypatch.context() as patch:
        make_server(peer.port, max_connections=1)
        make_mailing(make_list(8))
        patch.setattr(Composer, "compose_together", fail)
        patch.setattr(Composer, "compose", fail_at_person3)
        run_drain()

    assert len(peer.accepted()) == 7
    assert Message.objects.get(status="failed").email.startswith("person3.")
