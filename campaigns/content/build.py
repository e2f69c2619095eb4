"""The built content of a campaign: the only place where written content becomes subject, HTML, text and files.

Preview, checks, test messages and the frozen mailing all call :func:`build`, so that they cannot differ.
"""

import html as html_entities
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit

from django.conf import settings

from campaigns.content import media_library
from campaigns.markup.convert import ContentInvalid, from_markdown, from_mjml, inlined, is_document
from campaigns.markup.frame import Frame, bare_page, framed, page, text_footer, with_preheader
from campaigns.markup.starter_templates import starters
from campaigns.models import Campaign, Layout, MediaFile
from installation.site import site
from mail.merge_fields import MergeError, inert, parse
from words.texts import text as _

PARTS = {
    "subject": _("The subject"),
    "preheader": _("The preheader"),
    "html": _("The HTML"),
    "markdown": _("The content"),
    "mjml": _("The content"),
    "text": _("The text"),
}


@dataclass(frozen=True, slots=True)
class Built:
    """A built content whose merge fields are not filled in yet."""

    subject: str
    html: str  # Empty for a mail in plain text only.
    text: str  # If empty, the composer makes it from the HTML.
    files: tuple[dict[str, str], ...] = ()  # In the format of delivery's Mailing.files.


class CampaignFiles:
    """The files of one campaign, each read from the database once: its attachments, and pictures of the library."""

    def __init__(self, campaign: Campaign) -> None:
        self._campaign = campaign
        self._pictures: dict[frozenset[str], list[MediaFile]] = {}

    @cached_property
    def attachments(self) -> list[MediaFile]:
        return list(self._campaign.attachments.order_by("pk")) if self._campaign.pk else []

    def pictures(self, stored_names: Iterable[str]) -> list[MediaFile]:
        """Return the pictures of the library with these names."""
        names = frozenset(stored_names)
        if names not in self._pictures:
            pictures = MediaFile.objects.filter(stored_name__in=names, kind=MediaFile.Kind.IMAGE)
            self._pictures[names] = list(pictures.order_by("pk"))
        return self._pictures[names]

    def is_unchanged_in(self, later: "CampaignFiles") -> bool:
        """Whether a later reading finds the same files, as far as :func:`build` looks at them."""
        return _facts(self.attachments) == _facts(later.attachments) and all(
            _facts(files) == _facts(later.pictures(names)) for names, files in self._pictures.items()
        )


def _facts(files: Iterable[MediaFile]) -> list[tuple[object, ...]]:
    return [(file.pk, file.stored_name, file.name, file.content_type, file.size_bytes) for file in files]


def build(campaign: Campaign, files: CampaignFiles | None = None) -> Built:
    """Return the built content of the campaign.

    :param files: the campaign's files, if the caller has read them.
    :raises ContentInvalid: if the content cannot become a mail; the sentence says where and what to do.
    """
    for field in written_fields(campaign):
        try:
            parse(getattr(campaign, field))
        except MergeError as error:
            said = _("%(part)s has an invalid merge field. %(error)s", part=PARTS[field], error=error)
            raise ContentInvalid(said) from error
    frame = frame_of(campaign)
    html = _html(campaign, frame)
    files = files or CampaignFiles(campaign)
    html, shown = _embedded(html, files) if campaign.embeds_images else (html, [])
    _check_size([*shown, *files.attachments])
    entries = [_entry(file, content_id(file)) for file in shown] + [_entry(file, "") for file in files.attachments]
    return Built(campaign.subject, html, _text(campaign, frame), tuple(entries))


def written_fields(campaign: Campaign) -> tuple[str, ...]:
    """Return the names of the fields whose text reaches the recipient."""
    return ("subject", "preheader", campaign.markup, "text")


def body_of(campaign: Campaign) -> str:
    """Return the source of the content, in its own markup."""
    return str(getattr(campaign, campaign.markup))


def is_sample(campaign: Campaign) -> bool:
    """Whether the content is still that of a starter template."""
    body = body_of(campaign).strip()
    return any(starter.markup == campaign.markup and body == starter.content.strip() != "" for starter in starters())


def content_id(file: MediaFile) -> str:
    """Return the Content-ID of a picture embedded in a message (RFC 2392)."""
    return f"{file.stored_name.partition('.')[0]}@{urlsplit(settings.BASE_URL).hostname or 'localhost'}"


def _html(campaign: Campaign, frame: Frame | None) -> str:
    source, preheader = body_of(campaign), campaign.preheader
    if not source.strip():
        return ""
    title = (frame.organisation if frame else "") or inert(site().organisation)
    if campaign.markup == Campaign.Markup.MJML:
        html, own_preheader = from_mjml(source)
        preheader = preheader or own_preheader
    elif campaign.markup == Campaign.Markup.MARKDOWN or (frame and not is_document(source)):
        body = from_markdown(source) if campaign.markup == Campaign.Markup.MARKDOWN else source
        accent = {"accent": frame.accent} if frame else {}
        html = page(body, title=title, **accent)
    else:
        html = source if is_document(source) else bare_page(source, title=title)
    if frame is not None:
        html = framed(html, frame)
    return inlined(with_preheader(html, preheader))


def _text(campaign: Campaign, frame: Frame | None) -> str:
    text = campaign.text
    footer = text_footer(frame) if frame is not None and text.strip() else ""
    return f"{text.rstrip()}\n\n-- \n{footer}\n" if footer else text


def frame_of(campaign: Campaign) -> Frame | None:
    """Return the frame that the campaign's layout puts around the content; None without a layout."""
    return _frame(campaign.layout) if campaign.layout is not None else None


def _frame(layout: Layout) -> Frame:
    """Return the frame. Only its header and footer have merge tags; everything else is text."""
    links = [line.rpartition(" ") for line in layout.links.splitlines() if line.strip()]
    return Frame(
        organisation=inert(layout.organisation),
        logo_url=media_library.url_of(layout.logo) if layout.logo is not None else "",
        logo_width=layout.logo_width,
        home_url=inert(layout.home_url),
        header=_as_html(layout.header),
        footer_html=from_markdown(layout.footer) if layout.footer.strip() else "",
        postal_address=inert(layout.postal_address or site().postal_address),
        links=tuple((inert(name.strip() or url), inert(url)) for name, _, url in links),
        accent=layout.accent,
    )


def _as_html(text: str) -> str:
    """Return a line of text as HTML, with its merge tags unchanged."""
    return re.sub(
        r"\{\{.*?\}\}|\{%.*?%\}|[&<>]",
        lambda found: found[0] if len(found[0]) > 1 else html_entities.escape(found[0]),
        text,
    )


def _embedded(html: str, files: CampaignFiles) -> tuple[str, list[MediaFile]]:
    """Return the HTML with its library pictures embedded by Content-ID, and those pictures."""
    shown = []
    for file in files.pictures(media_library.names_in(html)):
        # Only pictures that are shown are embedded; a link to a picture keeps its URL.
        address = re.compile(rf"(\s(?:src|background)\s*=\s*[\"']?|url\([\"']?){re.escape(media_library.url_of(file))}")
        html, count = address.subn(lambda found, file=file: f"{found[1]}cid:{content_id(file)}", html)  # type: ignore[misc]
        if count:
            shown.append(file)
    return html, shown


def _check_size(files: list[MediaFile]) -> None:
    total, most = sum(file.size_bytes for file in files), settings.ATTACHMENTS_MAX_BYTES
    if total > most:
        raise ContentInvalid(
            _(
                "Attachments and embedded images have %(total)s MB together, more than the %(most)s MB that a message"
                " may carry. Take some out, or link to them.",
                total=f"{total / 1e6:,.1f}",
                most=f"{most / 1e6:,.0f}",
            )
        )


def _entry(file: MediaFile, content_id: str) -> dict[str, str]:
    return {
        "stored_name": file.stored_name,
        "name": file.name,
        "content_type": file.content_type,
        "content_id": content_id,
    }
