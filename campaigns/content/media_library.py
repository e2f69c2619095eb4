"""The media library: it checks files, stores them under a name that nobody can guess, and deletes only unused ones."""

import os
import re
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q, TextField
from django.db.models.functions import Cast
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from campaigns.markup.file_types import FileRefused, recognise, safe_name
from campaigns.models import Campaign, FrozenContent, Layout, MediaFile, Variant
from delivery.content.attachments import media_folder
from delivery.models import Mailing

_STORED = r"[A-Za-z0-9_-]{20,40}\.[a-z0-9]{2,5}"


def store(content: bytes, name: str, alt: str, actor: Any) -> MediaFile:
    """Store a file and return its row.

    :param name: the uploaded name; never used as a path.
    :raises FileRefused: if the file is too large or its type is not allowed.
    """
    if len(content) > settings.MEDIA_MAX_BYTES:
        raise FileRefused(
            _(
                "The file has %(size)s MB. The limit is %(most)s MB. Make it smaller, or put it on a web server and"
                " link to it."
            )
            % {"size": f"{len(content) / 1e6:,.1f}", "most": f"{settings.MEDIA_MAX_BYTES / 1e6:,.0f}"}
        )
    found = recognise(content, name, settings.MEDIA_MAX_PIXELS)
    stored_name = f"{secrets.token_urlsafe(18)}.{found.ending}"
    folder = media_folder()
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / stored_name, content)
    try:
        return MediaFile.objects.create(
            name=safe_name(name, found.ending),
            alt=alt,
            stored_name=stored_name,
            kind=MediaFile.Kind.IMAGE if found.is_image else MediaFile.Kind.DOCUMENT,
            content_type=found.content_type,
            size_bytes=len(content),
            width=found.width,
            height=found.height,
            created_by=actor,
        )
    except BaseException:
        (folder / stored_name).unlink(missing_ok=True)
        raise


def _write(path: Path, content: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640)
    with open(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def url_of(file: MediaFile) -> str:
    """Return the absolute URL of the file, as mails contain it."""
    return f"{settings.BASE_URL}{reverse('media:file', args=[file.stored_name])}"


def names_in(source: str) -> set[str]:
    """Return the stored names of the files whose URL is in the source."""
    prefix = re.escape(settings.BASE_URL + reverse("media:file", args=["x"])[:-1])
    return set(re.findall(rf"{prefix}({_STORED})", source))


def used_by(file: MediaFile) -> list[str]:
    """Return the campaigns and layouts that need the file, in words.

    Sent campaigns count for ever, because people may still open their mails.
    """
    stored = file.stored_name
    # A sent mailing links to the file or carries it, even if the draft or the layout has changed since.
    holding = Q(html__contains=stored) | Q(text__contains=stored) | Q(kept__contains=stored)
    sent = Mailing.objects.annotate(kept=Cast("files", TextField())).filter(holding, stream="campaign")
    variants = Variant.objects.filter(Q(body__contains=stored) | Q(text__contains=stored))
    frozen = FrozenContent.objects.annotate(kept=Cast("contents", TextField())).filter(kept__contains=stored)
    campaigns = Campaign.objects.filter(
        Q(html__contains=stored)
        | Q(markdown__contains=stored)
        | Q(mjml__contains=stored)
        | Q(text__contains=stored)
        | Q(attachments=file)
        | Q(pk__in=variants.values("experiment__campaign"))
        | Q(pk__in=frozen.values("campaign"))
    ).distinct()
    names = set(campaigns.values_list("name", flat=True)) | set(sent.values_list("name", flat=True))
    layouts = Layout.objects.filter(Q(logo=file) | Q(footer__contains=stored))
    return [
        *(_("the campaign “%(name)s”") % {"name": name} for name in sorted(names)),
        *(_("the layout “%(name)s”") % {"name": name} for name in layouts.values_list("name", flat=True)),
    ]


def _used(file: MediaFile, users: list[str]) -> str:
    values = {"file": file, "users": ", ".join(users[:5])}
    if (more := len(users) - 5) > 0:
        return ngettext(
            "“%(file)s” is used by %(users)s and %(n)s more. Take it out there first.",
            "“%(file)s” is used by %(users)s and %(n)s more. Take it out there first.",
            more,
        ) % {**values, "n": more}
    return _("“%(file)s” is used by %(users)s. Take it out there first.") % values


def delete(file_ids: Iterable[int]) -> list[str]:
    """Delete the files that nothing needs; return a sentence for each file that stays."""
    refusals = []
    for file in MediaFile.objects.filter(pk__in=list(file_ids)):
        with transaction.atomic():
            if users := used_by(file):
                refusals.append(_used(file, users))
                continue
            path = media_folder() / file.stored_name
            file.delete()
            transaction.on_commit(lambda path=path: path.unlink(missing_ok=True))  # type: ignore[misc]
    return refusals
