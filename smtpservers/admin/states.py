"""The state of a server in words: one word, what it means, since when, until when, and the server's reply."""

import datetime as dt
from dataclasses import dataclass, replace
from typing import Any

from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timezone import get_current_timezone
from django.utils.translation import gettext as _

from smtpservers.limits.quota_period import kept_from_campaigns
from smtpservers.limits.rate_limiter import factor_at
from smtpservers.models import SmtpServer
from smtpservers.routing.candidates import missing_signature
from smtpservers.smtp.diagnostics import FAILURES
from words.instants import ahead, stamp
from words.reasons import SIGN_IN_REFUSED, as_sentence
from words.texts import translated


@dataclass(frozen=True, slots=True)
class State:
    key: str  # "inactive", "paused", "untested", "full", "slowed" or "active".
    word: str
    colour: str  # Of its badge: green, orange or grey.
    meaning: str  # A sentence.
    reply: str = ""  # The server's reply, or another reason that is not for everybody.
    since: dt.datetime | None = None
    until: dt.datetime | None = None
    may_resume: bool = False
    needs_password: bool = False  # The server refused the stored one; resumed, it would refuse it again.
    failed_at: dt.datetime | None = None  # The last test, while none was accepted.

    def ends(self, now: dt.datetime) -> str:
        """Return when the state ends: at an instant, or when somebody resumes the server."""
        return _("until %(time)s") % {"time": moment(self.until, now)} if self.until else _("until resumed or edited")


def state_of(server: SmtpServer, now: dt.datetime) -> State:
    """Return the state: the operator's switch comes first, then what the system keeps of the server.

    A used-up quota is known of servers that :func:`smtpservers.admin.list_row.with_current_period` read.
    """
    if not server.is_active:
        return State("inactive", _("Inactive"), "grey", _("Only Send test uses this server."))
    if is_paused(server, now):
        meaning = _("It stays paused until someone resumes it.")
        needs_password = _is_password_refused(server)
        if needs_password:
            meaning = _("It stays paused until someone enters the password again or resumes it.")
        elif server.paused_until:
            meaning = _("Tries again on %(time)s.") % {"time": moment(server.paused_until, now)}
        return State(
            "paused",
            _("Paused"),
            "orange",
            meaning,
            server.paused_reason,
            server.outage_at,
            server.paused_until,
            may_resume=True,
            needs_password=needs_password,
        )
    if server.tested_at is None:
        return State(
            "untested", _("Untested"), "orange", _meaning_of_untested(server, now), failed_at=server.test_failed_at
        )
    if server.full_until is not None and server.full_until > now:
        meaning = _("The provider's limit is reached. Tries again on %(time)s.") % {
            "time": moment(server.full_until, now)
        }
        return State(
            "full",
            _("Full"),
            "orange",
            meaning,
            server.full_reason,
            server.outage_at,
            server.full_until,
            may_resume=True,
        )
    if (resets_at := used_up_until(server)) is not None:
        meaning = _("The quota is used up. It resets on %(time)s.") % {"time": moment(resets_at, now)}
        return State("full", _("Full"), "orange", meaning, until=resets_at)
    if (factor := factor_at(server.slow_factor, server.slowed_at, now)) < 1:
        meaning = _("The provider asked us to slow down: sending at %(part)s of normal speed.") % {
            "part": f"{100 * factor:.0f}%"
        }
        return State("slowed", _("Slowed"), "orange", meaning, since=server.slowed_at, may_resume=True)
    return State("active", _("Active"), "green", _("Ready to send."))


def _meaning_of_untested(server: SmtpServer, now: dt.datetime) -> str:
    if server.test_failed_at is None:
        return _("Send a test. Other mail waits until the server accepts one.")
    failed = _("Last test failed on %(time)s.") % {"time": stamp(server.test_failed_at, now, get_current_timezone())}
    return " ".join(filter(None, [failed, failure_of(server), _("Other mail waits until the server accepts one.")]))


def failure_of(server: SmtpServer) -> str:
    """Return at what the last failed test of an untested server failed, as a sentence; empty if nothing is known."""
    return translated(FAILURES.get(server.test_failed_step, ""))


def used_up_until(server: Any) -> dt.datetime | None:
    """Return when the quota resets that campaigns have used up; None if it has room, or was not read."""
    used: int | None = getattr(server, "units_used", None)
    if (
        not server.max_per_month
        or used is None
        or used < server.max_per_month - kept_from_campaigns(server.max_per_month)
    ):
        return None
    resets_at: dt.datetime = server.period_ends_at
    return resets_at


def with_missing_key(state: State, server: SmtpServer) -> State:
    """Return the state of a server that could send; of one whose mail needs a key that it has not, that it waits."""
    if state.key != "active" or not (unsigned := missing_signature(server)):
        return state
    word = _("Waiting for key") if server.requires_dkim else state.word
    return replace(state, word=word, colour="orange", meaning=translated(unsigned))


def password_field(server: SmtpServer) -> str:
    """Return the fragment of the field on the server's page whose secret the server refused."""
    return "#id_password" if server.password else "#id_api_key"


def _is_password_refused(server: SmtpServer) -> bool:
    is_refused = server.paused_until is None and server.paused_reason.startswith(SIGN_IN_REFUSED)
    return is_refused and bool(server.password or server.api_key) and server.oauth_account_id is None


def is_paused(server: SmtpServer, now: dt.datetime) -> bool:
    """Tell whether the system has paused the server."""
    return bool(server.paused_reason) and (server.paused_until is None or server.paused_until > now)


def state_badge(server: SmtpServer, now: dt.datetime, *, with_reason: bool) -> SafeString:
    """Return the state as a badge, and beside it the reason or when it ends.

    :param with_reason: include the server's reply, which is not for everybody.
    """
    state = state_of(server, now)
    shown = badge(state.colour, state.word, state.meaning)
    if state.failed_at is not None:
        failed = _("Last test failed")
        beside = f"{failed} · {why.rstrip('.')}" if (why := failure_of(server)) else failed
        return format_html('{} <span class="server-reason" title="{}">{}</span>', shown, state.meaning, beside)
    if state.key not in ("paused", "full"):
        return shown
    why = (as_sentence(state.reply) if with_reason else "").rstrip(".")
    ends = state.ends(now)
    whole = f"{why}. {state.word} {ends}." if why else f"{state.word} {ends}."
    beside = f"{why} · {ends}" if why else ends
    return format_html('{} <span class="server-reason" title="{}">{}</span>', shown, whole, beside)


def badge(colour: str, text: str, explanation: str) -> SafeString:
    """Return a short word on a colour: green, blue, orange or grey."""
    return format_html('<span class="state-badge state-badge-{}" title="{}">{}</span>', colour, explanation, text)


def moment(instant: dt.datetime, now: dt.datetime) -> str:
    """Return an instant that somebody waits for, in the zone of the page."""
    return ahead(instant, now, get_current_timezone())
