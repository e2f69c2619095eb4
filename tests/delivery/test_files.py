"""The files of a mailing on their way into its messages."""

from pathlib import Path

import pytest

from contacts.models import ContactList
from delivery import enclosing
from delivery.composing import composer_for
from delivery.models import Mailing
from smtpservers.models import SmtpServer

pytestmark = pytest.mark.django_db
ENTRY = {"stored_name": "aaaaaaaaaaaaaaaaaaaaaaaa.pdf", "name": "prices.pdf", "content_type": "application/pdf"}


@pytest.fixture
def folder(settings, tmp_path: Path) -> Path:
    settings.DATA_DIR = tmp_path
    enclosing._part.cache_clear()
    (tmp_path / "media").mkdir()
    return tmp_path / "media"


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
        enclosing.parts([{**ENTRY, "stored_name": stored_name}])

    assert "prices.pdf" in str(refusal.value)
