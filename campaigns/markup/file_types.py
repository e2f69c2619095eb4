"""File types that may be sent or shown, recognised by the content and never by the name alone.

A picture is decoded up to its first frame, so that a damaged or too large one is refused here and not by a reader's
mail program. Documents are recognised without unpacking them, by their beginning, their end and their main parts.
"""

import io
import re
import zipfile
from dataclasses import dataclass

from PIL import Image, UnidentifiedImageError

from mail.addresses import JOINERS
from words.texts import text as _

PICTURES = {"PNG": ("image/png", "png"), "JPEG": ("image/jpeg", "jpg"), "GIF": ("image/gif", "gif")}
PICTURES["WEBP"] = ("image/webp", "webp")
DOCUMENTS = {
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "odt": "application/vnd.oasis.opendocument.text",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "odp": "application/vnd.oasis.opendocument.presentation",
    "ics": "text/calendar",
    "csv": "text/csv",
    "txt": "text/plain",
}
ACCEPTED = _("PNG, JPEG, GIF and WebP images, and PDF, Word, Excel, PowerPoint, OpenDocument, ICS, CSV and text files")
_OFFICE = {"docx": "word/", "xlsx": "xl/", "pptx": "ppt/"}
_OPEN_DOCUMENT = ("odt", "ods", "odp")
_PDF_TAIL = 2048  # Bytes at the end, in which readers look for the table of objects (ISO 32000-1, annex H.3).
_PDF_END = re.compile(rb"startxref\s+(\d{1,12})\s+%%EOF")
_MOST_ENTRIES = 5_000  # In a document that is a ZIP archive.


class FileRefused(ValueError):
    """The file is refused; ``str(error)`` says why and what to do."""


@dataclass(frozen=True, slots=True)
class FileType:
    """A recognised file type, and a picture's size in pixels."""

    is_image: bool
    content_type: str
    ending: str  # File name extension without the dot.
    width: int = 0
    height: int = 0


def recognise(content: bytes, name: str, most_pixels: int) -> FileType:
    """Return the type of a file.

    :param name: the uploaded name; its extension tells apart documents that begin with the same bytes.
    :raises FileRefused: if the type is not allowed, or a picture is damaged or has more than ``most_pixels`` pixels.
    """
    if not content:
        raise FileRefused(_("The file is empty. Choose another one."))
    if content.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")) or _is_webp(content):
        return _picture(content, most_pixels)
    ending = name.rpartition(".")[2].lower()
    if ending in DOCUMENTS and ending != "pdf" and _is_document(content, ending):
        return FileType(False, DOCUMENTS[ending], ending)
    if content.startswith(b"%PDF-"):
        if not _is_whole_pdf(content):
            raise FileRefused(_("The PDF is incomplete or damaged. Export it again."))
        return FileType(False, DOCUMENTS["pdf"], "pdf")
    if ending in DOCUMENTS:
        raise FileRefused(
            _("The file name ends in .%(ending)s, but its content is something else. Export it again.", ending=ending)
        )
    raise FileRefused(_("This file type isn't supported. Supported types: %(accepted)s.", accepted=ACCEPTED))


def safe_name(name: str, ending: str) -> str:
    """Return a name to show and to send: one line, without a path, with the extension of the content's type."""
    name = re.split(r"[/\\]", name)[-1]
    name = "".join(each for each in name if (each.isprintable() or each in JOINERS) and each not in '<>:"|?*')
    stem, dot, written = name.rpartition(".")
    if not dot:
        stem, written = name, ""
    if ending == "jpg" and written.lower() == "jpeg":
        ending = "jpeg"
    return f"{stem.strip(' .')[:100] or 'file'}.{ending}"


def _is_webp(content: bytes) -> bool:
    return content[:4] == b"RIFF" and content[8:12] == b"WEBP"


def _picture(content: bytes, most_pixels: int) -> FileType:
    too_large = FileRefused(
        _(
            "The image has more than %(most_pixels)s million pixels. Make it smaller: messages"
            " rarely show more than 1,200 pixels in width.",
            most_pixels=f"{most_pixels / 1000000.0:,.0f}",
        )
    )
    try:
        with Image.open(io.BytesIO(content), formats=tuple(PICTURES)) as image:
            width, height = image.size
            if width * height > most_pixels:
                raise too_large
            image.load()
            content_type, ending = PICTURES[str(image.format)]
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise too_large from error
    except FileRefused:
        raise
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, EOFError, Warning, ArithmeticError) as error:
        raise FileRefused(_("The image is damaged. Export it again.")) from error
    return FileType(True, content_type, ending, width, height)


def _is_document(content: bytes, ending: str) -> bool:
    if ending in _OFFICE or ending in _OPEN_DOCUMENT:
        return _is_archive_of(content, ending)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return False
    # A text that a browser could take for a page is refused.
    is_text = "\0" not in text and re.match(r"\s*<(?:!|\?|html|head|body|script|svg|style|meta)", text, re.I) is None
    return is_text and (ending != "ics" or _is_whole_calendar(text))


def _is_whole_pdf(content: bytes) -> bool:
    """Whether the file has objects, and ends with the place of their table, which is within the file."""
    end = list(_PDF_END.finditer(content[-_PDF_TAIL:]))
    return (
        re.match(rb"%PDF-\d\.\d", content) is not None
        and re.search(rb"\d\s+obj\b", content) is not None
        and bool(end)
        and 0 < int(end[-1][1]) < len(content)
    )


def _is_whole_calendar(text: str) -> bool:
    calendar = text.strip().upper()
    return calendar.startswith("BEGIN:VCALENDAR") and calendar.endswith("END:VCALENDAR")


def _is_archive_of(content: bytes, ending: str) -> bool:
    if not content.startswith(b"PK\x03\x04"):
        return False
    declared = ""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            first = entries[0] if entries else None
            if first and first.filename == "mimetype" and first.file_size <= 100 and not first.compress_type:
                declared = archive.read(first).decode("ascii", "replace").strip()
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError, RuntimeError):
        return False
    names = [entry.filename for entry in entries if entry.file_size]
    if len(names) > _MOST_ENTRIES:
        return False
    if any(name.lower().endswith("vbaproject.bin") for name in names):
        raise FileRefused(_("The document contains macros, which mail servers reject. Save it without them."))
    if ending in _OFFICE:
        # The part that the list of relations leads to has its name from the program.
        is_whole = "[Content_Types].xml" in names and "_rels/.rels" in names
        return is_whole and any(name.startswith(_OFFICE[ending]) and name.endswith(".xml") for name in names)
    return declared == DOCUMENTS[ending] and "content.xml" in names and "META-INF/manifest.xml" in names
