"""Validation of a server's fields, and hints about values that are valid but doubtful.

Rules only: nothing here stores, sends or uses the network, and the time is a parameter. An invalid value raises
:class:`FieldInvalid`, whose text tells the person what to do.
"""

import datetime as dt
import itertools
import re
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

from cryptography import x509
from django.utils.translation import gettext as _

from mail.addresses import (
    AddressInvalid,
    ascii_domain,
    check_address,
    check_host,
    domain_of,
    fold,
    needs_smtputf8,
    parse_mailbox,
    parse_mailboxes,
)
from mail.links import utm
from mail.mailbox_providers import with_mailboxes_at
from mail.reachability import is_private_host
from mail.suffixes import organisational_domain
from net.addresses import may_be_called
from oauth.client.providers import mail_hosts
from oauth.models import OAuthAccount
from oauth.tokens import why_not_to
from smtpservers.destinations import IMPLICIT_TLS_PORTS
from smtpservers.presets import PRESETS, password_warning, sign_in
from smtpservers.provider_headers import check_configuration
from words import time_zones
from words.instants import day
from words.texts import translated

UNSUBSCRIBE_TOKENS = ("token", "email", "campaign", "list")
UTM_TAGS = ("campaign.slug", "campaign.id", "server.domain", "date")
PRECEDENCES = ("bulk", "list", "junk", "first-class")


class FieldInvalid(ValueError):
    """A field's value cannot be used; the text is a sentence that says what to do."""


class Settings(Protocol):
    """The fields of a server that :func:`hints` reads."""

    preset: str
    oauth_account_id: int | None
    host: str
    port: int
    username: str
    mail_from: str
    mail_to_unknown: str
    mail_cc: str
    mail_bcc: str
    use_tls: bool
    never_tls: bool
    notes: str
    use_unsubscribe_link: bool
    relays_unsubscribes: bool
    unsubscribe_url: str
    precedence: str
    use_precedence: bool
    return_path: str
    use_return_path: bool
    spam_address: str
    use_spam_address: bool
    abuse_address: str
    use_abuse_address: bool
    trusted_certificate: str
    utm_source: str  # All of utm.NAMES, and the switches of those per link, are read.
    utm_medium: str
    max_per_month: int | None
    max_per_day: int | None
    max_per_hour: int | None


# Text


def check_line(text: str) -> str:
    """Return ``text`` in NFC if it is one line without control characters, so that it cannot end a header.

    :raises FieldInvalid: if it contains a line end or another control character.
    """
    if any(unicodedata.category(character) in ("Cc", "Zl", "Zp") for character in text):
        raise FieldInvalid(_("This contains a line break or control character. Type it again without it."))
    return unicodedata.normalize("NFC", text)


def check_username(text: str) -> str:
    """Return the user name if all its characters are visible: an invisible one was copied along by accident.

    :raises FieldInvalid: if it contains a line end, or a character without width.
    """
    line = check_line(text)
    if invisible := next((sign for sign in line if unicodedata.category(sign) == "Cf"), ""):
        raise FieldInvalid(
            _("This contains an invisible character (U+%(invisible)s). Type it again without it.")
            % {"invisible": f"{ord(invisible):04X}"}
        )
    return line


def check_placeholder_name(text: str) -> str:
    """Return a placeholder for an unknown name, which must not contain merge tags.

    :raises FieldInvalid: for merge tags and control characters.
    """
    if re.search(r"\{\{|\}\}|\{%|%\}", text):
        raise FieldInvalid(_("Use plain text here, e.g. Friend. Merge tags don't work in this field."))
    return check_line(text)


# Connection


def check_encryption(port: int, use_tls: bool) -> None:
    """Reject clear text on a port where servers start with TLS: both sides would wait for each other.

    :raises FieldInvalid: for those ports with the switch off.
    """
    if not use_tls and port in IMPLICIT_TLS_PORTS:
        raise FieldInvalid(_("Port %(port)s needs TLS. Turn this on or use port 587.") % {"port": port})


def check_credentials(username: str, has_password: bool, has_api_key: bool, preset: str = "") -> None:
    """Reject a user name without a secret.

    :param preset: the key of the provider, whose term for the secret is used.
    :raises FieldInvalid: if there is neither a password nor an API key.
    """
    if username and not (has_password or has_api_key):
        chosen = PRESETS.get(preset)
        said = _("Enter a password or API key for this user, or clear the username to connect without signing in.")
        if chosen:
            values = {"provider": chosen.name, "secret": translated(chosen.signs_in_with)}
            said = f"{said} {_('%(provider)s expects %(secret)s.') % values}"
        raise FieldInvalid(said)


def check_oauth_account(account: OAuthAccount, cleaned: Mapping[str, Any], *, has_secret: bool) -> None:
    """Reject an account whose tokens may not be sent to the server, or that stands beside a password.

    :param cleaned: the checked values of the form.
    :param has_secret: whether the server will have a password or an API key.
    :raises FieldInvalid: with what to do.
    """
    if has_secret:
        raise FieldInvalid(_("Choose an OAuth account or a password, not both. Remove the password and the API key."))
    if cleaned.get("username") not in ("", account.mailbox):
        said = _("Clear Username: %(account)s signs in as %(mailbox)s.")
        raise FieldInvalid(said % {"account": account, "mailbox": account.mailbox})
    if not cleaned.get("use_tls"):
        raise FieldInvalid(_("An OAuth account needs encryption. Turn on Use SSL/TLS connection."))
    if cleaned.get("trusted_certificate"):
        raise FieldInvalid(_("An OAuth account needs a public certificate. Clear Trusted certificate."))
    if (host := cleaned.get("host")) and why_not_to(account, host):
        hosts = ", ".join(sorted(mail_hosts(account.flow, account.cloud)))
        said = _("Its tokens are never sent to %(host)s. Enter one of these as Server: %(hosts)s.")
        raise FieldInvalid(said % {"host": host, "hosts": hosts})


def check_own_sender(mail_from: str, host: str) -> None:
    """Reject a From of a free mail provider through another provider's server: such mail ends in spam.

    :param mail_from: a valid mailbox.
    :raises FieldInvalid: with what to do instead.
    """
    domain = domain_of(parse_mailbox(mail_from).address)
    provider = with_mailboxes_at(domain)
    if provider is not None and not provider.may_send(host):
        raise FieldInvalid(
            _(
                "Mail from %(domain)s lands in spam unless %(domain)s sends it. Use an address on your own domain,"
                " or the SMTP server of %(domain)s."
            )
            % {"domain": domain}
        )


def check_certificate(text: str) -> str:
    """Return the certificates in PEM form, without surrounding text.

    :raises FieldInvalid: if there is none, one is damaged, or there is a private key.
    """
    if "PRIVATE KEY" in text:
        raise FieldInvalid(_("This contains a private key, which must stay on the server. Paste only the certificate."))
    try:
        x509.load_pem_x509_certificates(text.encode())
    except ValueError:
        raise FieldInvalid(
            _(
                "This isn't a PEM certificate. Paste everything from -----BEGIN CERTIFICATE----- to"
                " -----END CERTIFICATE-----."
            )
        ) from None
    return "\n".join(re.findall(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", text, re.DOTALL)) + "\n"


def check_time_zone(text: str) -> str:
    """Return the name of the time zone in its standard spelling.

    :raises FieldInvalid: if there is no such zone.
    """
    if (name := time_zones.spelled(text)) is None:
        raise FieldInvalid(
            _("“%(text)s” isn't a time zone. Choose one from the list, e.g. Europe/Berlin.") % {"text": text}
        )
    return name


# Headers and links


def check_report_address(text: str) -> str:
    """Return an address for headers that programs read, few of which know UTF-8.

    :raises FieldInvalid: for non-ASCII characters before the @.
    :raises AddressInvalid: for an invalid address.
    """
    address = check_address(text)
    if needs_smtputf8(address):
        raise FieldInvalid(_("Enter an address with plain letters (a–z) before the @. Automated systems read it."))
    return address


def check_precedence(text: str) -> str:
    """Return the value of the Precedence header.

    :raises FieldInvalid: if it is not a token of at most 40 letters, digits and hyphens.
    """
    if not re.fullmatch(r"[A-Za-z0-9-]{1,40}", text):
        raise FieldInvalid(_("Enter one word of letters, digits and hyphens, e.g. bulk or list."))
    return text


def check_own_signature(preset: str) -> None:
    """Refuse our own signatures for a provider that would break them.

    :raises FieldInvalid: with the headers that it replaces.
    """
    provider = PRESETS.get(preset)
    if provider is not None and provider.rewrites:
        raise FieldInvalid(
            _("%(name)s replaces %(headers)s, which would break your signature. Choose “Provider signs”.")
            % {"name": provider.name, "headers": translated(provider.rewritten)}
        )


def check_provider_configuration(text: str) -> str:
    """Return the name of a provider's configuration.

    :raises FieldInvalid: if it can't be one.
    """
    try:
        return check_configuration(text)
    except ValueError:
        raise FieldInvalid(_("Use letters, digits, hyphens and underscores only.")) from None


def check_unsubscribe_url(text: str, is_used: bool, is_relayed: bool = False, allows_loopback: bool = False) -> str:
    """Return the template of an unsubscribe address: https, or mailto; empty for the built-in page.

    :param is_used: whether the link is used; only then is http rejected (RFC 8058 section 3.1).
    :param is_relayed: whether we call the address ourselves, which needs https.
    :param allows_loopback: whether the page may be on this machine, as in the demo.
    :raises FieldInvalid: with what to do.
    :raises AddressInvalid: for a host that is not a domain.
    """
    if is_relayed and not text:
        raise FieldInvalid(_("Enter an email unsubscribe URL, or turn off Relay unsubscribes."))
    if not text:
        return text
    if re.search(r"\s", text):
        raise FieldInvalid(_("Remove the spaces from this address."))
    check_line(text)
    _check_tokens(text)
    try:
        address = urlsplit(text)
        hostname = address.hostname or ""
        _port = address.port  # Read for its ValueError: the port may be invalid.
    except ValueError:
        raise FieldInvalid(_("This isn't a web address. Write it like https://example.com/leave?t={token}.")) from None
    if is_relayed and address.scheme in ("mailto", "http"):
        raise FieldInvalid(_("Relaying needs an address with https://. Enter one, or turn off Relay unsubscribes."))
    if address.scheme == "mailto":
        return _check_mailto(text, address.path)
    if address.scheme == "http" and is_used:
        raise FieldInvalid(
            _("One-click unsubscribe needs https. Start the address with https://, or turn off the link.")
        )
    if address.scheme not in ("https", "http") or not hostname or "{" in address.netloc:
        raise FieldInvalid(_("Enter the full address, e.g. https://example.com/leave?t={token}."))
    host, _port = check_host(f"[{hostname}]" if ":" in hostname else hostname)
    if _is_never_called(hostname if ":" in hostname else host, allows_loopback):
        raise FieldInvalid(
            _("%(hostname)s isn't a public address, so it's never called. Enter the page's public host name.")
            % {"hostname": hostname}
        )
    if address.username or address.password:
        raise FieldInvalid(_("Remove the username and password from the address. Every recipient could read them."))
    return text


def _is_never_called(host: str, allows_loopback: bool) -> bool:
    try:
        return not may_be_called(host, allows_loopback=allows_loopback)
    except ValueError:
        return False  # A name: whoever calls it checks its addresses.


def _check_tokens(text: str) -> None:
    for token in re.findall(r"\{([^{}]*)\}", text):
        if token not in UNSUBSCRIBE_TOKENS:
            raise FieldInvalid(
                _("{%(token)s} isn't a known token. Use {token}, {email}, {campaign} or {list}.") % {"token": token}
            )
    if set("{}") & set(re.sub(r"\{[^{}]*\}", "", text)):
        raise FieldInvalid(_("Unmatched { or }. Write tokens like {token}."))


def fill_unsubscribe_url(template: str, *, token: str, email: str, campaign: str, list_id: str) -> str:
    """Return the address for one recipient; the token is appended if the template has no place for it.

    RFC 8058 section 3.1 requires an address that is hard to forge and identifies recipient and list.
    """
    filled = template
    for name, value in (("token", token), ("email", email), ("campaign", campaign), ("list", list_id)):
        filled = filled.replace(f"{{{name}}}", quote(value, safe=""))
    if "{token}" not in template and not template.startswith("mailto:"):
        address, mark, fragment = filled.partition("#")
        filled = f"{address}{'&' if '?' in address else '?'}t={token}{mark}{fragment}"
    return _as_uri(filled)


def _as_uri(address: str) -> str:
    """Return an address in the form for headers: the host as A-label, all else percent-encoded to ASCII."""
    scheme, separator, rest = address.partition("://")
    host = re.split("[/?#:]", rest, maxsplit=1)[0]
    if not host.isascii():
        address = f"{scheme}{separator}{ascii_domain(host)}{rest[len(host) :]}"
    return quote(address, safe="/#%[]=:;$&()+,!?*@'~")


def _check_mailto(text: str, path: str) -> str:
    try:
        parse_mailbox(path.replace("{token}", "token"))
    except AddressInvalid as error:
        raise FieldInvalid(
            _("Enter one address after mailto: and check it. %(error)s") % {"error": translated(error)}
        ) from error
    return text


def check_utm(text: str) -> str:
    """Return a UTM value: text with no merge tags except impersonal ones.

    :raises FieldInvalid: for personal or unknown merge tags.
    """
    check_line(text)
    for tag in re.findall(r"\{\{(.*?)\}\}", text):
        name, filter_, _rest = (part.strip() for part in tag.partition("|"))
        if name in UTM_TAGS and not filter_:
            continue
        known = ", ".join(f"{{{{{tag}}}}}" for tag in UTM_TAGS)
        if re.search(r"e-?mail|name|phone|address|contact|subscriber|recipient", name, re.IGNORECASE):
            raise FieldInvalid(
                _("{{%(name)s}} would put personal data into web addresses. Use only %(known)s.")
                % {"name": name, "known": known}
            )
        if name in UTM_TAGS:
            raise FieldInvalid(
                _("{{%(name)s}} can't have a filter here. Remove the | and what follows it.") % {"name": name}
            )
        raise FieldInvalid(_("{{%(name)s}} isn't known here. Use only %(known)s.") % {"name": name, "known": known})
    without = re.sub(r"\{\{.*?\}\}", "", text)
    if "{{" in without or "}}" in without or "{%" in without:
        raise FieldInvalid(_("A merge tag is incomplete. Write it like {{campaign.slug}}."))
    return text


# Hints about valid but doubtful settings


def hints(
    server: Settings, *, secrets: tuple[str, ...], has_password: bool, has_api_key: bool, now: dt.datetime
) -> Iterator[str]:
    """Yield a sentence for each setting that is valid but probably not intended.

    :param server: settings that passed the checks above.
    :param secrets: the password and the API key as typed, to find them in the notes; no sentence ever contains them.
    """
    if chosen := PRESETS.get(server.preset):
        yield from map(translated, chosen.warnings(server.host))
        if ending := password_warning(server.preset, server.oauth_account_id is not None, now.date()):
            yield translated(ending)
    yield from _sign_in_hints(server, has_password, has_api_key)
    yield from _connection_hints(server, bool(server.username) or has_api_key, now)
    yield from _address_hints(server)
    yield from _switch_hints(server)
    yield from _utm_hints(server)
    yield from _limit_hints(server)
    yield from _typing_hints(secrets)
    if any(secret in server.notes for secret in secrets if len(secret) >= 4):
        yield _("Everyone who can see this server can read the password or API key in its notes. Remove it.")


def _typing_hints(secrets: tuple[str, ...]) -> Iterator[str]:
    for name, secret in zip((_("password"), _("API key")), secrets, strict=False):
        if secret.strip() != secret or any(unicodedata.category(sign) == "Cf" for sign in secret):
            yield (
                _(
                    "The %(name)s starts or ends with a space, or contains an invisible character. It was saved as"
                    " you entered it. Enter it again if that isn't part of it."
                )
                % {"name": name}
            )


def _sign_in_hints(server: Settings, has_password: bool, has_api_key: bool) -> Iterator[str]:
    if server.username:
        return
    if has_password:
        yield _("The stored password isn't used, because Username is empty. Enter a username to sign in with it.")
    elif has_api_key and not sign_in(server.preset, "", "", "key")[0]:
        yield (
            _(
                "The stored API key isn't used, because Username is empty and this provider has no fixed one. Enter a"
                " username to sign in with it."
            )
        )


def _connection_hints(server: Settings, signs_in: bool, now: dt.datetime) -> Iterator[str]:
    if "." not in server.host and ":" not in server.host and server.host != "localhost":
        yield _("%(host)s has no dot, so only your own network can find it. Check the server name.") % {
            "host": server.host
        }
    if server.never_tls and signs_in and not is_private_host(server.host):
        yield (
            _(
                "Sign-in fails on this server, because passwords are never sent unencrypted outside your own"
                " network. Turn"
                " off Never encrypt."
            )
        )
    elif not server.use_tls and signs_in and not is_private_host(server.host):
        yield (
            _(
                "Sending fails if this server doesn't offer TLS, because passwords are never sent unencrypted. Turn"
                " on Use"
                " SSL/TLS connection if the provider supports it."
            )
        )
    if server.trusted_certificate:
        certificates = x509.load_pem_x509_certificates(server.trusted_certificate.encode())
        expired = [certificate for certificate in certificates if certificate.not_valid_after_utc <= now]
        if expired:
            expired_on = day(expired[0].not_valid_after_utc.date(), now.date())
            yield _("The trusted certificate expired on %(date)s. Paste the new one.") % {"date": expired_on}


def _address_hints(server: Settings) -> Iterator[str]:
    sender = domain_of(parse_mailbox(server.mail_from).address)
    if server.return_path and server.use_return_path:
        domain = domain_of(server.return_path)
        if organisational_domain(domain) != organisational_domain(sender):
            yield (
                _(
                    "SPF can't align, because Email return path is at %(domain)s and Mail from at %(sender)s. Use"
                    " the same domain for both."
                )
                % {"domain": domain, "sender": sender}
            )
        if server.mail_to_unknown and fold(parse_mailbox(server.mail_to_unknown).address) == fold(server.return_path):
            yield _(
                "Bounces could loop, because Mail to unknown and Email return path are the same. Use two mailboxes."
            )
    if server.spam_address and server.use_spam_address:
        domain = domain_of(server.spam_address)
        if domain != sender and not domain.endswith("." + sender):
            yield _(
                "Complaints may not reach %(domain)s. Use an Email spam address at %(sender)s or one of its subdomains."
            ) % {"domain": domain, "sender": sender}
    open_copies = len(parse_mailboxes(server.mail_cc))
    copies = open_copies + len(parse_mailboxes(server.mail_bcc))
    if open_copies:
        yield _("Every recipient sees the addresses in Mail CC. Make sure those people agree.")
    if copies:
        yield _("Every message is sent %(copies)s times because of CC and BCC, and uses %(copies)s of the quota.") % {
            "copies": copies + 1
        }


def _switch_hints(server: Settings) -> Iterator[str]:
    pairs = (
        (_("Email return path"), server.return_path, server.use_return_path),
        (_("Email spam"), server.spam_address, server.use_spam_address),
        (_("Email abuse"), server.abuse_address, server.use_abuse_address),
        (_("Email unsubscribe URL"), server.unsubscribe_url, server.use_unsubscribe_link or server.relays_unsubscribes),
    )
    for label, value, is_used in pairs:
        if value and not is_used:
            yield _("%(label)s is saved but not used, because its switch is off.") % {"label": label}
    if not server.use_unsubscribe_link:
        yield _(
            "Campaigns through this server have no unsubscribe link. The law and most mailbox providers require one."
        )


def _limit_hints(server: Settings) -> Iterator[str]:
    limits = (
        (_("Max (per hour)"), server.max_per_hour),
        (_("Max (per day)"), server.max_per_day),
        (_("Max (per month)"), server.max_per_month),
    )
    stated = [(label, most) for label, most in limits if most]
    for (short, less), (long, more) in itertools.pairwise(stated):
        if less > more:
            yield _("%(short)s is %(less)s and %(long)s only %(more)s, so %(short)s is never reached. Check both.") % {
                "short": short,
                "less": f"{less:,}",
                "long": long,
                "more": f"{more:,}",
            }


def _utm_hints(server: Settings) -> Iterator[str]:
    deciding = (*utm.PER_CAMPAIGN, *map(utm.switch_of, utm.PER_LINK))
    if any(getattr(server, name) for name in deciding) and not server.utm_source:
        yield _("Most analytics tools ignore visits without a source. Enter a UTM source.")
    if server.utm_medium and server.utm_medium.lower() not in ("email", "e-mail", "e_mail", "e mail"):
        yield _("Google Analytics won't count visits as Email with UTM medium %(utm_medium)s. Use email.") % {
            "utm_medium": server.utm_medium
        }
    for name in utm.NAMES:
        plain = re.sub(r"\{\{.*?\}\}", "", getattr(server, name))
        if plain != plain.lower() or " " in plain:
            yield (
                _("%(name)s has capitals or spaces. Analytics counts News and news separately, so lower case is safer.")
                % {"name": utm.label_of(name)}
            )
