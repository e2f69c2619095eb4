"""Writes docs/fields.md, the reference of a server's fields: ``.venv/bin/python -m docs.write_fields``.

Labels, help texts, defaults and limits are the form's own; only where an effect is seen is told here.
"""

import os
from pathlib import Path
from typing import Any

import django
from django import forms

from mail.links.utm import NAMES

PAGE = Path(__file__).with_name("fields.md")

INTRODUCTION = """# The fields of an SMTP server

Written by `python -m docs.write_fields` from the form itself; a test keeps it true.

*Effect* says where a field is seen: on the connection, in the envelope (MAIL FROM and RCPT TO), in the headers or
the parts of a message, or on a page. There are four classes of mail: campaigns, tests (the same message, with an
unsubscribe link that does nothing), single messages such as receipts, and notices to the people who look after the
servers. Unless it says otherwise, a field acts on all four. A value whose switch is off is stored and does nothing.
"""

EFFECTS = {
    "name": "Pages, reports and notices. In no header.",
    "preset": "Proposes values for other fields, names what the provider forbids, and knows the fixed user name that"
    " goes with an API key.",
    "host": "Connection: every address of that name is tried, and it is the name that the certificate must have.",
    "port": "Connection: 465, 2465, 8465 and 443 are encrypted from the first byte, all others by STARTTLS.",
    "timeout_seconds": "Connection: a server that is silent for longer has failed, and the message is tried again or"
    " by another server. After the final dot it is never tried again, because it may have arrived. A test waits for no"
    " answer longer than that.",
    "username": "Connection: AUTH, by the best mechanism that the server offers. Filled, and no AUTH offered: nothing"
    " is sent.",
    "password": "Connection: the secret of AUTH. In no page, history, log or transcript.",
    "oauth_account": "Connection: AUTH by XOAUTH2 or OAUTHBEARER, as the account's mailbox, with a token that is"
    " renewed by itself. Only to the provider's own hosts. See [OAuth accounts](oauth.md).",
    "mail_from": "Header `From`, with the name of the organisation where it has none; envelope sender where no return"
    " path is used.",
    "mail_to": "Page: the recipient that Send test proposes. Envelope: the recipient of notices. Never of campaigns.",
    "mail_to_unknown": "Envelope: the recipient of redirected single messages, which then have the header"
    " `X-Original-To` and name the intended recipient in their first line; of bounces to this server's return path"
    " that match no message, at most 50 forwarded mails an hour; and of one digest for each campaign.",
    "mail_cc": "Header `Cc`, and a transaction of its own for each address, with an unsubscribe link that does"
    " nothing. Not for notices; a campaign and a test can go without.",
    "mail_bcc": "Envelope: a transaction of its own for each address; no header names it. Not for"
    " notices; a campaign and a test can go without.",
    "is_active": "Choice of the server. Transactions that have begun are finished.",
    "use_tls": "Connection: on, TLS 1.2 or newer with a verified certificate, or nothing is sent. Off, the password is"
    " still never sent unencrypted, but to this machine or a private network.",
    "never_tls": "Connection: STARTTLS is not asked for. A password then goes only to this machine or a private"
    " network.",
    "mechanism": "Connection: the mechanism of AUTH; where the server does not offer it, nothing is sent.",
    "handles_email_validation": "On, only the form of an address is looked at. Off, DNS is asked for its domain (MX,"
    " else A or AAAA), and addresses that cannot work are not handed over.",
    "is_own_relay": "Domains: the PTR record and the HELO name of the host, and whether SPF allows its addresses. No"
    " effect on sending.",
    "dkim": "Headers: where Brilliance signs, two `DKIM-Signature` headers stand on top, with the RSA and the Ed25519"
    " key of From's domain or of its longest parent with keys. Domains: alignment, and which keys must be in DNS.",
    "requires_dkim": "Choice of the server: on, mail whose From has no key that signs goes through another server, or"
    " waits. Off, it goes out unsigned.",
    "trusted_certificate": "Connection: the server's certificate is checked against it as well as the public"
    " authorities. The name is still checked.",
    "notes": "Pages: found by the search of the list; each version is in the history.",
    "domain_name": "Connection: the name in EHLO. Headers: the domain of `List-Id`; the right side of `Message-ID` in"
    " mailings that have no From of their own and begin at this server.",
    "api_key": "Connection: the secret of AUTH where there is no password.",
    "language": "Footer, unsubscribe page, tests and notices; notices also have the header `Content-Language`. What"
    " you write yourself is not translated.",
    "max_per_month": "Choice of the server: at the limit it gets nothing more until the period ends. Notices at 80 and"
    " 95 %, and when campaigns have used theirs. No mail of any kind goes beyond it.",
    "month_start_day": "The first day of each period, from midnight. A changed day recounts the present period from"
    " what was sent; it does not begin at zero.",
    "time_zone": "Whose midnight the period begins and ends at.",
    "max_per_day": "Choice of the server: what it sent in the last 24 hours and what is on its way are held against it."
    " At the limit it gets nothing more until the oldest quarter of an hour is a day ago.",
    "max_per_hour": "Choice of the server, in the same way: what it sent in the last 60 minutes, freed by the minute.",
    "rate_limit": "Connection: how many messages all workers together begin in each second or minute.",
    "rate_unit": "Connection: whether the rate is one of seconds or of minutes.",
    "pipelining": "Connection: look-ahead, the next MAIL, RCPT and DATA leave with a message's body; pipelined, they"
    " leave together once that message is answered; one step at a time, each waits for the answer to the one before."
    " Without effect where EHLO does not offer PIPELINING.",
    "weight": "Choice of the server, where servers are chosen by weight.",
    "max_connections": "Connection: how many all workers together hold.",
    "messages_per_connection": "Connection: QUIT after that many messages.",
    "display_order": "Order of lists, and of the servers that are tried.",
    "unsubscribe_url": "Header `List-Unsubscribe` and the visible link. A page of your own is asked whether it takes"
    " one click, and `List-Unsubscribe-Post` is only there if it does. A template without {token} gets one appended.",
    "relays_unsubscribes": "On, the header and the link lead to the built-in page. After an unsubscribe a worker sends"
    " a POST to the address, for three days or more if the page does not answer 2xx; see"
    " [a page of your own](audience.md#a-page-of-your-own).",
    "use_unsubscribe_link": "Headers `List-Unsubscribe` and `List-Unsubscribe-Post`, and one visible link in each"
    " part. Campaigns, tests, and single messages marked as commercial.",
    "precedence": "Header `Precedence`, and with it `X-Auto-Response-Suppress` for Exchange.",
    "use_precedence": "Adds or leaves out both headers. Campaigns and tests.",
    "return_path": "Envelope sender. Never a header: the last server writes `Return-Path` itself. Send test says"
    " when its domain takes no mail, its mail server refuses bounces, or nobody could be asked, and why.",
    "use_return_path": "Whether the envelope sender is the return path or the address of From.",
    "use_verp": "Envelope sender: its local part gets a signed tag. Send test asks the domain's mail server (RCPT,"
    " without a message) whether the mailbox takes such an address.",
    "provider_configuration": "Header `X-SES-CONFIGURATION-SET` or `X-PM-Message-Stream`. Other providers have none,"
    " and the form refuses a value. Filled or not, the presets of providers with headers of their own add them, with"
    " our tag and with the provider's tracking off: `X-SES-MESSAGE-TAGS`, `X-SMTPAPI`,"
    " `X-Mailgun-Variables` and `X-Mailgun-Track`, `X-PM-Metadata-brilliance`, `X-Mailin-custom`, `X-MJ-CustomID`,"
    " `X-MSYS-API`, `X-MC-Metadata`. All mail; see [replies](feedback.md#how-events-find-their-message).",
    "spam_address": "Headers `CFBL-Address`, `CFBL-Feedback-ID` and `X-Complaints-To`. Not for notices.",
    "use_spam_address": "Adds or leaves out exactly these three headers.",
    "abuse_address": "Headers `X-Report-Abuse` and `X-Abuse-Reports-To`, not for notices; and a line on the"
    " unsubscribe page and in notices.",
    "use_abuse_address": "Adds or leaves out exactly these two headers, and the lines.",
    "unknown_first_name": "Value of `{{ first_name }}`. Never in `To`, never stored. A default in the tag wins.",
    "unknown_last_name": "Value of `{{ last_name }}`. A `{{ full_name }}` with one real part has no stand-in.",
    "utm_source": "`utm_source` on the links of campaigns, tests, and single messages marked as commercial; never on"
    " links to unsubscribe. A link's own value stays, unless Replace UTM codes is on.",
    "utm_medium": "`utm_medium` on the same links.",
    "utm_campaign": "`utm_campaign` on the same links.",
    "utm_term": "`utm_term`, where its switch is on.",
    "utm_content": "`utm_content`, where its switch is on.",
    "always_utm_term": "Whether the server's term is on links, or only a campaign's or a link's own.",
    "replaces_utm": "On, the codes of a link are replaced. Off, the link keeps what it has, and only what"
    " is missing is added.",
    "tags_text_links": "Whether the links of the text part get the codes too.",
    "always_utm_content": "Whether the server's content is on links, or only a campaign's or a link's own.",
}
# What is accepted, where neither the range nor the choices of the form say it.
ACCEPTS = {
    "host": "a host name, an IPv4 or an IPv6 address; not link-local ones",
    "username": "any letters of one line; with a password or an API key",
    "oauth_account": "an account whose provider has the server, without a password beside it",
    "domain_name": "a domain of your own with at least one dot",
    "time_zone": "a name of the time zone database, such as Europe/Berlin",
    "unsubscribe_url": "an https or mailto address; the tokens {token}, {email}, {campaign} and {list}",
    "precedence": "one word of letters, digits and hyphens",
    "trusted_certificate": "certificates in PEM form, without private keys",
    "notes": "text",
    **dict.fromkeys(("password", "api_key"), "any letters of one line"),
    **dict.fromkeys(("mail_from", "mail_to", "mail_to_unknown"), "one mailbox: an address, or a name and an address"),
    **dict.fromkeys(("mail_cc", "mail_bcc"), "at most 10 mailboxes, by commas or lines apart"),
    "return_path": "one address",
    "provider_configuration": "letters, digits, hyphens and underscores; only with a preset that uses it",
    **dict.fromkeys(("spam_address", "abuse_address"), "one address, plain letters before the @"),
    **dict.fromkeys(("name",), "text of one line that no other server has"),
    **dict.fromkeys(("unknown_first_name", "unknown_last_name"), "text of one line without merge tags"),
    **dict.fromkeys(
        NAMES,
        "text of one line; the merge tags {{campaign.slug}}, {{campaign.id}}, {{server.domain}} and {{date}}",
    ),
}
# Many know these fields by the name of their tab, too.
ALSO_SMTP = (
    *("host", "port", "timeout_seconds", "username", "password"),
    *("mail_from", "mail_to", "mail_to_unknown", "mail_cc", "mail_bcc"),
)
DEFAULTS = {"time_zone": "the site's", "display_order": "after all others"}  # Found when a server is added.


def page() -> str:
    """Return the page, made of the form."""
    from smtpservers.forms.server import ServerForm, field_help
    from smtpservers.models import SECRETS

    form = ServerForm()
    head, *_, tabs = form.helper.layout.fields
    lines = [INTRODUCTION]
    for title, rows in (("Above the tabs", [head]), *((f"Tab {tab.name}", tab.fields) for tab in tabs.fields)):
        lines.append(f"## {title}\n")
        for name in (pointer.name for row in rows for pointer in getattr(row, "get_field_names", list)()):
            field = form.fields[name]
            help_text = field_help(name) if name in SECRETS else str(field.help_text)
            lines += [
                f"### {_title(name, str(field.label))}\n",
                *([f"{_plain(help_text)}\n"] if help_text else []),
                f"- Accepts: {_plain(_accepts(name, field))}. Default: {_default(name, field, form.instance)}.",
                f"- Effect: {EFFECTS[name]}\n",
            ]
    return "\n".join(lines)


def _title(name: str, label: str) -> str:
    from smtpservers.forms.server import within_sentence

    return f"{label} (SMTP {within_sentence(label)})" if name in ALSO_SMTP else label


def _accepts(name: str, field: Any) -> str:
    if isinstance(field, forms.BooleanField):
        return "on or off"
    if isinstance(field, forms.ModelChoiceField):
        return f"{ACCEPTS[name]}; or nothing"
    if isinstance(field, forms.ChoiceField):
        return "one of " + ", ".join(str(label) for value, label in field.choices if value)
    if isinstance(field, forms.IntegerField):
        words = f"a whole number from {field.widget.attrs['min']:,} to {field.widget.attrs['max']:,}"
    else:
        words = f"{ACCEPTS[name]}; at most {field.max_length:,} characters"
    return words if field.required else f"{words}; or nothing"


def _default(name: str, field: Any, empty: Any) -> str:
    if name in DEFAULTS:
        return DEFAULTS[name]
    default = getattr(empty, name)
    if isinstance(default, bool):
        return "on" if default else "off"
    return f"{default or 'empty'}" if default or not field.required else "none, it must be entered"


def _plain(text: str) -> str:
    """Return a text as Markdown that shows the same letters."""
    return text.replace("<", "\\<").strip()


def main() -> None:
    """Write the page."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "brilliance.settings")
    django.setup()
    PAGE.write_text(page(), encoding="utf-8")
    print(f"{PAGE.name}: {len(EFFECTS)} fields")


if __name__ == "__main__":
    main()
