"""Stored reasons: the sentences of ours among them, which a page shows in its reader's language.

The columns also hold what servers and providers said, and those words stay as they are. The English of each sentence
stands where it is stored; this list repeats it for translators.
"""

from words.causes import CAUSES
from words.texts import Sentences, Text, gettext_noop, translated

SIGN_IN_REFUSED = "the server refused the sign-in"  # The beginning of the reason, as it is stored.

SENTENCES = Sentences(
    *CAUSES,
    gettext_noop("This database was restored from a dump or copied. Mail was sent from another one before."),
    gettext_noop("This database was set back. This machine remembers more than it knows."),
    gettext_noop(
        "The folder of this database was restored from a backup, or the owner or mode of all its files was changed."
    ),
    gettext_noop("START_HELD is set, so nothing is sent until someone says so."),
    gettext_noop("Unsubscribed."),
    gettext_noop("Not confirmed."),
    gettext_noop("On the suppression list: hard bounce."),
    gettext_noop("On the suppression list: complaint."),
    gettext_noop("On the suppression list: unsubscribed from everything."),
    gettext_noop("On the suppression list: suppressed by the provider."),
    gettext_noop("On the suppression list: added by hand."),
    gettext_noop("The domain %(domain)s is on the suppression list."),
    gettext_noop("Asked for a break until %(day)s."),
    gettext_noop("The mailing was cancelled."),
    gettext_noop("The person asked for everything about them to be erased."),
    gettext_noop("Not sent: sending stopped at %(end)s."),
    gettext_noop("Queued again by hand."),
    gettext_noop("Given up: no server could take it in time."),
    gettext_noop("Given up: %(why)s"),
    gettext_noop(
        "Unconfirmed: this database was restored or copied, and the original may have sent this message since."
    ),
    gettext_noop("The domain %(domain)s is reserved and receives no mail."),
    gettext_noop("The domain %(domain)s does not exist."),
    gettext_noop("The domain %(domain)s says that it takes no mail."),
    gettext_noop("The domain %(domain)s has no mail server and no address."),
    gettext_noop("Redirected to %(address)s, the recipient is unknown: %(why)s"),
    gettext_noop("The line was lost before the message was handed over: %(why)s."),
    gettext_noop("Sent in full, the answer was lost: %(why)s. It may arrive or not."),
    gettext_noop("The server's answer cannot be read: %(reply)s"),
    gettext_noop("The provider takes no more from this server: %(reply)s"),
    gettext_noop("the server closed the connection"),
    gettext_noop("the server closes the connection"),
    gettext_noop("the server was silent for %(seconds)s s"),
    gettext_noop("the connection was lost (%(error)s)"),
    gettext_noop("the TLS handshake failed: %(problem)s"),
    gettext_noop("the TLS handshake broke off (%(error)s)"),
    gettext_noop("there is no address for %(host)s (%(why)s)"),
    gettext_noop("the name servers did not answer for %(host)s"),
    gettext_noop("there is no encryption; credentials were not sent"),
    gettext_noop("the server does not offer STARTTLS, and without it nothing is sent"),
    gettext_noop("the server refused our greeting: %(reply)s"),
    gettext_noop("the server refused the connection: %(reply)s"),
    gettext_noop("the server refused the sign-in: %(reply)s"),
    gettext_noop("the server refused STARTTLS: %(reply)s"),
    gettext_noop("no answer from %(address)s port %(port)s within %(seconds)s s"),
    gettext_noop("%(address)s port %(port)s: %(what)s"),
    gettext_noop("It closes every connection and accepts nothing: %(reply)s"),
    gettext_noop("It answers nothing that can be read once it has the message, and accepts nothing: %(reply)s"),
    gettext_noop(
        "The same answer to %(recipients)s recipients of %(domains)s domains, and nobody was accepted between: it is"
        " about the account. %(reply)s"
    ),
    gettext_noop("The server refuses the sender; another one is chosen. %(reply)s"),
    gettext_noop("The answer was about the account of the server; it is sent again. %(reply)s"),
    gettext_noop("OAuth account %(account)s: %(why)s"),
    gettext_noop("OAuth account %(account)s was edited."),
    gettext_noop("The OAuth account was deleted."),
    gettext_noop("There is no token yet. Open the account and connect it."),
    gettext_noop("An OAuth account signs in under public certificates only. Clear Trusted certificate."),
    gettext_noop("%(meaning)s Provider replied: %(said)s"),
    gettext_noop("The provider ended the sign-in. Sign in again."),
    gettext_noop("The provider refused the account."),
)


def as_sentence(stored: str) -> str:
    """Return a stored reason in the reader's language; one of ours begins with a capital, unless with a name."""
    found = SENTENCES.known(stored)
    shown = translated(found)
    is_ours = isinstance(found, Text) and not found.begins_with_name
    return shown[:1].upper() + shown[1:] if is_ours else shown
