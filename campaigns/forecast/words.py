"""A forecast in words: sentences, and rows for a table. Times are in the zone of the campaign."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from campaigns.forecast.forecast import Forecast, ForecastLine
from campaigns.forecast.simulation import ASSUMED, LIMIT
from smtpservers.routing.candidates import SWITCHED_OFF
from words import durations
from words.instants import stamp

MOST_IDLE = 5  # Servers that send nothing and are named with the reason.


@dataclass(frozen=True, slots=True)
class ForecastRow:
    """One server in the table of a forecast."""

    name: str
    messages: int
    percent: float
    speed: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ForecastWords:
    """A forecast in words."""

    headline: str
    notes: tuple[str, ...]
    rows: tuple[ForecastRow, ...]
    is_bad: bool  # The mail is not sent in full, or not in time.


def words(expected: Forecast, zone: dt.tzinfo) -> ForecastWords:
    """Return the forecast in words."""
    say = _Sayer(expected, zone)
    return ForecastWords(
        say.headline(),
        tuple(say.notes()),
        tuple(say.row(line) for line in expected.lines),
        is_bad=expected.total > 0 and not expected.is_complete,
    )


def waiting_for_quota(messages: int, until: str = "") -> str:
    """Return a sentence about messages without room in the present quota period.

    :param until: when the first quota that they wait for resets.
    """
    number = {"n": f"{messages:,}", "until": until}
    if until:
        return (
            ngettext(
                "%(n)s message waits for a quota that resets %(until)s.",
                "%(n)s messages wait for a quota that resets %(until)s.",
                messages,
            )
            % number
        )
    return (
        ngettext(
            "%(n)s message waits for the next quota reset.", "%(n)s messages wait for the next quota reset.", messages
        )
        % number
    )


def quota_reset(expected: Forecast, zone: dt.tzinfo) -> str:
    """Return when the first quota resets that some messages wait for; empty if none does."""
    resets = [line.again_at for line in expected.lines if line.later and line.again_at is not None]
    return stamp(min(resets), expected.begins_at, zone) if resets else ""


def late_in_words(expected: Forecast, zone: dt.tzinfo) -> str:
    """Return a sentence about people who get the mail later than the others, for the question before it is sent."""
    if not expected.is_complete or not expected.next_period:
        return ""
    until, number = quota_reset(expected, zone), expected.next_period
    if not until:
        return waiting_for_quota(number)
    sentence = ngettext(
        "%(n)s person gets it from %(until)s, when a quota resets.",
        "%(n)s people get it from %(until)s, when a quota resets.",
        number,
    )
    return sentence % {"n": f"{number:,}", "until": until}


class _Sayer:
    def __init__(self, expected: Forecast, zone: dt.tzinfo) -> None:
        self._expected, self._zone = expected, zone

    def _at(self, instant: dt.datetime) -> str:
        return stamp(instant, self._expected.begins_at, self._zone)

    def headline(self) -> str:
        expected = self._expected
        if not expected.total:
            return _("No recipients yet, so there's nothing to forecast.")
        number = {"n": f"{expected.total:,}"}
        if expected.finishes_at is not None and expected.first_at is not None:
            times = {
                "first": self._at(expected.first_at),
                "last": self._at(expected.finishes_at),
                "span": durations.about(expected.finishes_at - expected.first_at),
            }
            if expected.retried == expected.total:
                return self._all_tried(number | times)
            if expected.total == 1:
                return _("The message is sent at %(first)s.") % times
            return _("%(n)s messages, starting %(first)s and finishing around %(last)s (%(span)s).") % (number | times)
        if expected.expires_at is not None:
            sent = expected.total - expected.left
            ends = number | {"sent": f"{sent:,}", "end": self._at(expected.expires_at)}
            if not sent:
                return _("None of the %(n)s messages can be sent by %(end)s.") % ends
            return _("Only %(sent)s of %(n)s messages can be sent by %(end)s.") % ends
        if expected.left == expected.total:
            return (
                ngettext(
                    "With the current settings, the message can't be sent.",
                    "With the current settings, none of the %(n)s messages can be sent.",
                    expected.total,
                )
                % number
            )
        left = number | {"left": f"{expected.left:,}"}
        return _("With the current settings, %(left)s of %(n)s messages can't be sent within a year.") % left

    def _all_tried(self, values: dict[str, str]) -> str:
        """Return a sentence for the time when only deferred messages are left. Servers may defer them again."""
        if self._expected.total == 1:
            return _("The last message was deferred. Next attempt at %(first)s.") % values
        if values["first"] == values["last"]:
            return _("The last %(n)s messages were deferred. Next attempt at %(first)s.") % values
        return _("The last %(n)s messages were deferred. Next attempts from %(first)s to %(last)s.") % values

    def notes(self) -> Iterator[str]:
        expected = self._expected
        if expected.retried_at is not None and expected.retried < expected.total:
            yield ngettext(
                "%(n)s deferred message is tried again at %(at)s.",
                "%(n)s deferred messages are tried again from %(at)s.",
                expected.retried,
            ) % {"n": f"{expected.retried:,}", "at": self._at(expected.retried_at)}
        if expected.waiting and expected.waiting_until is not None:
            yield from self._waiting(self._at(expected.waiting_until))
        if expected.expires_at is not None and expected.left:
            yield ngettext(
                "%(n)s unsent message expires then.", "%(n)s unsent messages expire then.", expected.left
            ) % {"n": f"{expected.left:,}"}
        if expected.next_period:
            yield waiting_for_quota(expected.next_period, quota_reset(expected, self._zone))
        if expected.ahead:
            yield ngettext(
                "%(n)s message of other campaigns goes first on shared servers.",
                "%(n)s messages of other campaigns go first on shared servers.",
                expected.ahead,
            ) % {"n": f"{expected.ahead:,}"}
        for label, number in expected.blocked:
            values = {"n": f"{number:,}", "which": label}
            if label:
                yield _("No server may send %(n)s messages (%(which)s).") % values
            else:
                yield (
                    ngettext("No server may send %(n)s message.", "No server may send %(n)s messages.", number) % values
                )
        yield from self._idle()

    def _idle(self) -> Iterator[str]:
        """Yield the servers that send nothing; inactive ones, which everybody expects to, in one line."""
        inactive = sum(why == SWITCHED_OFF for _name, why in self._expected.idle)
        others = [(name, why) for name, why in self._expected.idle if why != SWITCHED_OFF]
        for name, why in others[:MOST_IDLE]:
            yield f"{name} {why}." if why else _("%(server)s has a quota of 0.") % {"server": name}
        if more := len(others[MOST_IDLE:]):
            yield ngettext("%(n)s more server can't send.", "%(n)s more servers can't send.", more) % {"n": more}
        if inactive:
            yield ngettext("%(n)s server is inactive.", "%(n)s servers are inactive.", inactive) % {"n": inactive}

    def _waiting(self, until: str) -> Iterator[str]:
        """Yield the assumptions about an A/B test."""
        expected = self._expected
        if sample := expected.total - expected.waiting:
            yield ngettext("The test goes first: %(n)s message.", "The test goes first: %(n)s messages.", sample) % {
                "n": f"{sample:,}"
            }
        yield ngettext(
            "%(n)s message waits for the winner. The forecast assumes the winner is chosen at %(at)s.",
            "%(n)s messages wait for the winner. The forecast assumes the winner is chosen at %(at)s.",
            expected.waiting,
        ) % {"n": f"{expected.waiting:,}", "at": until}
        if not expected.is_sampled_in_time:
            yield _("The test isn't fully sent by then. Enter a longer waiting time.")

    def row(self, line: ForecastLine) -> ForecastRow:
        notes = []
        if line.dry_at is not None and line.again_at is not None:
            times = {"dry": self._at(line.dry_at), "again": self._at(line.again_at)}
            notes.append(_("Quota runs out %(dry)s, resets %(again)s.") % times)
        if line.capped:
            notes.append(_("Slowed by its hourly limit.") if line.capped == "hour" else _("Slowed by its daily limit."))
        if line.units != line.messages:
            notes.append(_("With copies, it uses %(n)s of its quota.") % {"n": f"{line.units:,}"})
        rate = f"{line.per_second:.1f}" if line.per_second < 10 else f"{line.per_second:,.0f}"
        speeds = {LIMIT: _("%(rate)s/s (limit)"), ASSUMED: _("%(rate)s/s (estimate: no recent sends to measure)")}
        speed = speeds.get(line.speed_from, _("%(rate)s/s (recent speed)")) % {"rate": rate}
        return ForecastRow(line.name, line.messages, line.percent, speed, tuple(notes))
