"""The checks of volume and reputation at large mailbox providers (C5, T1, T2), from the people and the scorecards.

More than a provider's number of messages a day makes a sender a bulk sender there, and switches its strict rules on.
"""

import datetime as dt
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from django.utils.translation import gettext as _

from campaigns.preflight.finding import BLOCK, WARN, Finding, found
from delivery.outcomes.scorecard import (
    ACCEPTED,
    COMPLAINT,
    HARD,
    LEAST_ACCEPTED,
    LEAST_COMPLAINTS,
    STOP_PER_MILLE,
    WARN_PER_MILLE,
)
from delivery.records.scorecard import of_domains
from mail.mailbox_providers import PROVIDERS, MailboxProvider, receiving_at
from mail.suffixes import organisational_domain
from words.instants import day as when
from words.numbers import percent, rate_of

BULK = tuple(one for one in PROVIDERS if one.bulk_per_day)
DAYS = 7  # Of the peak, and of the rates.
RAMP = 2  # More than this many times the peak is a jump.
RAMP_FROM = 1_000  # Recipients at one provider; fewer need no warm-up.
WARN_BOUNCES, BLOCK_BOUNCES = 2, 5  # Percent. Habit of the trade: no provider publishes it.
LEAST_SENT = 200  # For a rate of bounces.


@dataclass(frozen=True, slots=True)
class Volume:
    """The recipients of a campaign at the providers with rules for bulk senders, and what was sent there lately."""

    recipients: Mapping[str, int]  # By the provider's name.
    domains: Sequence[str] = ()  # Organisational domains of From.
    days: Mapping[tuple[dt.date, str, str], int] = field(default_factory=dict)  # By day, provider's key and kind.
    today: dt.date = dt.date.min

    @property
    def strict(self) -> list[MailboxProvider]:
        """The providers whose rules for bulk senders apply: more than their number a day, now or on a past day."""
        return [one for one in BULK if self._in_a_day(one) > (one.bulk_per_day or 0)]

    def _in_a_day(self, provider: MailboxProvider) -> int:
        lately = sum(self._accepted(provider, self.today - dt.timedelta(days=ago)) for ago in (0, 1))
        return max(self.recipients.get(provider.name, 0) + lately, self.peak(provider))

    def peak(self, provider: MailboxProvider) -> int:
        """Return the most messages that a provider accepted on one of the last days."""
        return max((self._accepted(provider, day) for day in {day for day, _, _ in self.days}), default=0)

    def _accepted(self, provider: MailboxProvider, day: dt.date) -> int:
        return sum(self.days.get((day, key, ACCEPTED), 0) for key in provider.mx)


def volume_of(recipients: Mapping[str, int], from_domains: Sequence[str], now: dt.datetime) -> Volume:
    """Return the volume of a campaign. One query.

    :param recipients: the people at each provider of ``BULK``, by its name.
    :param from_domains: A-labels of the domains of From.
    """
    today = now.astimezone(dt.UTC).date()
    domains = sorted({organisational_domain(domain) for domain in from_domains})
    if not domains:
        return Volume(recipients, today=today)
    rows = of_domains(domains, today - dt.timedelta(days=DAYS))
    return Volume(recipients, domains, {(day, provider, kind): number for day, provider, kind, number in rows}, today)


def large_providers(volume: Volume) -> Iterator[Finding]:
    """C5: providers where bulk rules apply, and jumps in volume."""
    strict = volume.strict
    for one in BULK:
        number = volume.recipients.get(one.name, 0)
        if one in strict and number:
            sentence = _(
                "%(n)s recipients use %(provider)s, which applies bulk sender rules from %(most)s messages a day."
            )
            yield found(
                "C5",
                WARN,
                sentence % {"n": f"{number:,}", "provider": one.name, "most": f"{one.bulk_per_day:,}"},
                _("Check that SPF, DKIM and DMARC pass, and grow slowly."),
            )
        peak = volume.peak(one)
        if volume.domains and number >= RAMP_FROM and number > RAMP * peak:
            sentence = _(
                "%(n)s messages to %(provider)s is a jump: at most %(peak)s were accepted on a day of the last week."
            )
            yield found(
                "C5",
                WARN,
                sentence % {"n": f"{number:,}", "provider": one.name, "peak": f"{peak:,}"},
                _("Send to a part of the list first, and double it daily."),
            )


def reputation(volume: Volume) -> Iterator[Finding]:
    """T1 and T2: complaints by provider and day, and hard bounces of the week, of the same From domains."""
    complaints = [(number, day, key) for (day, key, kind), number in volume.days.items() if kind == COMPLAINT]
    worst: dict[str, tuple[float, int, dt.date]] = {}
    for number, day, key in complaints:
        accepted = volume.days.get((day, key, ACCEPTED), 0)
        if number >= LEAST_COMPLAINTS and accepted >= LEAST_ACCEPTED:
            worst[key] = max(worst.get(key, (0.0, 0, day)), (number * 1000 / accepted, number, day))
    for key, (rate, number, day) in sorted(worst.items()):
        if rate < WARN_PER_MILLE:
            continue
        known = receiving_at(key)
        sentence = _(
            "%(n)s people at %(provider)s marked your mail of %(day)s as spam: %(rate)s of what was accepted there."
        )
        values = {"n": f"{number:,}", "provider": known.name if known else key, "rate": rate_of(rate / 1000)}
        yield found(
            "T1",
            BLOCK if rate >= STOP_PER_MILLE else WARN,
            sentence % {**values, "day": when(day, volume.today)},
            _("Write to people who agreed lately, and find out why others complained."),
        )
    totals: Counter[str] = Counter()
    for (_day, _key, kind), number in volume.days.items():
        totals[kind] += number
    sent = totals[ACCEPTED] + totals[HARD]
    if sent >= LEAST_SENT and (bounced := totals[HARD] * 100 / sent) >= WARN_BOUNCES:
        sentence = _("%(percent)s of your mail of the last week bounced for good (%(n)s messages).")
        yield found(
            "T2",
            BLOCK if bounced >= BLOCK_BOUNCES else WARN,
            sentence % {"percent": percent(totals[HARD], sent, 1), "n": f"{totals[HARD]:,}"},
            _("Remove old addresses before you send again."),
        )
