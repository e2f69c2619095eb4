"""The meaning of replies in the words of people who send newsletters.

Each rule of :mod:`mail.replies.rules` has a kind, and each kind a name and a sentence here.
"""

from dataclasses import dataclass

from mail.replies.rules import RULES


@dataclass(frozen=True, slots=True)
class Meaning:
    """A group of replies with the same meaning for the sender."""

    key: str
    label: str
    sentence: str  # The meaning, and what to do about it.


_WORDS = {
    "user-unknown": ("Mailbox does not exist", "Nobody has this address. It is not written to again."),
    "host-unknown": ("Domain does not take mail", "The part after the @ does not exist or takes no mail."),
    "bad-address": ("Address is malformed", "The receiving side cannot read the address."),
    "inactive": ("Mailbox is closed", "The mailbox was given up or blocked by its provider."),
    "mailbox-full": ("Mailbox is full", "The person has no room left; it may work again later."),
    "hard-unknown": ("Refused without a known reason", "The recipient’s side refused it and did not say why."),
    "content": ("Looks like spam", "The content was taken for spam. Look at links, pictures and wording."),
    "malformed": ("Message is malformed", "A server found a mistake in how the message is built."),
    "policy": ("Against the recipient’s policy", "The recipient’s side does not take such mail."),
    "size": ("Too large", "The message is larger than this server takes."),
    "smtputf8": ("International address", "The server cannot write to addresses beyond ASCII."),
    "loop": ("Mail loop", "The message came round in a circle on the recipient’s side."),
    "expired": ("Given up by a relay", "A server on the way tried for its whole time in vain."),
    "rate": ("Too fast", "The provider asks to slow down. It is sent more slowly by itself."),
    "rcpt-rate": ("Mailbox gets too much mail", "The person’s mailbox takes no more for now."),
    "rcpt-limit": ("Too many recipients at once", "They are sent one by one."),
    "reputation": ("Sender’s reputation", "The provider holds mail back because of earlier mail from this server."),
    "ip-reputation": ("Server is on a block list", "The server’s IP address is listed. Another server takes over."),
    "sender-auth": ("SPF, DKIM or DMARC fails", "The sender is not authenticated. The DNS records need repair."),
    "sender": ("Sender refused", "The server does not send with this From address."),
    "transient": ("Not now", "A temporary problem or greylisting. It is tried again by itself."),
    "quota": ("Server’s own quota is used up", "The provider of the server sends no more for now."),
    "account": (
        "Account at the provider is limited",
        "The provider of the server limits or blocks our account there. Its page says what was answered.",
    ),
    "auth": ("Sign-in refused", "The server’s user name or password is not accepted."),
    "auth-temp": ("Sign-in not possible now", "The server could not check the sign-in just then."),
    "config": ("Server’s settings", "The server wants other settings, such as a sign-in or another name."),
    "server": ("Server refused the session", "The server took no mail at all just then."),
    "tls": ("Encryption failed", "The server’s certificate or encryption could not be trusted."),
    "unreadable": ("Unreadable answer", "What came back was no SMTP."),
    "line": ("Line was lost", "The server could not be reached, or hung up without an answer."),
    "lost-answer": ("Answer was lost", "Sent in full, but the answer never came; it may have arrived."),
    "no-domain": ("Domain does not exist", "DNS knows no such domain, so nothing was sent."),
    "no-mail": ("Domain takes no mail", "DNS says that the domain takes no mail, so nothing was sent."),
    "reserved": ("Reserved domain", "Such domains are for examples and receive no mail, so nothing was sent."),
    "composing": ("Could not be composed", "The content cannot be made for this person. Look at the merge fields."),
    "not-an-address": ("Not an e-mail address", "It cannot be written to as it stands, so nothing was sent."),
    "withdrawn": ("Unsubscribed or suppressed meanwhile", "The person withdrew before it was their turn."),
    "other": ("Other reasons", "Look at the recipients to read the answers."),
}
MEANINGS = {key: Meaning(key, label, sentence) for key, (label, sentence) in _WORDS.items()}
_KINDS = {rule.name: rule.kind for rule in RULES}
# Outcomes without a reply have a rule too. If nothing was begun, the kind itself takes its place.
_KINDS.update({"unreadable": "unreadable", "lost-line": "line", "no-connection": "line"})
_KINDS["same-to-all"] = "account"  # The same reply to everybody.
_KINDS.update(dict.fromkeys(("ended-composing", "ended-compiling", "poison"), "composing"))


def meaning_of(rule: str) -> Meaning:
    """Return the meaning of an attempt's rule, including rules that no longer exist."""
    return MEANINGS.get(_KINDS.get(rule, rule), MEANINGS["other"])


def rules_of(key: str) -> list[str]:
    """Return the rules that an attempt with this meaning may have; empty for an unknown meaning."""
    return [key, *(rule for rule, kind in _KINDS.items() if kind == key)] if key in MEANINGS else []
