"""The click map of a mailing: how often each of its links was clicked, and its HTML with a badge on each link."""

import copy
import html as html_entities
import re
import secrets
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from django.conf import settings
from django.utils.html import escape
from django.utils.translation import gettext

from campaigns.reports.visits import Visited
from contacts.transfer.export_contacts import table
from delivery.content.attachments import shown_by_address
from delivery.content.composer import Composer
from delivery.content.tracking_hosts import counted_addresses, own_hosts
from delivery.models import Mailing, TrackedLink, TrackedTarget
from delivery.records.visits import VisitQuery, visit_sums
from mail import markup
from mail.links import link_targets, merge_tags, utm
from mail.links.link_targets import Link
from smtpservers.models import SmtpServer
from words.numbers import percent
from words.texts import text as _

HTML, TEXT = TrackedLink.Part.HTML, TrackedLink.Part.TEXT
REASONS = {
    link_targets.FIELD: _("Not counted: its address has a merge field and differs by recipient."),
    link_targets.OFF: _("Not counted: it is marked so."),
    link_targets.SIGNED: _("Not counted: its address is signed and must not change."),
    link_targets.OWN: _("Not counted: it leads to this site."),
    link_targets.OTHER: _("Not counted: it doesn't lead to a web page."),
    link_targets.BROKEN: _("Not counted: its address can't be redirected to."),
    link_targets.MANY: _("Not counted: there are too many links."),
    "": _("Not counted: nothing was counted when it was sent."),
}
HEADINGS = (
    *("part", "link", "label", "address", "counted", "people", "clicks by people", "share", "clicks by machines"),
    "clicks by unknown",
)


@dataclass(frozen=True, slots=True)
class MappedLink:
    """A place in the mail that leads somewhere. Two places with the same address are two links."""

    part: str
    position: int  # 1 for the first link of its part.
    label: str  # What it says; empty for addresses in text.
    url: str
    why_not: str = ""  # A sentence, if it is not counted.
    clicks: Visited = field(default_factory=Visited)
    share: str = ""  # Its clicks by people, of those of all links.
    width: float = 0.0  # The same, in percent of the link with the most.
    link_id: int | None = None  # Of the TrackedLink, if it is counted.

    @property
    def is_counted(self) -> bool:
        return not self.why_not

    @property
    def is_in_text(self) -> bool:
        return self.part == TEXT


def mapped_links(mailing: Mailing, server: SmtpServer | None) -> list[MappedLink]:
    """Return the links of a mailing in their order, those of the HTML first.

    :param server: one that the mailing may go through; None leaves out what was never counted.
    :raises ValueError: if the content can't be made into a message.
    """
    found: dict[tuple[str, int], MappedLink] = {}
    # As somebody wrote them: what makes a mail adds filters to the merge fields of addresses.
    written = {place.link.position: place.link.url for place in link_targets.in_html(mailing.html)}
    for place in _places(mailing, server) if server is not None else []:
        why_not = REASONS[place.why_not]
        url = written.get(place.position, place.url) if place.part == HTML else merge_tags.as_written(place.url)
        found[place.part, place.position] = MappedLink(
            place.part, place.position, place.label, link_targets.shown(url), why_not
        )
    targets: dict[int, str] = {}
    stored = TrackedTarget.objects.filter(link__mailing=mailing.pk).order_by("pk")
    for link_id, url in stored.values_list("link", "url"):
        targets.setdefault(link_id, url)
    clicks: dict[int, Visited] = defaultdict(Visited)
    for each in visit_sums(VisitQuery(by="link", mailing_ids=[mailing.pk])):
        clicks[each.key] = clicks[each.key].plus(each)
    for row in TrackedLink.objects.filter(mailing=mailing.pk, is_counted=True):
        known = found.get((row.part, row.position))
        url = known.url if known is not None else link_targets.shown(targets.get(row.pk, ""))
        found[row.part, row.position] = MappedLink(
            row.part, row.position, row.label, url, clicks=clicks[row.pk], link_id=row.pk
        )
    all_clicks = sum(link.clicks.human for link in found.values())
    most = max((link.clicks.human for link in found.values()), default=0) or 1
    return [_with_share(found[key], all_clicks, most) for key in sorted(found)]


def _places(mailing: Mailing, server: SmtpServer) -> list[Link]:
    """Return the links as they are written, without UTM codes."""
    written = copy.copy(mailing)
    written.is_tagged = False
    return Composer(written, server, list_id=None, list_name="").links(counted_addresses())


def _with_share(link: MappedLink, whole: int, most: int) -> MappedLink:
    if not link.is_counted:
        return link
    share, width = percent(link.clicks.human, whole), round(link.clicks.human * 100 / most, 2)
    return replace(link, share=share, width=width)


# --- the HTML


def marked_html(mailing: Mailing, links: Iterable[MappedLink], server: SmtpServer) -> str:
    """Return the mail for a reader without a name, with a badge on each link. None of its links leads anywhere.

    :raises ValueError: if the content can't be made into a message.
    """
    badges = {link.position: link for link in links if link.part == HTML}
    mark = f"#{secrets.token_hex(8)}-"  # No content knows it, so that none can name a link's number itself.
    marked = copy.copy(mailing)
    marked.is_tagged = False
    places = link_targets.in_html(mailing.html, own_hosts())
    marked.html = link_targets.replaced(
        mailing.html, places, lambda link: f"{mark}{link.position}{_UNSUBSCRIBES if _unsubscribes(link) else ''}"
    )
    marked.text = "x"
    composer = Composer(marked, server, list_id=None, list_name="")
    rendered = composer.render(None, f"{settings.BASE_URL}/u/preview")
    return _STYLE + _with_badges(shown_by_address(rendered.html, mailing.files), mark, badges)


def _unsubscribes(link: Link) -> bool:
    return link.why_not == link_targets.OWN and "unsubscribe_url" in link.url


def _with_badges(html: str, mark: str, badges: Mapping[int, MappedLink]) -> str:
    """Return HTML in which no link has an address, and those with a mark have the badge of its number."""
    parts: list[str] = []
    copied = 0
    for tag in markup.tags(html):
        if (tag["element"] or "").lower() not in utm.LINK_ELEMENTS:
            continue
        found = list(markup.ATTRIBUTES.finditer(tag["attributes"]))
        leading = [number for number, each in enumerate(found) if _leads(each)]
        address = next((html_entities.unescape(markup.unquoted(found[number]["value"])) for number in leading), "")
        start, end = tag.span("attributes")
        parts += (
            html[copied:start],
            utm.without_attributes([each[0] for each in found], leading),
            html[end : tag.end()],
        )
        copied = tag.end()
        address = address.strip(utm.CONTROL_AND_SPACE)
        number = address.removeprefix(mark).partition("#")[0]
        if address.startswith(mark) and number.isdecimal() and int(number) in badges:
            parts.append(_badge(badges[int(number)]))
    return "".join((*parts, html[copied:]))


def _leads(attribute: re.Match[str]) -> bool:
    return (attribute["attribute"] or "").lower() in ("href", "xlink:href", "target") and bool(attribute["value"])


def _badge(link: MappedLink) -> str:
    words = f"{link.share} · {link.clicks.human:,}" if link.is_counted else gettext("not counted")
    colour = "#1d4ed8" if link.is_counted else "#475569"
    return f'<span style="{_BADGE};background:{colour}">{link.position}: {escape(words)}</span>'


# Behind the number of a link, so that a mail with its own link to unsubscribe gets no second one.
_UNSUBSCRIBES = "#{{ unsubscribe_url }}"
# A link that our reader of HTML overlooks and a browser finds isn't followed by accident either.
_STYLE = (
    "<!DOCTYPE html><style>a,area{pointer-events:none!important}:where(a){color:#00e;text-decoration:underline}</style>"
)
# In the flow of the text: a badge takes its room, so that it covers neither a neighbour nor the link itself.
_BADGE = (
    "display:inline-block;position:static;float:none;margin:2px 4px;padding:1px 7px;border-radius:99px;color:#fff;"
    "font:600 11px/14px system-ui,sans-serif;letter-spacing:0;word-spacing:0;text-indent:0;text-transform:none;"
    "text-shadow:none;vertical-align:middle;white-space:nowrap;box-shadow:0 0 0 2px #fff"
)


# --- the file


def write_csv(links: Iterable[MappedLink]) -> Iterator[str]:
    """Yield the lines of a CSV file of links, safe to open in a spreadsheet."""
    return table(HEADINGS, (_cells(link) for link in links))


def _cells(link: MappedLink) -> list[str]:
    clicks = link.clicks
    numbers = [str(clicks.people), str(clicks.human), link.share, str(clicks.machine), str(clicks.unknown)]
    counted = ["yes", *numbers] if link.is_counted else ["no", *[""] * len(numbers)]
    return [link.part, str(link.position), link.label or link.url, link.url, *counted]
