"""The rate of complaints: too many from one mailbox provider in a day stop the campaigns of a From domain.

Providers judge a domain by this rate. From the second limit on they refuse its mail for weeks.
"""

import datetime as dt
import hashlib
from collections.abc import Iterable
from typing import NamedTuple

from campaigns.reports.providers import name_of
from delivery.outcomes import consequences, scorecard
from delivery.outcomes.account_limits import STOPPED_FOR_COMPLAINTS
from delivery.outcomes.scorecard import LEAST_ACCEPTED, LEAST_COMPLAINTS, STOP_PER_MILLE, WARN_PER_MILLE
from feedback.models import Feedback
from words.texts import ngettext, text

INCIDENT = "complaints"


class Cell(NamedTuple):
    """Where complaints came from, and about what."""

    day: dt.date  # The UTC day on which the messages were accepted.
    from_domain: str
    provider: str
    server_id: int  # The server of the latest of these messages.


def check(cells: Iterable[Cell], now: dt.datetime) -> None:
    """Warn of complaints, or stop campaigns, where more of them were just counted; in the caller's transaction.

    Campaigns are stopped once a day for each domain and provider: whoever resumes them has seen the rate.
    """
    for cell in sorted(set(cells)):
        counts = scorecard.sums(
            cell.day, cell.from_domain, cell.provider, (scorecard.ACCEPTED, Feedback.Kind.COMPLAINT.value)
        )
        complaints, accepted = counts.get(Feedback.Kind.COMPLAINT, 0), counts.get(scorecard.ACCEPTED, 0)
        is_enough = complaints >= LEAST_COMPLAINTS and accepted >= LEAST_ACCEPTED
        if is_enough and complaints * 1000 < WARN_PER_MILLE * accepted:
            continue
        must_stop = is_enough and complaints * 1000 >= STOP_PER_MILLE * accepted
        _act(cell, _sentence(cell, complaints, accepted), now, must_stop=must_stop)


def _act(cell: Cell, why: str, now: dt.datetime, *, must_stop: bool) -> None:
    # A hash, because the key of an incident is shorter than two domains may be.
    about = hashlib.blake2b(f"{cell.from_domain} {cell.provider}".encode(), digest_size=16).hexdigest()
    about += " stop" if must_stop else ""
    is_new = not cell.server_id or consequences.note_incident(cell.server_id, INCIDENT, why, now, about=about)
    if not must_stop or not is_new:
        return
    for mailing_id, domain in consequences.running_from(cell.server_id).items():
        if domain == cell.from_domain:
            consequences.stop(mailing_id, _resume_with_care(why))


def _resume_with_care(why: str) -> str:
    return text("%(stopped)s %(why)s Find out why before you resume.", stopped=STOPPED_FOR_COMPLAINTS, why=why)


def _sentence(cell: Cell, complaints: int, accepted: int) -> str:
    return ngettext(
        "%(n)s person at %(provider)s marked mail from %(domain)s of %(day)s as spam;"
        " %(accepted)s messages were accepted there that day.",
        "%(n)s people at %(provider)s marked mail from %(domain)s of %(day)s as spam;"
        " %(accepted)s messages were accepted there that day.",
        complaints,
        provider=name_of(cell.provider),
        domain=cell.from_domain,
        day=f"{cell.day:%d %B %Y}",
        accepted=f"{accepted:,}",
    )
