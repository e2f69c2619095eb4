"""The files that a mailing carries: pictures its HTML shows, and attachments. All machines see them in one folder.

What is stored under a name never changes, so a file is read and encoded once in each process.
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
    """A file of a mailing cannot be read on this machine; the sentence names both."""


def media_folder() -> Path:
    return Path(settings.FILES_DIR or settings.DATA_DIR) / "media"


def parts(files: Iterable[Mapping[str, str]]) -> list[Part]:
    """Return the parts of a mailing's messages.

    :param files: as in ``Mailing.files``.
    :raises FileGone: if one cannot be read.
    :raises ValueError: if it is none of ours; the sentence names it.
    """
    return [
        _part(file["stored_name"], file["name"], file["content_type"], file.get("content_id", "")) for file in files
    ]


def shown_by_address(html: str, files: Iterable[Mapping[str, str]]) -> str:
    """Return HTML for a browser: pictures that travel inside the message get the address they have in the library."""
    for file in files:
        if content_id := file.get("content_id"):
            address = f"{settings.BASE_URL}{reverse('media:file', args=[file['stored_name']])}"
            html = html.replace(f"cid:{content_id}", address)
    return html


@functools.lru_cache(maxsize=32)
def _part(stored_name: str, name: str, content_type: str, content_id: str) -> Part:
    if not STORED_NAME(stored_name):
        raise ValueError(f"The file {name!r} cannot be read: its stored name is none of ours.")
    try:
        content = (media_folder() / stored_name).read_bytes()
    except OSError as error:
        raise FileGone(
            f"The file {name!r} cannot be read on {socket.gethostname()} ({error.strerror}): let every machine that"
            " sends see the same folder (FILES_DIR), or upload it again."
        ) from error
    return part(name, content_type, content, content_id)


STORED_NAME = re.compile(r"[A-Za-z0-9_-]{20,40}\.[a-z0-9]{2,5}").fullmatch
