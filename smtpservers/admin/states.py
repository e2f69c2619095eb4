"""The state of a server in words: one word, what it means, since when, until when, and the server's reply."""

import datetime as dt
from dataclasses import dataclass

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import get_current_timezone

from smtpservers.limits.rate_limiter import factor_at
from smtpservers.models import SmtpServer
from words.instants import stamp

STAYS_PAUSED = "It stays paused until someone resumes it."


@dataclass(frozen=True, slots=True)
class State:
    word: str
    colour: str  # Of its badge: green, orange or grey.
    meaning: str  # A sentence.
    reply: str = ""  # The server's reply, or another reason that is not for everybody.
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    may_resume: bool = False

    def ends(self, now: dt.datetime) -> str:
        """Return when the state ends: at an instant, or when somebody resumes the server."""
        return f"until {moment(self.until, now)}" if self.until else "until resumed or edited"


def state_of(server: SmtpServer, now: dt.datetime) -> State:
    """Return the state: the operator's switch comes first, then what the system keeps of the server."""
    if not server.is_active:
        return State("Inactive", "grey", "Only Send test uses this server.")
    if is_paused(server, now):
        meaning = f"Tries again on {moment(server.paused_until, now)}." if server.paused_until else STAYS_PAUSED
        return State(
            "Paused", "orange", meaning, server.paused_reason, server.outage_at, server.paused_until, may_resume=True
        )
    if server.tested_at is None:
        return State("Untested", "orange", "Send a test. Other mail waits until the server accepts one.")
    if server.full_until is not None and server.full_until > now:
        meaning = f"The provider's limit is reached. Tries again on {moment(server.full_until, now)}."
        return State(
            "Full", "orange", meaning, server.full_reason, server.outage_at, server.full_until, may_resume=True
        )
    if (factor := factor_at(server.slow_factor, server.slowed_at, now)) < 1:
        part = f"{100 * factor:.0f}%"
        meaning = f"The provider asked us to slow down: sending at {part} of normal speed."
        return State(f"Slowed to {part}", "orange", meaning, since=server.slowed_at, may_resume=True)
    return State("Active", "green", "Ready to send.")


def is_paused(server: SmtpServer, now: dt.datetime) -> bool:
    """Tell whether the system has paused the server."""
    return bool(server.paused_reason) and (server.paused_until is None or server.paused_until > now)


def state_badge(server: SmtpServer, now: dt.datetime, *, with_reason: bool) -> SafeString:
    """Return the state as a badge, and beside it the reason or when it ends.

    :param with_reason: include the server's reply, which is not for everybody.
    """
    state = state_of(server, now)
    shown = badge(state.colour, state.word, state.meaning)
    if state.word not in ("Paused", "Full"):
        return shown
    why = (state.reply if with_reason else "").rstrip(".")
    ends = state.ends(now)
    whole = f"{why}. {state.word} {ends}." if why else f"{state.word} {ends}."
    beside = f"{why} · {ends}" if why else ends
    return format_html('{} <span class="server-reason" title="{}">{}</span>', shown, whole, beside)


def badge(colour: str, text: str, explanation: str) -> SafeString:
    """Return a short word on a colour: green, blue, orange or grey."""
    return format_html('<span class="server-badge server-badge-{}" title="{}">{}</span>', colour, explanation, text)


def moment(instant: dt.datetime, now: dt.datetime) -> str:
    """Return an instant in the zone of the page, which it names."""
    zone = get_current_timezone()
    return f"{stamp(instant, now, zone)} {instant.astimezone(zone).tzname()}"
