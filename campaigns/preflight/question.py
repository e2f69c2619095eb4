"""The last question before sending: whether the number of people and the From addresses that it showed still hold.

The page puts a mark of both into the question's form, and the press brings it back. The content, the lists and the
times have their own mark, the version of the campaign.
"""

import hashlib
from collections.abc import Collection

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from campaigns.preflight.senders import senders

# A busy list grows while a person reads. Fewer people are always fine.
MORE_PERCENT = 1
MORE_PEOPLE = 5
STALE = gettext_lazy("The campaign changed since you opened this page. Check it, then send it.")


def mark(people: int | None, addresses: Collection[str]) -> str:
    """Return the mark of a question.

    :param people: the number of people that it shows; None if it shows none.
    :param addresses: the From addresses that it shows.
    """
    digest = hashlib.sha256("\n".join(sorted(addresses)).encode()).hexdigest()
    return f"{'' if people is None else people}-{digest}"


def outdated(shown: str, people: int | None, addresses: dict[str, list[str]]) -> list[str]:
    """Return what has changed since the question was shown, in sentences; empty if it still holds.

    :param shown: the mark that the press brought back; an empty one never holds.
    :param people: the present number of people; None if nobody has counted them.
    :param addresses: the present From addresses, as :func:`campaigns.preflight.senders.addresses` returns them.
    """
    number, _dash, digest = shown.partition("-")
    if not digest or len(number) > 12 or (number and not (number.isascii() and number.isdecimal())):
        return [str(STALE)]
    found = []
    if number and people is None:
        found.append(_("The recipients have to be counted again. Check the number, then send."))
    elif number and people is not None and people > int(number) + max(MORE_PEOPLE, int(number) * MORE_PERCENT // 100):
        sentence = ngettext(
            "Now %(n)s person would get it, not %(shown)s. Check again, then send.",
            "Now %(n)s people would get it, not %(shown)s. Check again, then send.",
            people,
        )
        found.append(sentence % {"n": f"{people:,}", "shown": f"{int(number):,}"})
    if mark(None, addresses) != f"-{digest}":
        sentence = _("It would be sent from another address now: %(senders)s. Check again, then send.")
        found.append(sentence % {"senders": ", ".join(senders(addresses))})
    return found
