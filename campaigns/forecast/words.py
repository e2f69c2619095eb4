"""A forecast in words: sentences, and rows for a table. Times are in the zone of the campaign."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from campaigns.forecast.forecast import Forecast, ForecastLine
from campaigns.forecast.simulation import ASSUMED, LIMIT
from words import durations
from words.instants import moment
from words.numbers import counted, none_of, some_of

SPEEDS = {LIMIT: "its limit", ASSUMED: "assumed: it has no rate, and sent too little lately to tell"}


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
    return ForecastWords(
        _headline(expected, zone),
        tuple(_notes(expected, zone)),
        tuple(_row(line, zone) for line in expected.lines),
        is_bad=expected.total > 0 and not expected.is_complete,
    )


def waiting_for_quota(messages: int) -> str:
    """Return a sentence about messages without room in the present quota period."""
    wait, their = ("waits", "its") if messages == 1 else ("wait", "their")
    return f"{_messages(messages)} {wait} for the next quota period of {their} server."


def _headline(expected: Forecast, zone: dt.tzinfo) -> str:
    if not expected.total:
        return "Nobody gets it, so there is nothing to foresee."
    if expected.retried == expected.total and expected.finishes_at is not None and expected.first_at is not None:
        return _all_tried(expected.total, moment(expected.first_at, zone), moment(expected.finishes_at, zone))
    if expected.finishes_at is not None and expected.first_at is not None and expected.total == 1:
        return f"The message leaves on {moment(expected.first_at, zone)}."
    if expected.finishes_at is not None and expected.first_at is not None:
        took = durations.about(expected.finishes_at - expected.first_at)
        return (
            f"The {_messages(expected.total)} leave from {moment(expected.first_at, zone)} on, and the last one on"
            f" {moment(expected.finishes_at, zone)}: {took}."
        )
    if expected.expires_at is not None:
        sent, end = expected.total - expected.left, moment(expected.expires_at, zone)
        if not sent:
            return f"By {end}, {none_of(expected.total, 'message')} sent."
        return f"Only {some_of(sent, expected.total, 'message')} sent by {end}."
    if expected.left == expected.total:
        return f"As things stand, {none_of(expected.total, 'message')} sent at all."
    return f"As things stand, {some_of(expected.left, expected.total, 'message')} not sent within a year."


def _all_tried(deferred: int, first: str, last: str) -> str:
    """Return a sentence for the time when only deferred messages are left. Servers may defer them again."""
    if deferred == 1:
        return f"All were tried. The message that was deferred is tried again on {first}."
    until = f", and the last one on {last}" if last != first else ""
    return f"All were tried. The {_messages(deferred)} that were deferred are tried again from {first} on{until}."


def _notes(expected: Forecast, zone: dt.tzinfo) -> Iterator[str]:
    if expected.retried_at is not None and expected.retried < expected.total:
        was, tried = ("was", "is") if expected.retried == 1 else ("were", "are")
        yield (
            f"{_messages(expected.retried)} {was} deferred, and {tried} tried again from"
            f" {moment(expected.retried_at, zone)} on."
        )
    if expected.waiting and expected.waiting_until is not None:
        yield from _waiting(expected, moment(expected.waiting_until, zone))
    if expected.expires_at is not None and expected.left:
        yield f"{expected.left:,} {'is left then, and expires' if expected.left == 1 else 'are left then, and expire'}."
    if expected.next_period:
        yield waiting_for_quota(expected.next_period)
    if expected.ahead:
        yield f"Other campaigns go first with {_messages(expected.ahead)} where they use the same servers."
    for label, number in expected.blocked:
        yield f"No server may send {_messages(number)}{f' ({label})' if label else ''}."
    for name, why in expected.idle[:5]:
        yield f"{name} sends nothing: it {why}." if why else f"{name} sends nothing: its quota is 0."


def _waiting(expected: Forecast, until: str) -> Iterator[str]:
    """Yield the assumptions about an A/B test."""
    if sample := expected.total - expected.waiting:
        yield f"The sample goes first: {_messages(sample)}."
    yield (
        f"The rest, {_messages(expected.waiting)}, waits until you choose the winner. This forecast assumes that you"
        f" choose on {until}, as soon as the hours to wait are over."
    )
    if not expected.is_sampled_in_time:
        yield "The sample is not sent in full by then, so its figures will say less. Wait longer before you choose."


def _row(line: ForecastLine, zone: dt.tzinfo) -> ForecastRow:
    notes = []
    if line.dry_at is not None and line.again_at is not None:
        notes.append(
            f"Its quota is used up on {moment(line.dry_at, zone)}; the next period begins on"
            f" {moment(line.again_at, zone)}."
        )
    if line.capped:
        notes.append(f"Its limit of the {line.capped} holds it back.")
    if line.units != line.messages:
        notes.append(f"With copies, {line.units:,} units of its quota.")
    rate = f"{line.per_second:.1f}" if line.per_second < 10 else f"{line.per_second:,.0f}"
    speed = f"{rate} a second, {SPEEDS.get(line.speed_from, 'as it did lately')}"
    return ForecastRow(line.name, line.messages, line.percent, speed, tuple(notes))


def _messages(number: int) -> str:
    return counted(number, "message")
