"""The media library: what is taken and what is not, how it is served, and what keeps a file from being deleted."""

import contextlib
import io
import struct
import sys
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from django.test import Client
from PIL import Image

from campaigns.content import media_library
from campaigns.markup.file_types import DOCUMENTS, FileRefused, recognise, safe_name
from campaigns.models import Campaign, Layout, MediaFile
from publicpages.appearance.logo import LogoInvalid, check_logo
from tests.harness.files import archive, pdf

PIXELS = 25_000_000


def picture(form: str = "PNG", size: tuple[int, int] = (4, 3), **options) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, "red").save(stream, form, **options)
    return stream.getvalue()


def ending_early() -> bytes:
    """Return an archive whose first file claims more bytes than follow."""
    content = bytearray(archive(first=("mimetype", DOCUMENTS["odt"])))
    listed = content.find(b"PK\x01\x02")
    for size_at in (18, 22, listed + 20, listed + 24):
        struct.pack_into("<I", content, size_at, 100)
    # Without its content; the end says where the list of files begins now.
    begins = listed - len(DOCUMENTS["odt"])
    del content[begins:listed]
    struct.pack_into("<I", content, len(content) - 6, begins)
    return bytes(content)


def png_claiming(width: int, height: int) -> bytes:
    """A few bytes that say they are a huge picture."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


WORD = archive("[Content_Types].xml", "_rels/.rels", "word/document.xml")
ODT = archive("content.xml", "META-INF/manifest.xml", first=("mimetype", DOCUMENTS["odt"]))


@pytest.mark.parametrize(
    ("content", "name", "content_type", "ending"),
    [
        (picture("PNG"), "a.png", "image/png", "png"),
        (picture("JPEG"), "a.jpg", "image/jpeg", "jpg"),
        (picture("GIF"), "a.gif", "image/gif", "gif"),
        (picture("WEBP"), "a.webp", "image/webp", "webp"),
        (picture("JPEG"), "a.png", "image/jpeg", "jpg"),  # The content decides.
        (picture("PNG"), "a.html", "image/png", "png"),
        (picture("PNG") + b"<script>alert(1)</script>", "a.svg", "image/png", "png"),  # Never anything but a PNG.
        (pdf(b"<script>"), "a.pdf", "application/pdf", "pdf"),
        (pdf(), "a.exe", "application/pdf", "pdf"),
        (WORD, "a.docx", DOCUMENTS["docx"], "docx"),
        (ODT, "a.odt", DOCUMENTS["odt"], "odt"),
        (b"BEGIN:VCALENDAR\r\nEND:VCALENDAR", "a.ics", "text/calendar", "ics"),
        ("ä;b\n1;2".encode(), "a.csv", "text/csv", "csv"),
    ],
)
def test_a_file_is_what_its_content_is(content: bytes, name: str, content_type: str, ending: str) -> None:
    found = recognise(content, name, PIXELS)

    assert (found.content_type, found.ending) == (content_type, ending)
    assert found.is_image == content_type.startswith("image/")
    assert (found.width, found.height) == ((4, 3) if found.is_image else (0, 0))


@pytest.mark.parametrize(
    ("content", "name", "sentence"),
    [
        (b"", "a.png", "The file is empty."),
        (b"<html><script>alert(1)</script>", "a.html", "This file type isn't supported."),
        (b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", "a.svg", "This file type"),
        (b"<svg onload=alert(1)>", "a.txt", "its content is something else"),
        (b"\xef\xbb\xbf <!doctype html>", "a.csv", "its content is something else"),
        (b"<html>", "a.png", "This file type isn't supported."),
        (b"GIF89a/*<script>*/=1;alert(1)", "a.gif", "The image is damaged"),
        (b"\xff\xd8\xff\xe0<script>", "a.jpg", "The image is damaged"),
        (picture("PNG", (64, 64))[:-40], "a.png", "The image is damaged"),
        (picture("BMP"), "a.bmp", "This file type isn't supported."),
        (picture("TIFF"), "a.png", "This file type isn't supported."),
        (png_claiming(60_000, 60_000), "bomb.png", "more than 25 million"),
        (png_claiming(10_000, 10_000), "bomb.png", "more than 25 million"),
        (b"MZ\x90\0", "a.pdf", "its content is something else"),
        (b"%PDF-1.4\n%%EOF\n ", "a.pdf", "The PDF is incomplete"),
        (b"%PDF-1.4\nstartxref\n0\n%%EOF\n", "a.pdf", "The PDF is incomplete"),
        (b"%PDF-1.4\n1 0 obj\nstartxref\n9999\n%%EOF\n", "a.pdf", "The PDF is incomplete"),
        (pdf()[:-7], "a.pdf", "The PDF is incomplete"),
        (pdf()[:-7], "a.exe", "The PDF is incomplete"),
        (archive("[Content_Types].xml", "word/document.xml"), "a.docx", "its content is something else"),
        (archive("[Content_Types].xml", "_rels/.rels", "word/x"), "a.docx", "its content is something else"),
        (archive(first=("mimetype", DOCUMENTS["odt"])), "a.odt", "its content is something else"),
        (b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT", "a.ics", "its content is something else"),
        (b"MZ\x90\0", "setup.exe", "This file type isn't supported."),
        (archive("evil.exe"), "a.docx", "its content is something else"),
        (archive("[Content_Types].xml", "word/vbaProject.bin"), "a.docx", "contains macros"),
        (archive("a"), "a.zip", "This file type isn't supported."),
        (b"PK\x03\x04" + b"\0" * 100, "a.xlsx", "its content is something else"),
        (ending_early(), "a.odt", "its content is something else"),
        (b"a\0b", "a.txt", "its content is something else"),
    ],
)
def test_what_is_dangerous_or_broken_is_refused_with_the_reason(content: bytes, name: str, sentence: str) -> None:
    with pytest.raises(FileRefused) as refusal:
        recognise(content, name, PIXELS)

    assert sentence in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("../../etc/passwd", "passwd.png"),
        ("C:\\Users\\Ann\\Logo.JPG", "Logo.png"),
        ('a"<b>\r\nX: y.png', "abX y.png"),
        ("\u202egnp.exe", "gnp.png"),
        ("a\u200b\u00ad\u2060b.png", "ab.png"),
        ("", "file.png"),
        ("x" * 300 + ".png", "x" * 100 + ".png"),
    ],
)
def test_a_name_is_one_line_without_a_path_and_with_its_true_ending(name: str, expected: str) -> None:
    assert safe_name(name, "png") == expected


@pytest.fixture
def folder(settings, tmp_path: Path) -> Path:
    settings.DATA_DIR = tmp_path
    return tmp_path / "media"


@pytest.fixture
def logo(db: None, folder: Path) -> MediaFile:
    return media_library.store(picture(), "Logo.png", "Our logo", None)


def test_a_picture_is_shown_to_everybody_for_long_and_as_nothing_else(logo: MediaFile) -> None:
    answer = Client().get(f"/media/{logo.stored_name}")

    assert answer.content == picture()
    assert answer["Content-Type"] == "image/png"
    assert answer["Content-Disposition"] == 'inline; filename="Logo.png"'
    assert answer["Cache-Control"] == "public, max-age=31536000, immutable"
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert "Set-Cookie" not in answer


def test_a_document_is_saved_and_never_shown(db: None, folder: Path) -> None:
    stored = media_library.store(pdf(b"<script>alert(1)</script>"), "Prices.pdf", "", None)

    answer = Client().get(f"/media/{stored.stored_name}")

    assert answer.content.startswith(b"%PDF")
    assert answer["Content-Disposition"] == 'attachment; filename="Prices.pdf"'
    assert answer["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["x.png", "../secret_key", "..%2Fkeys%2Fsecret_key", "%01.png"])
def test_only_what_the_library_holds_is_served(logo: MediaFile, folder: Path, path: str) -> None:
    (folder / "x.png").write_bytes(picture())

    assert Client().get(f"/media/{path}").status_code == 404


def test_a_nul_in_the_address_of_a_file_is_answered_with_400(db: None, folder: Path) -> None:
    assert Client().get("/media/%00.png").status_code == 400


def test_names_are_random_and_private_to_the_group(logo: MediaFile, folder: Path) -> None:
    other = media_library.store(picture(), "Logo.png", "", None)

    assert other.stored_name != logo.stored_name
    assert len(logo.stored_name.partition(".")[0]) == 24  # 144 bits.
    assert (folder / logo.stored_name).stat().st_mode & 0o007 == 0


def test_a_file_too_large_is_refused_with_its_size(db: None, folder: Path, settings) -> None:
    settings.MEDIA_MAX_BYTES = 100

    with pytest.raises(FileRefused, match=r"0\.0 MB|more than"):
        media_library.store(picture(size=(200, 200)), "a.png", "", None)

    assert not MediaFile.objects.exists()
    assert not folder.exists()


def test_a_file_in_use_stays_and_says_where(logo: MediaFile, folder: Path, django_capture_on_commit_callbacks) -> None:
    url = media_library.url_of(logo)
    Campaign.objects.create(name="Winter", subject="s", html=f"<img src='{url}'>")
    Campaign.objects.create(name="Spring", subject="s", status="finished", markdown=f"![]({url})")
    Campaign.objects.create(name="Summer", subject="s").attachments.add(logo)
    Layout.objects.create(name="House", logo=logo)

    refusals = media_library.delete([logo.pk])

    assert refusals == [
        "“Logo.png” is used by the campaign “Spring”, the campaign “Summer”, the campaign “Winter”, the layout “House”."
        " Take it out there first."
    ]
    Layout.objects.all().delete()
    Campaign.objects.all().delete()
    with django_capture_on_commit_callbacks(execute=True):
        assert media_library.delete([logo.pk]) == []
    assert not (folder / logo.stored_name).exists()
    assert not MediaFile.objects.exists()


def test_only_addresses_of_this_site_name_files(logo: MediaFile, settings) -> None:
    url = media_library.url_of(logo)

    assert media_library.names_in(f"<img src='{url}'> ({url})") == {logo.stored_name}
    assert media_library.names_in(url.replace(settings.BASE_URL, "https://elsewhere.example")) == set()


def test_files_looked_at_at_the_same_time_leave_the_process_as_it_was() -> None:
    before = list(warnings.filters)
    files = [picture("PNG"), picture("JPEG"), b"no picture", png_claiming(90_000, 90_000)] * 40

    def look(content: bytes) -> None:
        with contextlib.suppress(FileRefused):
            recognise(content, "a.png", PIXELS)
        with contextlib.suppress(LogoInvalid):
            check_logo(content)

    switching = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(max_workers=8) as threads:
            list(threads.map(look, files))
    finally:
        sys.setswitchinterval(switching)

    assert list(warnings.filters) == before
