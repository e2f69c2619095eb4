"""The stamp of what a person decided last. A page that may agree to something for them carries it.

Pages lie open, are reloaded and are sent again. What they agree to (a list, counted opens and clicks, the end of a
break, the undo of an unsubscribe) counts only while nothing was decided since they were shown. The state doesn't tell:
somebody who agreed and withdrew meanwhile is where they were. Withdrawing needs no stamp, however old the page is.
"""

import json
from collections.abc import Iterable

from django.conf import settings

from contacts.consent.suppressed import left_everything
from contacts.models import ConsentEvent, Contact, Subscription, Suppression
from mail import tokens

FIELD = "decision"  # The name of the hidden input.
PURPOSE = "newest decision"
STAMP_BYTES = 12


def stamp_of(contact_id: int | None, email_keys: Iterable[str] = ()) -> str:
    """Return the stamp for a page. Ask for it before the page reads what it shows, or the page may be older than it.

    :param contact_id: the person; None: the addresses alone, as of mail whose contact is gone.
    :param email_keys: folded addresses of the person besides that of the contact.
    """
    return _stamps(contact_id, email_keys)[0]


def is_newest(stamp: str, contact_id: int | None, email_keys: Iterable[str] = ()) -> bool:
    """Tell whether the person decided nothing since a page with this stamp was shown; False for a page without one.

    Call it in the transaction that stores what the page agrees to. The contact stays locked until that ends, so of two
    pages that are sent at once, only one can agree.
    """
    # Not FOR UPDATE: inserting a row that references the contact need not wait.
    list(Contact.objects.select_for_update(no_key=True).filter(pk=contact_id or 0).order_by().values_list("pk"))
    return stamp in _stamps(contact_id, email_keys)


def _stamps(contact_id: int | None, email_keys: Iterable[str]) -> list[str]:
    """Return the stamp under each key; the first one is for new pages."""
    person = Contact.objects.filter(pk=contact_id or 0).values_list("email_key", "paused_until").first()
    keys = {*email_keys, *(person[:1] if person else ())}
    # A request that nobody confirmed is no decision: anybody can type an address into a form, and it is forgotten.
    steps = ConsentEvent.objects.filter(contact=contact_id).exclude(status=Subscription.Status.PENDING)
    # By number: the clocks of two machines may differ.
    newest = steps.order_by("-pk").values_list("pk", "at").first()
    # Who is on no list leaves everything without a step in the history.
    left = Suppression.objects.filter(left_everything(), email_key__in=keys).order_by("pk")
    decided = [
        contact_id,
        person[1] if person else None,
        newest,
        list(left.values_list("pk", "created_at", "unsubscribed_at")),
    ]
    text = json.dumps(decided, default=str).encode()
    return [tokens.prover(PURPOSE, key)(text)[:STAMP_BYTES].hex() for key in settings.TOKEN_KEYS]
