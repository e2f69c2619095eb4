"""The From addresses that recipients of a campaign will see, in words. Reads the database and changes nothing."""

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from campaigns.content.written import Written
from smtpservers.routing.fleet import Fleet

MOST_ADDRESSES = 3
MOST_SERVERS = 3  # Named beside an address.


def addresses(written: Written, fleet: Fleet, letter: str = "") -> dict[str, list[str]]:
    """Return the From addresses: the campaign's own, or those of the servers that may send it, with their names.

    :param letter: only those of one variant of the A/B test; empty: of all contents.
    """
    found: dict[str, list[str]] = {}
    for its, content in written.contents:
        if letter and its != letter:
            continue
        if content.mail_from:
            found.setdefault(content.mail_from, [])
            continue
        for server in fleet.carriers("", content.server_ids):
            names = found.setdefault(server.mail_from, [])
            if server.name not in names:
                names.append(server.name)
    return found


def senders(found: dict[str, list[str]]) -> list[str]:
    """Return the result of :func:`addresses` as lines of a page."""
    lines = [f"{address} ({_shortened(names, MOST_SERVERS)})" if names else address for address, names in found.items()]
    return [*lines[:MOST_ADDRESSES], *_more(len(lines) - MOST_ADDRESSES)] or [_("Each server's own")]


def _shortened(names: list[str], most: int) -> str:
    return ", ".join([*names[:most], *_more(len(names) - most)])


def _more(number: int) -> list[str]:
    return [ngettext("%(n)s more", "%(n)s more", number) % {"n": f"{number:,}"}] if number > 0 else []
