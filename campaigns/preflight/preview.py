"""How a campaign looks to one person: through a server's settings, with each link's last address and its weight."""

import datetime as dt
import re
from dataclasses import dataclass
from time import monotonic
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from campaigns.content.frozen import frozen_content
from campaigns.models import Campaign
from campaigns.preflight import send_tests
from campaigns.preflight.refusals import doubts
from contacts.models import Contact
from delivery.content.attachments import shown_by_address
from delivery.content.composer import COMPOSE_SECONDS
from delivery.content.composer import preview as compose_preview
from mail.links.utm import NAMES, tag_url
from mail.markup import Reader
from mail.message.composition import Rendered
from smtpservers.models import SmtpServer

GMAIL_CLIPS_AT = 102 * 1024  # Bytes of HTML; what is beyond, Gmail shows behind a link.
_DARK = re.compile(r"\(\s*prefers-color-scheme\s*:\s*dark\s*\)", re.IGNORECASE)
_LIGHT = re.compile(r"\(\s*prefers-color-scheme\s*:\s*light\s*\)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PreviewLink:
    """One link of a mail."""

    label: str
    url: str  # As it is sent, with its UTM codes.
    note: str = ""  # What is unusual about it; a sentence.
    is_clash: bool = False  # Whether its own codes win over ours.


@dataclass(frozen=True, slots=True)
class Preview:
    """What one person gets to see."""

    rendered: Rendered
    html: str  # As a browser shows it: pictures inside the message have an address.
    links: list[PreviewLink]
    bytes: int  # Of the HTML.
    problems: list[str]  # What a person should mend, a sentence each.

    @property
    def has_dark_side(self) -> bool:
        return _DARK.search(self.html) is not None


def server_for(campaign: Campaign, wish: str, now: dt.datetime) -> SmtpServer | None:
    """Return the wished server, or the one that would be asked first now, or any; only none at all gives None."""
    if wish.isdecimal() and len(wish) < 19 and (wished := SmtpServer.objects.filter(pk=int(wish)).first()):
        return wished
    return send_tests.server_for(campaign, now)


def look(campaign: Campaign, contact: Contact | None, server: SmtpServer, now: dt.datetime) -> Preview:
    """Return what the contact would see; None is a reader without a name.

    :raises ValueError: naming what is wrong with the content.
    """
    content = frozen_content(campaign)
    files = content["files"]
    for name in ("name", "lists", "reply_to", "sends_copies", "files"):  # What a reader does not see.
        del content[name]

    deadline = monotonic() + COMPOSE_SECONDS  # For all three together: a person waits.

    def compose(**changes: Any) -> Rendered:
        return compose_preview(**{**content, **changes}, contact=contact, server=server, now=now, deadline=deadline)

    rendered = compose()
    untagged = compose(is_tagged=False) if campaign.is_tagged else rendered
    probe = compose(html=f'<a href="{_PROBE}">x</a>', text="x") if campaign.is_tagged else rendered
    codes = next((dict(parse_qsl(urlsplit(url).query)) for _, url in links_in(probe.html) if _PROBE in url), {})
    links = [
        _link(label, url, before, codes)
        for (label, url), (_, before) in zip(links_in(rendered.html), links_in(untagged.html), strict=False)
    ]
    html = shown_by_address(rendered.html, files)
    return Preview(rendered, html, links, len(rendered.html.encode()), [*doubts(campaign), *_problems(links)])


def in_the_dark(look: Preview) -> str:
    """Return the HTML as a mail program in dark colours shows it.

    With a dark side of its own the mail shows that. Without one some programs leave it light and some turn its
    colours round; that is what this does.
    """
    if look.has_dark_side:
        return _LIGHT.sub("(max-width:0)", _DARK.sub("(min-width:0)", look.html))
    style = (
        "<style>html{background:#121212;filter:invert(1) hue-rotate(180deg)}"
        "img,video,[background]{filter:invert(1) hue-rotate(180deg)}</style>"
    )
    return re.sub(r"</head\s*>", f"{style}</head>", look.html, count=1) if "</head" in look.html else style + look.html


def links_in(html: str) -> list[tuple[str, str]]:
    """Return label and address of each link that a reader can follow."""
    reader = _Links()
    reader.read(html)
    reader.end_link()
    return reader.found


def _link(label: str, url: str, before: str, codes: dict[str, str]) -> PreviewLink:
    if not url or url in ("#", "http://", "https://"):
        return PreviewLink(label, url, "It leads nowhere. Write its address.", True)
    if not url.lower().startswith(("http://", "https://")):
        return PreviewLink(label, url)
    own = {name: value for name, value in parse_qsl(urlsplit(before).query) if name in NAMES}
    clashes = [
        f"{name}={value} wins over {codes[name]}" for name, value in own.items() if codes.get(name, value) != value
    ]
    if clashes:
        return PreviewLink(label, url, f"Its own {', '.join(clashes)}.", True)
    if codes and url == before and "/u/preview" not in url and tag_url(before, codes) != before:
        return PreviewLink(label, url, "It gets no UTM codes.")
    return PreviewLink(label, url)


def _problems(links: list[PreviewLink]) -> list[str]:
    return [f"The link “{link.label or 'without words'}” leads nowhere." for link in links if link.url in ("", "#")]


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
            self._words.append(f"[{attributes.get('alt') or 'picture'}]")

    def end(self, tag: str) -> None:
        if tag == "a":
            self.end_link()

    def words(self, words: str) -> None:
        if self._url is not None:
            self._words.append(words)

    def end_link(self) -> None:
        """Note the link that is still open."""
        if self._url is not None:
            self.found.append((" ".join("".join(self._words).split())[:120], self._url))
        self._url, self._words = None, []


_PROBE = "https://probe.invalid/"
