"""Checks of a single message as its recipients would get it: bytes in, findings out.

Nothing here stores, sends, or reads the clock.
"""

import email
import email.policy
import html as html_entities
import ipaddress
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from urllib.parse import urlsplit

from campaigns.markup.starter_templates import SAMPLE_SENTENCES, sample_links, starters
from campaigns.markup.visible_links import VisibleLink, links_of
from campaigns.preflight.finding import Finding, Severity, found
from mail.addresses import AddressInvalid, domain_of, parse_mailbox
from mail.mailbox_providers import is_named_in, with_mailboxes_at
from mail.reachability import is_public
from words.texts import gettext_noop, joined, ngettext
from words.texts import text as _

FATAL, BLOCK, WARN, INFORM = Severity
_COMMA = gettext_noop("%(one)s, %(other)s")
LONGEST_LINE = 998  # RFC 5322 section 2.1.1
LARGEST_MESSAGE = 25_000_000  # Bytes. The usual mailboxes accept no more.
MOST_LISTED = 20  # Faults of one kind that a finding names.
GMAIL_CLIPS_AT = 102 * 1024  # Bytes of HTML. Gmail clips longer mails and shows the rest behind a link.
ONCE = ("From", "Date", "Message-ID", "Subject", "To", "MIME-Version")
SHORTENERS = frozenset(
    [
        *("bit.ly", "tinyurl.com", "t.co", "goo.gl", "ow.ly", "is.gd", "buff.ly", "rebrand.ly", "cutt.ly"),
        *("shorturl.at", "t.ly", "tiny.cc", "rb.gy", "lnkd.in", "s.id", "v.gd"),
    ]
)
# Names of merge fields in other programs: [FNAME], {first_name}, %FIRSTNAME%.
_FIELD_NAME = (
    r"(?:(?:f|l|first|last|full|sur|given|family|user|contact|company|subscriber)[_. -]?name|name|vorname|nachname"
    r"|anrede|pr[eé]nom|nom|nombre|apellidos?|cognome|salutation|e-?mail(?:[_. -]?address)?"
    r"|unsubscribe(?:[_. -]?(?:url|link))?)"
)
_LEFTOVER = re.compile(
    r"\{\{.{0,60}?\}\}|\{%.{0,60}?%\}|\[\[.{0,40}?\]\]|\*\|[A-Za-z_:]{2,30}\|\*|%%[A-Za-z_]{2,30}%%"
    rf"|\[{_FIELD_NAME}\]|\$?\{{{_FIELD_NAME}\}}|(?<![%\w]){'%'}{_FIELD_NAME}%|(?<!\w)-{_FIELD_NAME}-(?!\w)",
    re.IGNORECASE,
)
_EMPTY_GREETING = re.compile(r"(?:^|>|\n)[^\S\n]*(\w{2,20}[ \xa0]+[,!])(?=\s|<|$)")
_BARE_URL = re.compile(r"\bhttps?://[^\s<>\"')]+", re.IGNORECASE)
_FALSE_REPLY = re.compile(r"^\s*(re|fwd?|aw|wg)\s*:", re.IGNORECASE)
_FORBIDDEN_TAGS = ("script", "form", "iframe", "object", "embed", "input", "textarea", "video", "audio")


@dataclass(frozen=True, slots=True)
class ParsedMessage:
    """A message and its parts."""

    message: EmailMessage
    content: bytes
    text: str
    html: str
    links: tuple[VisibleLink, ...] = ()
    tags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class CheckContext:
    """The facts that the checks need beside the message."""

    server: str  # Name of the server.
    host: str
    domain: str  # The domain of the server's Message-IDs.
    unsubscribe_url: str  # The unsubscribe URL that this message must contain.
    is_local: bool = False  # Site and server are both this machine, where http is enough.
    own: tuple[str, ...] = ()  # Prefixes of URLs of this site.
    largest: tuple[tuple[str, int], ...] = ()  # Servers, and the message size in bytes that each one announced.
    must_unsubscribe: bool = True
    counts_opens: bool = False
    addresses: tuple[str, ...] = field(default=())  # Postal addresses; the message must contain one of them.


def parse_message(content: bytes) -> ParsedMessage:
    """Parse the bytes of a message."""
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    plain, rich = message.get_body(("plain",)), message.get_body(("html",))
    text = plain.get_content() if plain is not None else ""
    html = rich.get_content() if rich is not None else ""
    return ParsedMessage(message, content, text, html, *links_of(html))


def findings(seen: ParsedMessage, context: CheckContext) -> Iterator[Finding]:
    """Run all checks of a single message."""
    yield from findings_without_links(seen, context)
    yield from visible_links([(seen, context)])


def findings_without_links(seen: ParsedMessage, context: CheckContext) -> Iterator[Finding]:
    """Run all checks of a single message but M6, whose finding is about all servers together."""
    yield from form(seen)
    yield from sender(seen, context)
    yield from message_id(seen, context)
    if context.must_unsubscribe:
        yield from one_click(seen, context)
    yield from parts(seen, counts_opens=context.counts_opens)
    yield from leftovers(seen)
    yield from sample_text(seen)
    yield from links(seen, context)
    yield from subject(seen)
    yield from size(len(seen.content), context.largest)


def form(seen: ParsedMessage) -> Iterator[Finding]:
    """M1: each header once, no overlong lines, no bare CR or LF (RFC 5322 sections 2.1.1 and 3.6)."""
    names = [name.lower() for name in seen.message]
    for name in ONCE:
        if (count := names.count(name.lower())) != 1:
            missing, repeated = (
                _("The header %(name)s is missing.", name=name),
                _("The header %(name)s is repeated.", name=name),
            )
            yield found("M1", FATAL, repeated if count else missing, _("Tell your administrator."))
    longest = max((len(line) for line in seen.content.split(b"\r\n")), default=0)
    if longest > LONGEST_LINE:
        yield found(
            "M1",
            FATAL,
            _("A line has %(longest)s bytes. At most %(most)s are allowed.", longest=longest, most=LONGEST_LINE),
            _("Shorten long links."),
        )
    rest = seen.content.replace(b"\r\n", b"")
    if b"\r" in rest or b"\n" in rest:
        yield found(
            "M1", FATAL, _("The message has a bare line break."), _("Remove control characters from the content.")
        )


def sender(seen: ParsedMessage, context: CheckContext) -> Iterator[Finding]:
    """M2: a From address that receivers trust."""
    header = str(seen.message["From"] or "")
    try:
        mailbox = parse_mailbox(header)
    except AddressInvalid as error:
        yield found("M2", FATAL, _("The From address can't be used: %(error)s", error=error), _("Enter one address."))
        return
    domain = domain_of(mailbox.address).lower()
    provider = with_mailboxes_at(domain)
    if provider is not None and not provider.may_send(context.host.lower()):
        yield found(
            "M2",
            BLOCK,
            _(
                "Mail from %(domain)s through %(server)s is rejected or marked as spam. Only %(provider)s may send it.",
                domain=domain,
                server=context.server,
                provider=provider.name,
            ),
            _("Use an address on your own domain."),
        )
    name = mailbox.name
    if "@" in name or any(ord(sign) > 0x1F000 for sign in name) or is_named_in(name):
        yield found(
            "M2",
            WARN,
            _(
                "The sender's name “%(name)s” contains an address, a provider's name or an emoji, which"
                " looks like fraud.",
                name=name,
            ),
            _("Use the name people know you by."),
        )


def message_id(seen: ParsedMessage, context: CheckContext) -> Iterator[Finding]:
    """M3: a Message-ID in the sender's own domain (RFC 5322 section 3.6.4)."""
    value = str(seen.message["Message-ID"] or "").strip()
    if not re.fullmatch(r"<[^<>@\s]+@[^<>@\s]+>", value) or value[1:-1].rpartition("@")[2] != context.domain:
        yield found(
            "M3",
            FATAL,
            _("The Message-ID %(id)s isn't on the domain %(domain)s.", id=value or "–", domain=context.domain),
            _("Correct the campaign's From, or the server's Domain name."),
        )


def one_click(seen: ParsedMessage, context: CheckContext) -> Iterator[Finding]:
    """M4: List-Unsubscribe with one https URL, and an exact List-Unsubscribe-Post header (RFC 8058)."""
    header = str(seen.message["List-Unsubscribe"] or "")
    addresses = re.findall(r"<\s*([^<>]+?)\s*>", header)
    web = [address for address in addresses if address.lower().startswith(("https://", "http://"))]
    name = {"server": context.server}
    if len(web) != 1:
        sentence = _(
            "One-click unsubscribe doesn't work through %(server)s: the header List-Unsubscribe has no web address.",
            **name,
        )
    elif not web[0].lower().startswith("https://") and not context.is_local:
        sentence = _(
            "The unsubscribe address in mail through %(server)s isn't https: %(address)s.", **name, address=web[0][:60]
        )
    elif str(seen.message["List-Unsubscribe-Post"] or "").strip() != "List-Unsubscribe=One-Click":
        sentence = _(
            "Mail through %(server)s has no List-Unsubscribe-Post header, which Gmail and Yahoo require.", **name
        )
    else:
        return
    remedy = _("Ask an administrator to turn on the server's unsubscribe link and to serve this site over https.")
    yield found("M4", BLOCK, sentence, remedy)


def visible_links(messages: Iterable[tuple[ParsedMessage, CheckContext]]) -> Iterator[Finding]:
    """M6: a visible unsubscribe link in both the text and the HTML. One finding names each fault with its servers."""
    faults: dict[str, list[str]] = {}
    for seen, context in messages:
        for fault in _link_faults(seen, context.unsubscribe_url) if context.must_unsubscribe else ():
            faults.setdefault(fault, []).append(context.server)
    if faults:
        parts = [
            _("%(fault)s (%(servers)s)", fault=fault, servers=_listed(servers, 5)) for fault, servers in faults.items()
        ]
        sentence = _("People can't see how to unsubscribe: %(faults)s.", faults=joined(parts, _COMMA))
        remedy = _("Put {{ unsubscribe_url }} where people see it, in a readable size and colour.")
        yield found("M6", BLOCK, sentence, remedy)


def _link_faults(seen: ParsedMessage, url: str) -> Iterator[str]:
    if url not in seen.text and not _is_in_text(url, seen.text):
        yield _("no link in the text")
    if not seen.html:
        return
    matching = [link for link in seen.links if _same(link.url, url)]
    if not matching:
        yield _("no link in the HTML")
    elif all(link.hidden for link in matching):
        yield _("the link in the HTML is hidden: %(hidden)s", hidden=matching[0].hidden)


def postal_address(seen: ParsedMessage, addresses: Sequence[str], north_americans: int) -> Iterator[Finding]:
    """M8: a postal address, which the law requires in the United States and in Canada.

    :param addresses: the known postal addresses; the message must contain one of them.
    :param north_americans: the number of recipients in these countries, judged by their time zones.
    """
    body = _squeeze(seen.text) + _squeeze(re.sub(r"<[^<>]*>", " ", seen.html))
    if any(_squeeze(address) in body for address in addresses if address.strip()):
        return
    remedy = _("Choose a layout with your postal address, or ask an administrator to enter it in Settings.")
    if not north_americans:
        sentence = _("The message has no postal address, which several countries require by law.")
        yield found("M8", WARN, sentence, remedy)
        return
    sentence = ngettext(
        "The message has no postal address, and %(n)s recipient is in the United States or Canada, where it's"
        " required.",
        "The message has no postal address, and %(n)s recipients are in the United States or Canada, where it's"
        " required.",
        north_americans,
    )
    yield found("M8", BLOCK, sentence, remedy)


def html_bytes(html: str) -> int:
    """Return the size of HTML in bytes, whatever its line ends: the figure of all pages."""
    return len(html.replace("\r\n", "\n").encode())


def parts(seen: ParsedMessage, *, counts_opens: bool = False) -> Iterator[Finding]:
    """M9: a text part, and HTML that mail programs show completely."""
    if not seen.text.strip():
        yield found(
            "M9",
            WARN,
            _("The message has no text version, which spam filters and some readers expect."),
            _("Write one, or leave the text empty to create it from the HTML."),
        )
    if (size := html_bytes(seen.html)) > GMAIL_CLIPS_AT:
        if counts_opens:
            sentence = _(
                "The HTML has %(size)s KB. Gmail clips it at 102 KB, with the footer, and opens there aren't counted.",
                size=size // 1024,
            )
        else:
            sentence = _("The HTML has %(size)s KB. Gmail clips it at 102 KB, with the footer.", size=size // 1024)
        yield found("M9", WARN, sentence, _("Shorten the content."))
    forbidden = sorted(seen.tags & set(_FORBIDDEN_TAGS))
    if forbidden:
        yield found(
            "M9",
            WARN,
            _("Mail programs remove <%(tags)s> or mark the message as spam.", tags=">, <".join(forbidden)),
            _("Remove it and link to a page instead."),
        )


def leftovers(seen: ParsedMessage) -> Iterator[Finding]:
    """M10: no text that looks like an unfilled merge field."""
    words = f"{seen.message['Subject']}\n{seen.text}\n{seen.html}"
    left = list(dict.fromkeys(_LEFTOVER.findall(words)))
    if left:
        sentence = ngettext(
            "A merge field is left in the message: %(fields)s.",
            "%(n)s merge fields are left in the message: %(fields)s.",
            len(left),
            fields=_listed(left),
        )
        yield found("M10", BLOCK, sentence, _("Write it as {{ first_name }}, or remove it."))


def empty_greeting(named: ParsedMessage, nameless: ParsedMessage) -> Iterator[Finding]:
    """M10: no greeting that is incomplete for a contact without a name.

    :param named: the message to a person with a name.
    :param nameless: the same message to a person without one.
    """
    for mine, theirs in (
        (named.text, nameless.text),
        (str(named.message["Subject"]), str(nameless.message["Subject"])),
    ):
        usual = set(_EMPTY_GREETING.findall(mine))
        for greeting in _EMPTY_GREETING.findall(theirs):
            if greeting not in usual:
                yield found(
                    "M10",
                    BLOCK,
                    _("People without a name are greeted with “%(greeting)s”.", greeting=greeting),
                    _('Give the field a default: {{ first_name | default: "friend" }}.'),
                )
                return


def is_empty_greeting(words: str) -> bool:
    """Whether the words are a greeting that lacks a name, such as “Dear ,”."""
    return _EMPTY_GREETING.fullmatch(words) is not None


def sample_text(seen: ParsedMessage) -> Iterator[Finding]:
    """M16: no sentence, preheader or link of a starter template that is meant to be replaced."""
    body = _squeeze(seen.text) + _squeeze(html_entities.unescape(re.sub(r"<[^<>]*>", " ", seen.html)))
    left = [f"“{sentence}”" for sentence in SAMPLE_SENTENCES if _squeeze(sentence) in body]
    if left:
        sentence = ngettext(
            "A sample sentence is still in the message: %(sentences)s.",
            "%(n)s sample sentences of the template are still in the message: %(sentences)s.",
            len(left),
            sentences=_listed(left, 3),
        )
        yield found("M16", WARN, sentence, _("Replace them with your own words."))
    for starter in starters():
        if starter.preheader and f">{starter.preheader}<span" in seen.html:  # As campaigns.markup.frame writes it.
            sentence = _("The preheader is still the template's: “%(preheader)s”.", preheader=starter.preheader)
            yield found("M16", WARN, sentence, _("Write your own, or empty it."))
    urls = dict.fromkeys(url.partition("?")[0] for url in _urls(seen))
    if samples := [url for url in urls if url in sample_links()]:
        sentence = ngettext(
            "A link still leads to the template's example address: %(links)s.",
            "%(n)s links still lead to the template's example address: %(links)s.",
            len(samples),
            links=_listed(samples),
        )
        yield found("M16", WARN, sentence, _("Enter your own address."))


def links(seen: ParsedMessage, context: CheckContext) -> Iterator[Finding]:
    """M11: links that work for readers and that spam filters trust."""
    nowhere = [link for link in seen.links if link.url.strip() in ("", "#")]
    if nowhere:
        words = _listed([f"“{link.words[:60]}”" if link.words else _("“without words”") for link in nowhere])
        sentence = _("A link has no address: %(links)s.", links=words)
        yield found("M11", WARN, sentence, _("Add an address or remove the link."))
    urls = _urls(seen)
    at_fault: dict[tuple[Severity, str, str], list[str]] = {}
    for url in urls:
        if (
            not url.strip()
            or url.startswith(("#", "mailto:", "tel:", "sms:", *context.own))
            or _same(url, context.unsubscribe_url)
        ):
            continue
        fault = _link_problem(url)
        if fault[1]:
            at_fault.setdefault(fault, []).append(url[:100])
    for (severity, problem, remedy), which in at_fault.items():
        sentence = _("%(problem)s: %(links)s.", problem=problem, links=_listed(which))
        yield found("M11", severity, sentence, remedy)


def _urls(seen: ParsedMessage) -> list[str]:
    return list(dict.fromkeys([*(link.url for link in seen.links), *_BARE_URL.findall(seen.text)]))


def _listed(words: Sequence[str], most: int = MOST_LISTED) -> str:
    """Return the words in a row; of very many, the first and the number of the others."""
    shown, more = joined(words[:most], _COMMA), len(words) - most
    return _("%(shown)s, and %(n)s more", shown=shown, n=f"{more:,}") if more > 0 else shown


def _link_problem(url: str) -> tuple[Severity, str, str]:
    """Return severity, problem and remedy of a link; the texts are empty if the link is fine."""
    try:
        split = urlsplit(url.strip())
        host = (split.hostname or "").lower()
    except ValueError:
        return WARN, _("A link is invalid"), _("Correct it.")
    if split.scheme in ("javascript", "data", "file", "vbscript"):
        return WARN, _("Mail programs don't open this link"), _("Link to a page.")
    if not split.scheme or not host:
        return (
            WARN,
            _("A link has no host, so it doesn't work in a message"),
            _("Write the full address with https://."),
        )
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return BLOCK, _("A link leads to a computer that recipients can't reach"), _("Link to the public address.")
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        if not is_public(host):
            return BLOCK, _("A link leads to a computer that recipients can't reach"), _("Link to the public address.")
        return WARN, _("A link uses a bare IP address, which filters take for fraud"), _("Use a host name.")
    if host.removeprefix("www.") in SHORTENERS:
        return WARN, _("A link uses a URL shortener, which filters distrust"), _("Link to the page itself.")
    if split.scheme == "http":
        return WARN, _("A link isn't encrypted"), _("Use https:// if the page supports it.")
    return INFORM, "", ""


def subject(seen: ParsedMessage) -> Iterator[Finding]:
    """M12: an honest subject that is not empty."""
    words = str(seen.message["Subject"] or "")
    letters = [sign for sign in words if sign.isalpha()]
    if not words.strip():
        yield found("M12", WARN, _("The subject is empty for some recipients."), _("Give its merge fields a default."))
    elif _FALSE_REPLY.match(words):
        yield found(
            "M12",
            WARN,
            _("The subject “%(subject)s” looks like a fake reply.", subject=words[:60]),
            _("Remove the prefix."),
        )
    elif len(letters) >= 8 and "".join(letters).isupper():
        yield found("M12", WARN, _("The subject is all capitals, like spam."), _("Use normal capitalisation."))


def size(size_bytes: int, largest: Sequence[tuple[str, int]]) -> Iterator[Finding]:
    """M13: a message no larger than servers and mailboxes accept.

    :param largest: names of servers, each with the size in bytes that it announced (RFC 1870).
    """
    megabytes = _("%(size)s MB", size=f"{size_bytes / 1000000:.1f}")
    if size_bytes > LARGEST_MESSAGE:
        yield found(
            "M13",
            BLOCK,
            _("Each message has %(megabytes)s. Most mailboxes accept 25 MB.", megabytes=megabytes),
            _("Link to large files."),
        )
    for server, most in largest:
        if size_bytes > most:
            yield found(
                "M13",
                BLOCK,
                _(
                    "Each message has %(megabytes)s. %(server)s accepts %(most)s MB.",
                    megabytes=megabytes,
                    server=server,
                    most=f"{most / 1000000:.1f}",
                ),
                _("Link to large files, or choose other servers."),
            )


def _same(url: str, other: str) -> bool:
    return url.strip().rstrip("/") == other.strip().rstrip("/")


def _is_in_text(url: str, text: str) -> bool:
    return url.strip() in "".join(text.split())


def _squeeze(text: str) -> str:
    return re.sub(r"\W+", "", text).casefold()
