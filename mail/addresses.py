"""Mailboxes, addresses and host names: validation, and the keys for comparing them.

Nothing here queries DNS: another module checks whether a domain exists and takes mail. Accepted are the forms of RFC
5321 and 6531 (dot-atoms, quoted local parts, UTF-8), except those that people only type by mistake: comments, address
literals, domains without a dot.
"""

import functools
import ipaddress
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import idna
from email_validator import EmailNotValidError, validate_email

from mail.reachability import is_forbidden, is_link_local
from mail.suffixes import is_public_suffix
from words.texts import text as _

LOCAL_OCTETS = 64  # RFC 5321 section 4.5.3.1.1.
ADDRESS_OCTETS = 254  # A path is 256 octets with its angle brackets (section 4.5.3.1.3).
DOMAIN_OCTETS = 253  # The limit in DNS, below the 255 of section 4.5.3.1.2.
NAME_CHARACTERS = 150

# Trimmed at both ends: blanks, and invisible characters that programs leave there. Line ends are not trimmed: an
# address with a line end is refused.
_BLANKS = (
    " \t\u00a0\u3000\u00ad\u034f\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e"
    "\u2060\u2061\u2062\u2063\u2064\u2066\u2067\u2068\u2069\ufeff"
)
JOINERS = "\u200c\u200d"  # Invisible, but Persian, Hindi and emoji need them in names.
_JOINERS = str.maketrans("", "", JOINERS)

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = re.compile(rf"(?:{_LABEL}\.)*{_LABEL}")
_HOST_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"  # Container names may have underscores.
_HOST = re.compile(rf"(?:{_HOST_LABEL}\.)*{_HOST_LABEL}")
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
# The common form: 7-bit, no quotes, no A-label, a top-level domain that ends in a letter.
_PLAIN = re.compile(
    rf"(?=.{{1,{LOCAL_OCTETS}}}@.{{1,{DOMAIN_OCTETS}}}\Z)(?!.*@(?:.*\.)?[Xx][Nn]--)"
    rf"{_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+(?:[A-Za-z0-9](?:[A-Za-z0-9-]{{0,61}}))?[A-Za-z]\Z"
)
# Common addresses that are the same in an envelope: lower case after the @.
_SIMPLE = re.compile(r"[A-Za-z0-9_+=-]++(?:\.[A-Za-z0-9_+=-]++)*@(?:[a-z0-9]++(?:-[a-z0-9]++)*\.)+[a-z]++").fullmatch
_ENCODED_WORD = re.compile(r"=\?[^?\s]+\?[BbQq]\?[^?\s]*\?=")
_NUMERIC_LABEL = re.compile(r"(?:[0-9]+|0[xX][0-9A-Fa-f]*)")

# RFC 6761 and RFC 2606: these never exist, so no mail can reach them.
RESERVED_DOMAINS = ("test", "invalid", "example", "localhost", "example.com", "example.net", "example.org")
RESERVED_ENDS = tuple(f".{domain}" for domain in RESERVED_DOMAINS)  # Of a reserved domain with a dot before it.


class AddressInvalid(ValueError):
    """An address, name or host that cannot be used; its text is a sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A name and an address, as in a From header; the name may be empty."""

    name: str
    address: str

    def __post_init__(self) -> None:
        """Refuse characters that could end a header line, however the mailbox was made."""
        _refuse_invisible(self.name.translate(_JOINERS))
        _refuse_invisible(self.address)

    def __str__(self) -> str:
        """Return the form people read and type; :func:`parse_mailbox` reads it back. Headers need encoding."""
        if not self.name:
            return self.address
        if re.search(r'[<>",;@\\]', self.name):
            escaped = re.sub(r'(["\\])', r"\\\1", self.name)
            return f'"{escaped}" <{self.address}>'
        return f"{self.name} <{self.address}>"


# Mailboxes


def parse_mailbox(text: str) -> Mailbox:
    """Parse ``Name <ann@example.com>`` or ``ann@example.com``.

    :raises AddressInvalid: for several addresses, an invalid address, or a name that no header may carry.
    """
    text = _trim(text)
    _refuse_invisible(text.translate(_JOINERS))
    if not text:
        raise AddressInvalid(_("The address is empty. Write it as name@example.com."))
    is_list = sum(1 for _ in _split(text)) > 1
    if is_list and text.count("@") > 1 and "<" not in text:
        raise AddressInvalid(_("%(text)s holds several addresses. Enter exactly one.", text=_show(text)))
    if "<" not in text and ">" not in text:
        return Mailbox("", check_address(text))
    before, opened, address = text.removesuffix(">").rpartition("<")
    if not opened or not text.endswith(">"):
        raise AddressInvalid(
            _("%(text)s has a bracket without its partner. Write it as Name <name@example.com>.", text=_show(text))
        )
    if is_list and "@" in before:
        raise AddressInvalid(_("%(text)s holds several addresses. Enter exactly one.", text=_show(text)))
    return Mailbox(_parse_name(before), check_address(address))


def parse_mailboxes(text: str, *, most: int = 10) -> list[Mailbox]:
    """Parse mailboxes separated by commas, semicolons or line ends; duplicate addresses are dropped.

    :param most: the maximum number of addresses.
    :raises AddressInvalid: for the first invalid one, or if there are too many.
    """
    mailboxes: dict[str, Mailbox] = {}
    for part in _split(text):
        mailbox = parse_mailbox(part)
        mailboxes.setdefault(fold(mailbox.address), mailbox)
    if len(mailboxes) > most:
        raise AddressInvalid(
            _("There are %(n)s addresses, but at most %(most)s are allowed. Remove some.", n=len(mailboxes), most=most)
        )
    return list(mailboxes.values())


def _split(text: str) -> Iterator[str]:
    """Yield the parts of a list of mailboxes, without splitting inside quotes or angle brackets."""
    for part in re.findall(r'(?:"(?:[^"\\\r\n]|\\.)*"|<[^>\r\n]*>|[^,;\r\n])+', text):
        if _trim(part):
            yield part


def _parse_name(text: str) -> str:
    name = _trim(text)
    if len(name) >= 2 and name[0] == name[-1] == '"':
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    name = unicodedata.normalize("NFC", " ".join(name.split()))
    if _ENCODED_WORD.search(name):
        raise AddressInvalid(_("The name %(name)s is encoded. Write it in plain letters.", name=_show(name)))
    if "<" in name or ">" in name:
        raise AddressInvalid(_("%(name)s holds several addresses. Enter exactly one.", name=_show(name)))
    if len(name) > NAME_CHARACTERS:
        raise AddressInvalid(
            _(
                "The name %(name)s is longer than %(most)s characters. Shorten it.",
                name=_show(name),
                most=NAME_CHARACTERS,
            )
        )
    return name


# Addresses


def check_address(text: str) -> str:
    """Return the address as typed, in NFC and trimmed, if RFC 5321 and 6531 allow it.

    Reserved domains (.example, .test) pass: see :func:`is_reserved`.

    :raises AddressInvalid: with a sentence for the person who typed it.
    """
    if _PLAIN.match(text) and len(text) <= ADDRESS_OCTETS:
        return text
    return _check_any_address(text)


def read_address(text: str) -> str:
    """Return the address from a text that may wrap it: see :func:`unwrap`.

    :raises AddressInvalid: with a sentence for the person who typed it.
    """
    try:
        return check_address(text)
    except AddressInvalid:
        bare = unwrap(text)
        if "@" not in bare:  # Then the error about the whole text is more useful.
            raise
        return check_address(bare)


def unwrap(text: str) -> str:
    """Return the address inside ``Ann <ann@example.com>``, ``mailto:ann@example.com`` or ``(ann@example.com).``.

    Other text is returned trimmed. Nothing is validated.
    """
    address = _trim(text).rstrip(".,;")
    if bracketed := re.fullmatch(r"[^<>@]*<([^<>]*)>", address):
        address = _trim(bracketed[1])
    if len(address) > 2 and address[0] + address[-1] in ('""', "''", "()", "[]", "“”", "«»"):
        address = _trim(address[1:-1])
    if address[:7].lower() == "mailto:":
        address = address[7:].partition("?")[0]
    return _trim(address).rstrip(".,;")


def _check_any_address(text: str) -> str:
    """Validate as :func:`check_address` does, without its fast path."""
    address = normalise(text)
    if len(address) > 4 * ADDRESS_OCTETS:
        raise AddressInvalid(
            _(
                "%(address)s is too long. An address has at most %(most)s characters.",
                address=_show(address),
                most=ADDRESS_OCTETS,
            )
        )
    _refuse_invisible(address)
    local, at, domain = address.rpartition("@")
    _refuse_common_mistakes(address, local, at, domain)
    try:
        encoded = ascii_domain(domain)
    except AddressInvalid as error:
        raise AddressInvalid(_("%(address)s cannot be used: %(error)s", address=_show(address), error=error)) from error
    if "." not in encoded:
        raise AddressInvalid(
            _(
                "%(address)s has no dot after the @. Write the whole domain, as in name@example.com.",
                address=_show(address),
            )
        )
    if not encoded[-1].isalpha():
        raise AddressInvalid(
            _("%(address)s ends in a number. Write the whole domain, as in name@example.com.", address=_show(address))
        )
    _check_local_part(address, local)
    for form in (address, f"{local}@{encoded}"):
        if len(form.encode()) > ADDRESS_OCTETS:
            raise AddressInvalid(
                _(
                    "%(address)s is too long. An address has at most %(most)s characters.",
                    address=_show(address),
                    most=ADDRESS_OCTETS,
                )
            )
    return address


def _refuse_common_mistakes(address: str, local: str, at: str, domain: str) -> None:
    shown = _show(address)
    is_quoted = local.startswith('"')
    if not address:
        raise AddressInvalid(_("The address is empty. Write it as name@example.com."))
    if not at:
        wide = "＠" in address or "﹫" in address
        if wide:
            raise AddressInvalid(_("%(address)s has a wide @ sign. Type a plain @.", address=shown))
        raise AddressInvalid(_("%(address)s has no @ sign. Write it as name@example.com.", address=shown))
    if "@" in local and not is_quoted:
        count = {2: "two"}.get(address.count("@"), str(address.count("@")))
        raise AddressInvalid(
            _("%(address)s has %(count)s @ signs. Write it as name@example.com.", address=shown, count=count)
        )
    if not local or not domain:
        if local:
            raise AddressInvalid(_("%(address)s has nothing after the @. Write it as name@example.com.", address=shown))
        raise AddressInvalid(_("%(address)s has nothing before the @. Write it as name@example.com.", address=shown))
    if domain.startswith("["):
        raise AddressInvalid(
            _("%(address)s names a computer by number. Write a domain, as in name@example.com.", address=shown)
        )
    if not is_quoted and re.search(r"\s", address):
        raise AddressInvalid(_("%(address)s contains a space. Remove it.", address=shown))
    if not is_quoted and (bad := re.search(r'[()<>,;:\\"]', address)):
        raise AddressInvalid(
            _("%(address)s contains a “%(bad)s”, which addresses do not have. Remove it.", address=shown, bad=bad[0])
        )
    if ".." in domain or (not is_quoted and ".." in local):
        raise AddressInvalid(_("%(address)s has two dots in a row. Remove one.", address=shown))


def _check_local_part(address: str, local: str) -> None:
    if len(local.encode()) > LOCAL_OCTETS:
        raise AddressInvalid(
            _(
                "%(address)s has more than %(most)s characters before the @. Shorten it.",
                address=_show(address),
                most=LOCAL_OCTETS,
            )
        )
    if local.startswith('"') and not re.fullmatch(r'"(?:[^"\\]|\\[\x20-\x7e])+"', local):
        raise AddressInvalid(
            _("%(address)s has a quotation mark too many or too few. Write name@example.com.", address=_show(address))
        )
    try:
        # The domain was validated above. The library would refuse reserved ones, so it gets another domain.
        validate_email(f"{local}@mail.org", check_deliverability=False, allow_quoted_local=True, strict=True)
    except EmailNotValidError as error:
        raise AddressInvalid(_("%(address)s cannot be used: %(error)s", address=_show(address), error=error)) from error


def normalise(address: str) -> str:
    """Return ``address`` in NFC without surrounding blanks, otherwise as typed."""
    return unicodedata.normalize("NFC", _trim(address))


def fold(address: str) -> str:
    """Return the key that all spellings of one address share; never raises, for any text.

    The domain as A-label, everything in lower case, unnecessary quotes removed. RFC 5321 lets ``Ann`` and ``ann`` be
    two people; no provider does, and writing twice to the same person is the worse mistake. Dots and ``+tags`` are
    kept, and letters that only look alike (ß and ss, Latin and Cyrillic a) stay different.
    """
    if address.isascii() and '"' not in address and "xn--" not in address:
        return _trim(address).lower()
    local, at, domain = normalise(address).rpartition("@")
    if quoted := re.fullmatch(rf'"({_ATOM}(?:\.{_ATOM})*)"', local):
        local = quoted[1]
    try:
        domain = ascii_domain(domain)
    except AddressInvalid:
        domain = domain.lower()
    return unicodedata.normalize("NFC", local.lower()) + at + domain


def domain_of(address: str) -> str:
    """Return the domain of an address as A-label in lower case.

    :raises AddressInvalid: if the domain is invalid.
    """
    return ascii_domain(normalise(address).rpartition("@")[2])


def ascii_address(address: str) -> str:
    """Return the form for the envelope: the domain as A-label (RFC 6531 section 3.7.1), the local part unchanged."""
    local, at, domain = normalise(address).rpartition("@")
    return local + at + ascii_domain(domain)


def envelope_address(text: str) -> str:
    """Return :func:`ascii_address` of an address that passes :func:`check_address`.

    :raises AddressInvalid: with a sentence for the person who typed it.
    """
    if len(text) <= LOCAL_OCTETS and _SIMPLE(text):  # Too short for any part to be too long.
        return text
    return ascii_address(check_address(text))


def are_simple(addresses: Sequence[str]) -> bool:
    """Whether :func:`envelope_address` would return each of the addresses unchanged, without a look at its parts."""
    return max(map(len, addresses), default=0) <= LOCAL_OCTETS and all(map(_SIMPLE, addresses))


def needs_smtputf8(address: str) -> bool:
    """Tell whether this address needs a server with SMTPUTF8 (RFC 6531); a non-ASCII domain alone never does."""
    return not (address.isascii() or address.rpartition("@")[0].isascii())


def is_reserved(domain: str) -> bool:
    """Tell whether a domain is guaranteed not to exist (RFC 2606, RFC 6761), so that no mail can reach it."""
    return f".{domain.lower().rstrip('.')}".endswith(RESERVED_ENDS)


def mixes_scripts(domain: str) -> bool:
    """Tell whether a label mixes Latin with Cyrillic or Greek letters, as the deceptive ``раypal.com`` does."""
    for label in readable_domain(domain).split("."):
        scripts = {unicodedata.name(letter, "").split(" ")[0] for letter in label if letter.isalpha()}
        if len(scripts & {"LATIN", "CYRILLIC", "GREEK"}) > 1:
            return True
    return False


# Domains and hosts


@functools.lru_cache(maxsize=4096)
def ascii_domain(domain: str) -> str:
    """Return a domain in its DNS form: A-labels, lower case (RFC 5890).

    :raises AddressInvalid: if it is not a domain name.
    """
    if _DOMAIN.fullmatch(domain) and len(domain) <= DOMAIN_OCTETS and "xn--" not in domain.lower():
        return domain.lower()
    try:
        encoded = idna.encode(domain, uts46=True, std3_rules=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError) as error:
        raise AddressInvalid(
            _("%(domain)s is not a domain name. Write it as example.com.", domain=_show(domain))
        ) from error
    if not _DOMAIN.fullmatch(encoded) or len(encoded) > DOMAIN_OCTETS:
        raise AddressInvalid(_("%(domain)s is not a domain name. Write it as example.com.", domain=_show(domain)))
    return encoded


def readable_domain(domain: str) -> str:
    """Return a domain with its A-labels decoded; invalid ones stay as they are."""
    try:
        return idna.decode(domain) if "xn--" in domain.lower() else domain
    except (idna.IDNAError, UnicodeError):
        return domain


def check_host(text: str) -> tuple[str, int | None]:
    """Return an SMTP server's host in its usable form (lower case, A-labels), and the port if given as ``host:port``.

    Accepts domain names, single labels, IPv4 and IPv6 with or without brackets. Link-local addresses are refused,
    because cloud machines publish their credentials there. A name may still resolve to one: the connection checks each
    address again.

    :raises AddressInvalid: with a sentence for the person who typed it.
    """
    host = _refuse_url(text)
    port: int | None = None
    if bracketed := re.fullmatch(r"\[([^\]]*)\](?::(.*))?", host):
        host, port = bracketed[1], _read_port(bracketed[2])
    elif host.count(":") == 1:
        host, _colon, digits = host.partition(":")
        port = _read_port(digits)
    if bracketed or ":" in host:
        return _check_ip(host), port
    host = host.removesuffix(".").lower()
    if not host.isascii() or "xn--" in host:
        host = ascii_domain(host)
    if _ends_in_number(host):  # Checked on A-labels, in which wide digits have become plain ones.
        return _check_ip(host), port
    if not _HOST.fullmatch(host) or len(host) > DOMAIN_OCTETS:
        raise AddressInvalid(_("%(text)s is not a host name. Enter one such as smtp.example.com.", text=_show(text)))
    return host, port


def check_domain_name(text: str) -> str:
    """Return an organisation's own domain, as A-label in lower case: at least two labels, and no public suffix.

    :raises AddressInvalid: with a sentence for the person who typed it.
    """
    domain = _refuse_url(text).removesuffix(".")
    encoded = domain if ":" in domain else ascii_domain(domain)
    if ":" in encoded or _ends_in_number(encoded):
        raise AddressInvalid(_("%(text)s is not a domain name. Enter one such as example.com.", text=_show(text)))
    if "." not in encoded:
        raise AddressInvalid(
            _("%(text)s has no dot. Enter the whole domain, such as mail.example.com.", text=_show(text))
        )
    if is_public_suffix(encoded):
        raise AddressInvalid(
            _("Anyone can register names below %(text)s. Enter your own domain there.", text=_show(text))
        )
    return encoded


def _refuse_url(text: str) -> str:
    host = _trim(text)
    _refuse_invisible(host)
    if not host:
        raise AddressInvalid(_("The host is empty. Enter one such as smtp.example.com."))
    if scheme := re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", host):
        raise AddressInvalid(
            _(
                "%(host)s starts with %(scheme)s. Enter only the name, such as example.com.",
                host=_show(host),
                scheme=scheme[0],
            )
        )
    for character, what in (
        ("@", _("an @")),
        ("/", _("a path")),
        ("?", _("a question mark")),
        ("#", "a #"),
        (" ", _("a space")),
    ):
        if character in host:
            raise AddressInvalid(
                _("%(host)s contains %(what)s. Enter only the name, such as example.com.", host=_show(host), what=what)
            )
    return host


def _read_port(digits: str | None) -> int | None:
    if digits is None:
        return None
    if re.fullmatch(r"[0-9]{1,5}", digits) and 1 <= int(digits) <= 65535:
        return int(digits)
    raise AddressInvalid(
        _("“%(digits)s” is not a port. Enter a number from 1 to 65535, usually 587.", digits=_show(digits))
    )


def _ends_in_number(host: str) -> bool:
    """Tell whether the resolver would read ``host`` as an IP address, in any of its notations."""
    return _NUMERIC_LABEL.fullmatch(host.rpartition(".")[2]) is not None


def _check_ip(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise AddressInvalid(_("%(text)s is not an IP address. Check its numbers.", text=_show(text))) from error
    if is_link_local(text):
        raise AddressInvalid(
            _("%(text)s is a link-local address, which is never a mail server. Enter another.", text=text)
        )
    if "%" in text or is_forbidden(text):
        raise AddressInvalid(_("%(text)s is not the address of one server. Enter another.", text=text))
    return address.compressed


# Characters


def _trim(text: str) -> str:
    return text.strip(_BLANKS)


def _refuse_invisible(text: str) -> None:
    """Refuse characters that could end a line, hide, or reverse the writing direction: an attack or an accident."""
    if text.isprintable():
        return
    for character in text:
        category = unicodedata.category(character)
        if category in ("Cc", "Cf", "Cs", "Co", "Zl", "Zp"):
            label = (
                _("a line end")
                if character in "\r\n\x85\u2028\u2029"
                else _("an invisible character (U+%(character)s)", character=f"{ord(character):04X}")
            )
            raise AddressInvalid(_("%(text)s contains %(label)s. Remove it.", text=_show(text), label=label))


def _show(text: str) -> str:
    """Return the text for a sentence: short, on one line, without invisible characters."""
    shown = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text[:60])
    return shown + ("…" if len(text) > 60 else "")
