"""The preview of a campaign for one person and one server: the mail, its links with UTM codes, and its size."""

import datetime as dt
import re
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from django.conf import settings
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from campaigns.content.frozen import COUNTING, frozen_content
from campaigns.models import Campaign
from campaigns.preflight import send_tests
from campaigns.preflight.checks.message import html_bytes
from campaigns.preflight.refusals import doubts
from campaigns.reports.click_map import REASONS
from contacts.models import Contact
from delivery.content.attachments import shown_by_address
from delivery.content.composer import COMPOSE_SECONDS
from delivery.content.message_style import own_pages
from delivery.content.previews import preview as compose_preview
from delivery.content.tracking_hosts import counted_addresses, own_hosts
from installation.site import site
from mail.links import levels, link_targets
from mail.links.utm import NAMES, tag_url
from mail.markup import Reader
from mail.merge_fields import MergeError, name_values, parse
from mail.message.composition import Rendered
from smtpservers.models import SmtpServer

_DARK = re.compile(r"\(\s*prefers-color-scheme\s*:\s*dark\s*\)", re.IGNORECASE)
_LIGHT = re.compile(r"\(\s*prefers-color-scheme\s*:\s*light\s*\)", re.IGNORECASE)
_REMOTE = re.compile(
    r"""(?:\b(?:src|srcset|background|poster)\s*=|url\()\s*+["']?\s*+((?:https?:)?//[^\s"'>)]+)""", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class PreviewLink:
    """One link of a mail."""

    label: str
    url: str  # Where it leads, with UTM codes.
    note: str = ""  # A sentence about anything unusual.
    is_clash: bool = False  # The link needs attention: its own codes win over ours, or it leads nowhere.
    why_uncounted: str = ""  # A sentence, if the campaign counts clicks and not those of this link.


@dataclass(frozen=True, slots=True)
class Preview:
    """A mail as one person sees it."""

    rendered: Rendered
    html: str  # For a browser: embedded pictures have a URL.
    links: list[PreviewLink]
    bytes: int  # Size of the HTML.
    problems: list[str]  # Sentences about mistakes to correct.
    is_counting: bool = False  # Whether opens and clicks of the campaign are counted.

    @property
    def counted(self) -> int:
        """The number of links whose clicks are counted."""
        return sum(not link.why_uncounted for link in self.links) if self.is_counting else 0

    @property
    def has_dark_scheme(self) -> bool:
        return _DARK.search(self.html) is not None

    @property
    def has_remote_images(self) -> bool:
        """Whether an image is on another host. The preview does not load it."""
        own = f"{settings.BASE_URL}/media/".lower()
        return any(not url.lower().startswith(own) for url in _REMOTE.findall(self.html))


def server_for(campaign: Campaign, wish: str, now: dt.datetime) -> SmtpServer | None:
    """Return the wished server, else the one that routing would choose now, else any; None if there is no server.

    :param wish: a server's id as text, or anything else for no wish.
    """
    if wish.isdecimal() and len(wish) < 19 and (wished := SmtpServer.objects.filter(pk=int(wish)).first()):
        return wished
    return send_tests.server_for(campaign, now)


def build_preview(campaign: Campaign, contact: Contact | None, server: SmtpServer, now: dt.datetime) -> Preview:
    """Return the mail as the contact would see it; None stands for a reader without a name.

    :raises ValueError: if the content cannot become a mail; the text says why.
    """
    content = frozen_content(campaign)
    files = content["files"]
    is_counting = levels.lowest([site().tracking, content["tracking"]]) != levels.OFF
    for name in ("name", "lists", "reply_to", "sends_copies", "files", *COUNTING):  # Invisible to the reader.
        del content[name]

    deadline = monotonic() + COMPOSE_SECONDS  # One deadline for all three, because a person waits.

    def compose(**changes: Any) -> Rendered:
        return compose_preview(**{**content, **changes}, contact=contact, server=server, now=now, deadline=deadline)

    rendered = compose()
    untagged = compose(is_tagged=False, text="x") if campaign.is_tagged else rendered  # Only its links are read.
    probe = compose(html=f'<a href="{_PROBE}">x</a>', text="x") if campaign.is_tagged else rendered
    codes = next((dict(parse_qsl(urlsplit(url).query)) for _, url in links_in(probe.html) if _PROBE in url), {})
    links = [
        _link(label, url, before, codes)
        for (label, url), (_, before) in zip(links_in(rendered.html), links_in(untagged.html), strict=False)
    ]
    if is_counting:
        marked = compose(html=_with_reasons(content["html"], server), text="x")
        links = [
            replace(link, why_uncounted=_why_uncounted(marks, link.url))
            for link, (_, marks) in zip(links, links_in(marked.html), strict=False)
        ]
    links = [replace(link, url=link_targets.shown(link.url)) for link in links]
    html = shown_by_address(rendered.html, files)
    problems = [*doubts(campaign, now), *_problems(links)]
    return Preview(rendered, html, links, html_bytes(rendered.html), problems, is_counting)


def sample_subject(subject: str) -> SafeString:
    """Return a subject as a reader with a name would see it, in HTML. Other merge fields show their name in brackets.

    A subject with merge fields says that its values are samples.
    """
    try:
        read = parse(subject)
        names = {"email": "ann@example.com", **name_values(_("Ann"), _("Smith"))}
        filled = read.render({**{name: f"[{name}]" for name in read.names}, **names})
    except MergeError:
        return escape(subject)
    if not read.names:
        return escape(filled)
    return format_html('{} <small class="campaign-sample">{}</small>', filled, _("with sample values"))


def in_dark_mode(preview: Preview) -> str:
    """Return the HTML as a mail program in dark mode shows it.

    A mail with its own dark scheme uses it. Without one, some programs leave the mail light and some invert its
    colours; this preview inverts them.
    """
    if preview.has_dark_scheme:
        return _LIGHT.sub("(max-width:0)", _DARK.sub("(min-width:0)", preview.html))
    style = (
        "<style>html{background:#121212;filter:invert(1) hue-rotate(180deg)}"
        "img,video,[background]{filter:invert(1) hue-rotate(180deg)}</style>"
    )
    return (
        re.sub(r"</head\s*>", f"{style}</head>", preview.html, count=1)
        if "</head" in preview.html
        else style + preview.html
    )


def links_in(html: str) -> list[tuple[str, str]]:
    """Return label and URL of each link that a reader can follow."""
    reader = _Links()
    reader.read(html)
    reader.end_link()
    return reader.found


def _link(label: str, url: str, before: str, codes: dict[str, str]) -> PreviewLink:
    if not url or url in ("#", "http://", "https://"):
        return PreviewLink(label, url, _("No address. Add one."), True)
    if not url.lower().startswith(("http://", "https://")):
        return PreviewLink(label, url)
    own = {name: value for name, value in parse_qsl(urlsplit(before).query) if name in NAMES}
    clashes = [
        _("%(own)s overrides %(code)s") % {"own": f"{name}={value}", "code": codes[name]}
        for name, value in own.items()
        if codes.get(name, value) != value
    ]
    if clashes:
        return PreviewLink(label, url, f"{', '.join(clashes)}.", True)
    if codes and url == before and "/u/preview" not in url and tag_url(before, codes) != before:
        return PreviewLink(label, url, _("No UTM codes are added."))
    return PreviewLink(label, url)


def _with_reasons(html: str, server: SmtpServer) -> str:
    """Return the HTML with addresses that tell of each link of a web page whether it is counted, and why not."""
    places = link_targets.in_html(html, own_hosts(), [*own_pages(server.unsubscribe_url), *counted_addresses()])
    own = (link_targets.OWN, link_targets.OTHER)
    return link_targets.replaced(
        html, places, lambda link: None if link.why_not in own else f"{_MARK}{link.why_not or _IS_COUNTED}/"
    )


def _why_uncounted(marks: str, url: str) -> str:
    """Return why a link isn't counted as a sentence; empty: it is."""
    reason = marks.removeprefix(_MARK).partition("/")[0] if marks.startswith(_MARK) else ""
    if reason == _IS_COUNTED:
        return ""
    if not reason:
        reason = link_targets.OWN if url.lower().startswith(("http://", "https://")) else link_targets.OTHER
    return next(str(sentence) for why_not, sentence in REASONS.items() if why_not == reason)


def _problems(links: list[PreviewLink]) -> list[str]:
    sentence = _("The link “%(text)s” has no address.")
    return [sentence % {"text": link.label or _("(no text)")} for link in links if link.url in ("", "#")]


class _Links(Reader):
    def __init__(self) -> None:
        self.found: list[tuple[str, str]] = []
        self._url: str | None = None
        self._words: list[str] = []

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "a" and "href" in attributes:
            self.end_link()
            self._url = attributes["href"].strip()
        elif tag == "area" and "href" in attributes:
            self.found.append((attributes.get("alt", ""), attributes["href"].strip()))
        elif tag == "img" and self._url is not None:
            self._words.append(f"[{attributes.get('alt') or _('image')}]")

    def end(self, tag: str) -> None:
        if tag == "a":
            self.end_link()

    def words(self, words: str) -> None:
        if self._url is not None:
            self._words.append(words)

    def end_link(self) -> None:
        """Add the link that is still open."""
        if self._url is not None:
            label = link_targets.without_turns(" ".join("".join(self._words).split()))
            self.found.append((label[:120], self._url))
        self._url, self._words = None, []


_PROBE = "https://probe.invalid/"
_MARK, _IS_COUNTED = "https://marked.invalid/", "counted"
