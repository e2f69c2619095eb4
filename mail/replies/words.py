"""The meaning of replies in the words of people who send newsletters.

Each rule of :mod:`mail.replies.rules` has a kind, and each kind a name and a sentence here.
"""

from dataclasses import dataclass

from mail.replies.rules import RULES
from words.texts import text as _


@dataclass(frozen=True, slots=True)
class Meaning:
    """A group of replies with the same meaning for the sender."""

    key: str
    label: str
    sentence: str  # The meaning, and what to do about it.


_WORDS = {
    "user-unknown": (_("Mailbox doesn't exist"), _("Nobody has this address. It won't be used again.")),
    "host-unknown": (_("Domain doesn't accept mail"), _("The part after the @ doesn't exist or accepts no mail.")),
    "bad-address": (_("Invalid address"), _("The recipient's server can't read the address.")),
    "inactive": (_("Mailbox is closed"), _("The mailbox was abandoned, or its provider blocked it.")),
    "mailbox-full": (_("Mailbox is full"), _("The recipient has no space left. It may work again later.")),
    "hard-unknown": (_("Rejected without a known reason"), _("The recipient's server rejected it and didn't say why.")),
    "content": (_("Looks like spam"), _("The content was taken for spam. Check links, images and wording.")),
    "malformed": (_("Malformed message"), _("A server found a mistake in how the message is built.")),
    "policy": (_("Against the recipient's policy"), _("The recipient's server doesn't accept such mail.")),
    "size": (_("Too large"), _("The message is larger than this server accepts.")),
    "smtputf8": (_("International address"), _("The server can't send to addresses beyond ASCII.")),
    "loop": (_("Mail loop"), _("The message went round in a circle on the recipient's side.")),
    "expired": (_("Relay gave up"), _("A server on the way couldn't deliver it in time.")),
    "rate": (_("Too fast"), _("The provider asks to slow down. Brilliance does that automatically.")),
    "rcpt-rate": (_("Mailbox gets too much mail"), _("The recipient's mailbox accepts no more for now.")),
    "rcpt-limit": (_("Too many recipients at once"), _("They are sent one by one.")),
    "reputation": (
        _("Sender's reputation"),
        _("The provider holds mail back because of earlier mail from this server."),
    ),
    "ip-reputation": (
        _("Server is on a block list"),
        _("The server's IP address is listed. Another server takes over."),
    ),
    "sender-auth": (_("SPF, DKIM or DMARC fails"), _("The sender isn't authenticated. Correct the DNS records.")),
    "sender": (_("Sender rejected"), _("The server doesn't send with this From address.")),
    "transient": (_("Not now"), _("A temporary problem or greylisting. It's retried automatically.")),
    "quota": (_("Server's own quota is used up"), _("The server's provider sends no more for now.")),
    "account": (
        _("Account at the provider is limited"),
        _("The server's provider limits or blocks your account. The server's page shows the reply."),
    ),
    "auth": (_("Sign-in rejected"), _("The server's username or password isn't accepted.")),
    "auth-temp": (_("Sign-in not possible now"), _("The server couldn't check the sign-in at that time.")),
    "token": (_("No OAuth token"), _("The OAuth account gave no token to sign in with. Its page says what to do.")),
    "config": (_("Server's settings"), _("The server needs other settings, such as a sign-in or another name.")),
    "server": (_("Server rejected the session"), _("The server accepted no mail at all at that time.")),
    "tls": (_("Encryption failed"), _("The server's certificate or encryption couldn't be trusted.")),
    "unreadable": (_("Unreadable reply"), _("The reply wasn't SMTP.")),
    "line": (_("Connection lost"), _("The server couldn't be reached, or hung up without a reply.")),
    "lost-answer": (_("Reply lost"), _("Sent in full, but the reply never came. It may have arrived.")),
    "no-domain": (_("Domain doesn't exist"), _("DNS knows no such domain, so nothing was sent.")),
    "no-mail": (_("Domain accepts no mail"), _("DNS says that the domain accepts no mail, so nothing was sent.")),
    "reserved": (_("Reserved domain"), _("Such domains are for examples and get no mail, so nothing was sent.")),
    "composing": (_("Couldn't be composed"), _("The content can't be made for this person. Check the merge fields.")),
    "not-an-address": (_("Not an email address"), _("Nothing can be sent to it, so nothing was sent.")),
    "withdrawn": (_("Unsubscribed or suppressed meanwhile"), _("The person withdrew before it was their turn.")),
    "other": (_("Other reasons"), _("Check the recipients to read the replies.")),
}
MEANINGS = {key: Meaning(key, label, sentence) for key, (label, sentence) in _WORDS.items()}
_KINDS = {rule.name: rule.kind for rule in RULES}
# Outcomes without a reply have a rule too. If nothing was begun, the kind itself takes its place.
_KINDS.update({"unreadable": "unreadable", "lost-line": "line", "no-connection": "line"})
_KINDS.update({"no-token": "token", "no-session": "config"})
_KINDS["same-to-all"] = "account"  # The same reply to everybody.
_KINDS.update(dict.fromkeys(("ended-composing", "ended-compiling", "poison"), "composing"))


def meaning_of(rule: str) -> Meaning:
    """Return the meaning of an attempt's rule, including rules that no longer exist."""
    return MEANINGS.get(_KINDS.get(rule, rule), MEANINGS["other"])


def rules_of(key: str) -> list[str]:
    """Return the rules that an attempt with this meaning may have; empty for an unknown meaning."""
    return [key, *(rule for rule, kind in _KINDS.items() if kind == key)] if key in MEANINGS else []
