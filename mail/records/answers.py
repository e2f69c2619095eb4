"""Answers from DNS in the form that the rules read. Nothing here sends a query.

Everything in an answer was written by strangers. Rules look at a bounded part of it, and show a bounded part.
"""

from typing import NamedTuple, Protocol

MOST_SHOWN = 1_000  # Characters of a record that a finding repeats.


class Answer(NamedTuple):
    """The records of one name and type, in presentation form; the strings of a TXT record are joined."""

    records: tuple[str, ...] = ()
    exists: bool = True  # False: the name does not exist (NXDOMAIN).


class Unanswered(Exception):
    """DNS could not be asked: a timeout, SERVFAIL, a refusal, or an answer that cannot be read."""


class Ask(Protocol):
    """Asks DNS for the records of a name, an A-label in lower case.

    :raises Unanswered: if there is no answer to rely on.
    """

    def __call__(self, name: str, kind: str) -> Answer: ...


def shown(text: str, most: int = MOST_SHOWN) -> str:
    """Return a stranger's text for people: printable, and cut."""
    cut = text[:most]
    printable = "".join(letter if letter.isprintable() else "·" for letter in cut)
    return f"{printable}…" if len(text) > most else printable


def below(host: str, domain: str) -> bool:
    """Tell whether a host is a domain or lies below it."""
    return host == domain or host.endswith(f".{domain}")


def host_of(written: str) -> str:
    """Return the host of a record's data as names are compared: in lower case, without the final dot."""
    return written.strip().lower().rstrip(".")


def hosts_of_mail(records: tuple[str, ...]) -> list[str]:
    """Return the hosts of MX records (``10 mx.example.com.``), the preferred one first. A null MX gives an empty host.

    :param records: as DNS libraries write them.
    """
    pairs = [(int(preference), host_of(host)) for preference, _blank, host in (one.partition(" ") for one in records)]
    return [host for _preference, host in sorted(pairs)]
