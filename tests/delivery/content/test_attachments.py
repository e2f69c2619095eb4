"""The files of a mailing on their way into its messages."""

import datetime as dt
import threading
import time
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from contacts.models import ContactList
from delivery.content import attachments
from delivery.content.composer import composer_for
from delivery.models import Mailing, Message
from delivery.outbox import mailings as outbox_mailings
from delivery.records import figures
from smtpservers.models import QuotaPeriod, SmtpServer
from tests.delivery.making import make_list, make_mailing, make_server, run_drain
from tests.peers.peer import running_peer

pytestmark = pytest.mark.django_db(transaction=True)
ENTRY = {"stored_name": "aaaaaaaaaaaaaaaaaaaaaaaa.pdf", "name": "prices.pdf", "content_type": "application/pdf"}


@pytest.fixture
def folder(settings, tmp_path: Path) -> Path:
    settings.DATA_DIR = tmp_path
    attachments._part.cache_clear()
    (tmp_path / "media").mkdir()
    return tmp_path / "media"


@pytest.mark.django_db
def test_a_file_is_read_once_for_all_composers(folder: Path) -> None:
    (folder / ENTRY["stored_name"]).write_bytes(b"%PDF-1.7")
    server = SmtpServer.objects.create(name="Alpha", host="localhost", mail_from="news@example.com")
    mailing = Mailing.objects.create(stream="campaign", name="m", subject="s", text="t", files=[ENTRY])
    mailing.lists.add(ContactList.objects.create(name="News"))

    first = composer_for(mailing, server)
    (folder / ENTRY["stored_name"]).unlink()
    second = composer_for(mailing, server)

    assert first._files[0] is second._files[0]
    assert b'filename="prices.pdf"' in first._files[0].encoded


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("stored_name", "sentence"),
    [
        ("bbbbbbbbbbbbbbbbbbbbbbbb.pdf", "upload it again"),
        ("../secret_key", "is none of ours"),
        ("aaaaaaaaaaaaaaaaaaaaaaaa/../../x.pdf", "is none of ours"),
    ],
)
def test_a_file_that_is_gone_or_none_of_ours_is_named(folder: Path, stored_name: str, sentence: str) -> None:
    (folder.parent / "secret_key").write_text("secret")

    with pytest.raises(ValueError, match=sentence) as refusal:
        attachments.parts([{**ENTRY, "stored_name": stored_name}])

    assert "prices.pdf" in str(refusal.value)


def test_a_campaign_waits_where_a_worker_does_not_see_its_file_and_goes_on_when_it_does(folder: Path) -> None:
    with running_peer(folder.parent) as peer:
        make_server(peer.port)
        mailing = make_mailing(make_list(5), files=[ENTRY])

        run_drain()

        mailing.refresh_from_db()
        assert mailing.state == "paused"
        assert "'prices.pdf' cannot be read" in mailing.waiting_reason
        assert "FILES_DIR" in mailing.waiting_reason
        assert figures.counts(mailing.pk)["queued"] == 5
        assert QuotaPeriod.objects.get().reserved == 0
        assert peer.bodies == []

        (folder / ENTRY["stored_name"]).write_bytes(b"%PDF-1.7")
        outbox_mailings.resume(mailing.pk)
        run_drain()

        assert figures.counts(mailing.pk)["accepted"] == 5
        assert all(b"prices.pdf" in content for _, content in peer.bodies)


def test_a_worker_looks_for_the_file_again_while_it_keeps_its_lane(folder: Path) -> None:
    def mend() -> None:
        while not Mailing.objects.filter(pk=mailing.pk, state="paused").exists():
            time.sleep(0.05)
        (folder / ENTRY["stored_name"]).write_bytes(b"%PDF-1.7")
        outbox_mailings.resume(mailing.pk)
        connection.close()

    with running_peer(folder.parent) as peer:
        make_server(peer.port)
        mailing = make_mailing(make_list(5), files=[ENTRY])
        mending = threading.Thread(target=mend, daemon=True)
        mending.start()

        run_drain(idle_seconds=3)

        mending.join(5)
        assert figures.counts(mailing.pk)["accepted"] == 5


def test_what_somebody_waits_for_is_tried_again_later_and_a_test_says_so_at_once(folder: Path) -> None:
    with running_peer(folder.parent) as peer:
        make_server(peer.port)
        mailings = {
            stream: make_mailing(make_list(1, stream), stream=stream, files=[ENTRY]) for stream in ("notice", "test")
        }

        run_drain()

        waiting, failed = (Message.objects.get(mailing=mailings[stream]) for stream in ("notice", "test"))
        assert (waiting.status, failed.status) == ("queued", "failed")
        assert "'prices.pdf' cannot be read" in waiting.reason
        assert "'prices.pdf' cannot be read" in failed.reason
        assert waiting.due_at is not None
        assert waiting.due_at > timezone.now() + dt.timedelta(minutes=5)
        assert peer.bodies == []
