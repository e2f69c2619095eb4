"""The files of a mailing: pictures shown by its HTML, and attachments. All machines share their folder.

The content of a stored name never changes, so each process reads and encodes a file once.
"""

import functools
import re
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path

from django.conf import settings
from django.urls import reverse

from mail.message.parts import Part, part


class FileGone(ValueError):
    """A file of a mailing cannot be read on this machine. The text names both."""


def media_folder() -> Path:
    return Path(settings.FILES_DIR or settings.DATA_DIR) / "media"


def parts(files: Iterable[Mapping[str, str]]) -> list[Part]:
    """Return the MIME parts of a mailing's files.

    :param files: as in ``Mailing.files``.
    :raises FileGone: if a file cannot be read.
    :raises ValueError: if a stored name was not made by us; the text names the file.
    """
    return [
        _part(file["stored_name"], file["name"], file["content_type"], file.get("content_id", "")) for file in files
    ]


def shown_by_address(html: str, files: Iterable[Mapping[str, str]]) -> str:
    """Return HTML for a browser: a picture inside the message is replaced by its address in the media library."""
    for file in files:
        if content_id := file.get("content_id"):
            address = f"{settings.BASE_URL}{reverse('media:file', args=[file['stored_name']])}"
            html = html.replace(f"cid:{content_id}", address)
    return html


@functools.lru_cache(maxsize=32)
def _part(stored_name: str, name: str, content_type: str, content_id: str) -> Part:
    if not is_stored_name(stored_name):
        raise ValueError(f"The file {name!r} cannot be read: its stored name is none of ours.")
    try:
        content = (media_folder() / stored_name).read_bytes()
    except OSError as error:
        raise FileGone(
            f"The file {name!r} cannot be read on {socket.gethostname()} ({error.strerror}): let every machine that"
            " sends see the same folder (FILES_DIR), or upload it again."
        ) from error
    return part(name, content_type, content, content_id)


is_stored_name = re.compile(r"[A-Za-z0-9_-]{20,40}\.[a-z0-9]{2,5}").fullmatch
