"""Checks of a single message as its recipients would get it: bytes in, findings out.

Nothing here stores, sends, or reads the clock.
"""

import email
import email.policy
import html as html_entities
import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from urllib.parse import urlsplit

from campaigns.markup.starter_templates import SAMPLE_SENTENCES, sample_links
from campaigns.markup.visible_links import VisibleLink, links_of
from campaigns.preflight.finding import Finding, Severity, found
from mail.addresses import AddressInvalid, domain_of, parse_mailbox
from mail.mailbox_providers import is_named_in, with_mailboxes_at
from mail.reachability import is_public
from words.numbers import counted

FATAL, BLOCK, WARN, INFORM = Severity
LONGEST_LINE = 998  # RFC 5322 section 2.1.1
LARGEST_MESSAGE = 25_000_000  # Bytes. The usual mailboxes accept no more.
MOST_LISTED = 20  # Faults of one kind that a finding names.
LARGEST_HTML = 102_000  # Bytes. Gmail clips longer HTML.
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
    yield from form(seen)
    yield from sender(seen, context)
    yield from message_id(seen, context)
    if context.must_unsubscribe:
        yield from one_click(seen, context)
        yield from visible_link(seen, context)
    yield from parts(seen)
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
            times = "is missing" if not count else f"occurs {count} times"
            yield found("M1", FATAL, f"The header {name} {times}.", "Tell your administrator.")
    longest = max((len(line) for line in seen.content.split(b"\r\n")), default=0)
    if longest > LONGEST_LINE:
        yield found(
            "M1", FATAL, f"A line has {longest} bytes. At most {LONGEST_LINE} are allowed.", "Shorten long links."
        )
    rest = seen.content.replace(b"\r\n", b"")
    if b"\r" in rest or b"\n" in rest:
        yield found("M1", FATAL, "The message has a bare line break.", "Remove control characters from the content.")


def sender(seen: ParsedMessage, context: CheckContext) -> Iterator[Finding]:
    """M2: a From address that receivers trust."""
    header = str(seen.message["From"] or "")
    try:
        mailbox = parse_mailbox(header)
    except AddressInvalid as error:
        yield found("M2", FATAL, f"The From address can't be used: {error}", "Enter one address.")
        return
    domain = domain_of(mailbox.address).lower()
    provider = with_mailboxes_at(domain)
    if provider is not None and not provider.may_send(context.host.lower()):
        yield found(
            "M2",
            BLOCK,
            f"Mail from {domain} through {context.server} is rejected or marked as spam. Only {provider.name} may send"
            " it.",
            "Use an address on your own domain.",
        )
    name = mailbox.name
    if "@" in name or any(ord(sign) > 0x1F000 for sign in name) or is_named_in(name):
        yield found(
            "M2",
            WARN,
            f"The sender's name “{name}” contains an address, a provider's name or an emoji, which looks like fraud.",
            "Use the name people know you by.",
        )


def message_id(seen: ParsedMessage, context: CheckContext) -> Iterator[Finding]:
    """M3: a Message-ID in the sender's own domain (RFC 5322 section 3.6.4)."""
    value = str(seen.message["Message-ID"] or "").strip()
    if not re.fullmatch(r"<[^<>@\s]+@[^<>@\s]+>", value) or value[1:-1].rpartition("@")[2] != context.domain:
        yield found("M3", FATAL, f"The Message-ID {value or '(none)'} isn't on the domain {context.domain}.",
                    "Correct the campaign's From, or the server's Domain name.")  # fmt: skip


def one_click(seen: ParsedMessage, context: CheckContext) -> Iterator[Finding]:
    """M4: List-Unsubscribe with one https URL, and an exact List-Unsubscribe-Post header (RFC 8058)."""
    header = str(seen.message["List-Unsubscribe"] or "")
    addresses = re.findall(r"<\s*([^<>]+?)\s*>", header)
    web = [address for address in addresses if address.lower().startswith(("https://", "http://"))]
    remedy = "Ask an administrator to turn on the server's unsubscribe link and to serve this site over https."
    if len(web) != 1:
        yield found("M4", BLOCK, f"One-click unsubscribe doesn't work through {context.server}: the header"
                    " List-Unsubscribe has no web address.", remedy)  # fmt: skip
        return
    if not web[0].lower().startswith("https://") and not context.is_local:
        yield found("M4", BLOCK, f"The unsubscribe address in mail through {context.server} isn't https:"
                    f" {web[0][:60]}.", remedy)  # fmt: skip
    if str(seen.message["List-Unsubscribe-Post"] or "").strip() != "List-Unsubscribe=One-Click":
        yield found("M4", BLOCK, f"Mail through {context.server} has no List-Unsubscribe-Post header, which Gmail and"
                    " Yahoo require.", remedy)  # fmt: skip


def visible_link(seen: ParsedMessage, context: CheckContext) -> Iterator[Finding]:
    """M6: a visible unsubscribe link in both the text and the HTML."""
    remedy = "Put {{ unsubscribe_url }} where people see it, or keep the link in the footer."
    url = context.unsubscribe_url
    if url not in seen.text and not _is_in_text(url, seen.text):
        yield found("M6", BLOCK, f"The text through {context.server} has no unsubscribe link.", remedy)
    if not seen.html:
        return
    matching = [link for link in seen.links if _same(link.url, url)]
    if not matching:
        yield found("M6", BLOCK, f"The HTML through {context.server} has no unsubscribe link.", remedy)
    elif all(link.hidden for link in matching):
        yield found("M6", BLOCK, f"The unsubscribe link is hidden: {matching[0].hidden}.",
                    "Show it in a colour and a size that people can read.")  # fmt: skip


def postal_address(seen: ParsedMessage, addresses: Sequence[str], north_americans: int) -> Iterator[Finding]:
    """M8: a postal address, which the law requires in the United States and in Canada.

    :param addresses: the known postal addresses; the message must contain one of them.
    :param north_americans: the number of recipients in these countries, judged by their time zones.
    """
    body = _squeeze(seen.text) + _squeeze(re.sub(r"<[^<>]*>", " ", seen.html))
    if any(_squeeze(address) in body for address in addresses if address.strip()):
        return
    remedy = "Choose a layout with your postal address, or ask an administrator to enter it in Settings."
    sentence = "The message has no postal address"
    if not north_americans:
        yield found("M8", WARN, f"{sentence}, which several countries require by law.", remedy)
        return
    people = counted(north_americans, "recipient is", "recipients are")
    yield found("M8", BLOCK, f"{sentence}, and {people} in the United States or Canada, where it's required.", remedy)


def parts(seen: ParsedMessage) -> Iterator[Finding]:
    """M9: a text part, and HTML that mail programs show completely."""
    if not seen.text.strip():
        yield found("M9", WARN, "The message has no text version, which spam filters and some readers expect.",
                    "Write one, or leave the text empty to create it from the HTML.")  # fmt: skip
    if (size := len(seen.html.encode())) > LARGEST_HTML:
        yield found("M9", WARN, f"The HTML has {size // 1000} KB. Gmail clips it at 102 KB, with the footer.",
                    "Shorten the content.")  # fmt: skip
    forbidden = sorted(seen.tags & set(_FORBIDDEN_TAGS))
    if forbidden:
        yield found("M9", WARN, f"Mail programs remove <{'>, <'.join(forbidden)}> or mark the message as spam.",
                    "Remove it and link to a page instead.")  # fmt: skip


def leftovers(seen: ParsedMessage) -> Iterator[Finding]:
    """M10: no text that looks like an unfilled merge field."""
    words = f"{seen.message['Subject']}\n{seen.text}\n{seen.html}"
    left = list(dict.fromkeys(_LEFTOVER.findall(words)))
    if left:
        which = "A merge field is" if len(left) == 1 else f"{len(left)} merge fields are"
        yield found("M10", BLOCK, f"{which} left in the message: {_listed(left)}.",
                    "Write it as {{ first_name }}, or remove it.")  # fmt: skip


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
                yield found("M10", BLOCK, f"People without a name are greeted with “{greeting}”.",
                            'Give the field a default: {{ first_name | default: "friend" }}.')  # fmt: skip
                return


def is_empty_greeting(words: str) -> bool:
    """Whether the words are a greeting that lacks a name, such as “Dear ,”."""
    return _EMPTY_GREETING.fullmatch(words) is not None


def sample_text(seen: ParsedMessage) -> Iterator[Finding]:
    """M15: no sentence and no link of a starter template that is meant to be replaced."""
    body = _squeeze(seen.text) + _squeeze(html_entities.unescape(re.sub(r"<[^<>]*>", " ", seen.html)))
    left = [f"“{sentence}”" for sentence in SAMPLE_SENTENCES if _squeeze(sentence) in body]
    if left:
        which = "A sample sentence is" if len(left) == 1 else f"{len(left)} sample sentences of the template are"
        more = f" and {len(left) - 3} more" if len(left) > 3 else ""
        yield found("M15", WARN, f"{which} still in the message: {', '.join(left[:3])}{more}.",
                    "Replace them with your own words.")  # fmt: skip
    urls = dict.fromkeys(url.partition("?")[0] for url in _urls(seen))
    if samples := [url for url in urls if url in sample_links()]:
        which = "A link still leads" if len(samples) == 1 else f"{len(samples)} links still lead"
        yield found("M15", WARN, f"{which} to the template's example address: {_listed(samples)}.",
                    "Enter your own address.")  # fmt: skip


def links(seen: ParsedMessage, context: CheckContext) -> Iterator[Finding]:
    """M11: links that work for readers and that spam filters trust."""
    nowhere = [link for link in seen.links if link.url.strip() in ("", "#")]
    if nowhere:
        words = _listed([f"“{link.words[:60] or 'without words'}”" for link in nowhere])
        yield found("M11", WARN, f"A link has no address: {words}.", "Add an address or remove the link.")
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
        yield found("M11", severity, f"{problem}: {_listed(which)}.", remedy)


def _urls(seen: ParsedMessage) -> list[str]:
    return list(dict.fromkeys([*(link.url for link in seen.links), *_BARE_URL.findall(seen.text)]))


def _listed(words: Sequence[str]) -> str:
    """Return the words in a row; of very many, the first and the number of the others."""
    more = len(words) - MOST_LISTED
    return ", ".join(words[:MOST_LISTED]) + (f", and {more:,} more" if more > 0 else "")


def _link_problem(url: str) -> tuple[Severity, str, str]:
    """Return severity, problem and remedy of a link; the texts are empty if the link is fine."""
    try:
        split = urlsplit(url.strip())
        host = (split.hostname or "").lower()
    except ValueError:
        return WARN, "A link is invalid", "Correct it."
    if split.scheme in ("javascript", "data", "file", "vbscript"):
        return WARN, "Mail programs don't open this link", "Link to a page."
    if not split.scheme or not host:
        return WARN, "A link has no host, so it doesn't work in a message", "Write the full address with https://."
    if host == "localhost" or host.endswith((".localhost", ".local", ".internal")):
        return BLOCK, "A link leads to a computer that recipients can't reach", "Link to the public address."
    try:
        ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        if not is_public(host):
            return BLOCK, "A link leads to a computer that recipients can't reach", "Link to the public address."
        return WARN, "A link uses a bare IP address, which filters take for fraud", "Use a host name."
    if host.removeprefix("www.") in SHORTENERS:
        return WARN, "A link uses a URL shortener, which filters distrust", "Link to the page itself."
    if split.scheme == "http":
        return WARN, "A link isn't encrypted", "Use https:// if the page supports it."
    return INFORM, "", ""


def subject(seen: ParsedMessage) -> Iterator[Finding]:
    """M12: an honest subject that is not empty."""
    words = str(seen.message["Subject"] or "")
    letters = [sign for sign in words if sign.isalpha()]
    if not words.strip():
        yield found("M12", WARN, "The subject is empty for some recipients.", "Give its merge fields a default.")
    elif _FALSE_REPLY.match(words):
        yield found("M12", WARN, f"The subject “{words[:60]}” looks like a fake reply.", "Remove the prefix.")
    elif len(letters) >= 8 and "".join(letters).isupper():
        yield found("M12", WARN, "The subject is all capitals, like spam.", "Use normal capitalisation.")


def size(size_bytes: int, largest: Sequence[tuple[str, int]]) -> Iterator[Finding]:
    """M13: a message no larger than servers and mailboxes accept.

    :param largest: names of servers, each with the size in bytes that it announced (RFC 1870).
    """
    megabytes = f"{size_bytes / 1_000_000:.1f} MB"
    if size_bytes > LARGEST_MESSAGE:
        yield found("M13", BLOCK, f"Each message has {megabytes}. Most mailboxes accept 25 MB.", "Link to large files.")
    for server, most in largest:
        if size_bytes > most:
            yield found("M13", BLOCK, f"Each message has {megabytes}. {server} accepts {most / 1_000_000:.1f} MB.",
                        "Link to large files, or choose other servers.")  # fmt: skip


def _same(url: str, other: str) -> bool:
    return url.strip().rstrip("/") == other.strip().rstrip("/")


def _is_in_text(url: str, text: str) -> bool:
    return url.strip() in "".join(text.split())


def _squeeze(text: str) -> str:
    return re.sub(r"\W+", "", text).casefold()
