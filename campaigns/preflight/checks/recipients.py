"""The checks of the people who would get a campaign: exclusions, shared mailboxes, who is out of reach (C3, C4, C7)."""

import datetime as dt
from collections.abc import Iterable, Iterator

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from campaigns.preflight.finding import BLOCK, INFORM, WARN, Finding, found
from campaigns.preflight.people import INVALID, PeopleReport
from smtpservers.models import SmtpServer


def consent(report: PeopleReport) -> Iterator[Finding]:
    left_out = sum(each.number for each in report.left_out)
    if left_out:
        why = ", ".join(f"{each.number:,} {each.title}" for each in report.left_out[:4])
        sentence = ngettext("%(n)s person is excluded: %(why)s.", "%(n)s people are excluded: %(why)s.", left_out)
        yield found("C3", INFORM, sentence % {"n": f"{left_out:,}", "why": why})


NAMED_SERVERS = 3
LONG_AGO = dt.timedelta(days=365)
MAILED = ("accepted", "unconfirmed")


def addresses(numbers: dict[str, int], number: int) -> Iterator[Finding]:
    if not number:
        return
    if (unmailed := numbers["unmailed"]) and 0 < settings.RETAIN_MESSAGES_MONTHS < 12:
        unmailed = 0  # Older messages were deleted, so nobody knows.
    if unmailed:
        sentence = ngettext(
            "%(n)s person got no mail from you for 12 months.",
            "%(n)s people got no mail from you for 12 months.",
            unmailed,
        )
        remedy = _("Leave them out, or send to a few first. Old addresses bounce and catch spammers.")
        yield found("C4", WARN, sentence % {"n": f"{unmailed:,}"}, remedy)
    if roles := numbers["roles"]:
        sentence = ngettext(
            "%(n)s address is a shared mailbox, not a person's (info@, sales@, …).",
            "%(n)s addresses are shared mailboxes, not a person's (info@, sales@, …).",
            roles,
        )
        yield found(
            "C4",
            WARN if roles * 20 > number else INFORM,
            sentence % {"n": f"{roles:,}"},
            _("Check that they agreed. Shared mailboxes complain more often."),
        )


def unreachable(servers: Iterable[SmtpServer], report: PeopleReport) -> Iterator[Finding]:
    """Yield the people whose messages fail before a server is asked. No name server is asked for it."""
    judges = [server.name for server in servers if not server.handles_email_validation]
    failing = [each for each in report.doubtful if judges or each.reason == INVALID]
    # Somebody may have two of the reasons.
    number = min(sum(each.number for each in failing), report.reached)
    if not number:
        return
    sentence = ngettext(
        "%(n)s of %(all)s recipient won't be reached: %(why)s.",
        "%(n)s of %(all)s recipients won't be reached: %(why)s.",
        report.reached,
    ) % {
        "n": f"{number:,}",
        "all": f"{report.reached:,}",
        "why": ", ".join(f"{each.title} ({each.number:,})" for each in failing) if failing[1:] else failing[0].title,
    }
    yield found(
        "C7",
        BLOCK if number == report.reached else WARN,
        sentence if all(each.reason == INVALID for each in failing) else f"{sentence} {_cause(judges)}",
        _("Correct these addresses, or remove these people from the lists."),
    )


def _cause(servers: list[str]) -> str:
    """Return why domains are checked: the servers whose provider leaves that to us."""
    if len(servers) > NAMED_SERVERS:
        others = f"{len(servers) - NAMED_SERVERS:,}"
        named = _("%(names)s and %(n)s more") % {"names": ", ".join(servers[:NAMED_SERVERS]), "n": others}
    else:
        named = ", ".join(servers)
    return _("Addresses are checked here because “Handles email validation” is off for %(servers)s.") % {
        "servers": named
    }
