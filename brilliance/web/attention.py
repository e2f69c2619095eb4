"""What Home says first: whether mail is flowing, and what needs a person, at most five rows with one button each."""

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from django.contrib.auth.models import AnonymousUser, User
from django.db.models import Case, Q, Value, When
from django.urls import reverse
from django.utils.timezone import get_current_timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.by_mail import mails
from campaigns.models import Campaign, Experiment
from campaigns.reports import pace
from campaigns.schedule.schedule import start_in_words
from delivery.content.test_inbox import leads_to_test_inbox
from delivery.models import Mailing
from delivery.templatetags.reasons import sentence
from feedback import relay
from feedback.listener import heartbeat
from smtpservers.admin import list_row, states
from smtpservers.models import SmtpServer
from words.instants import ago, on_clock, stamp
from words.texts import translated

MOST = 5
STOPPING = ("broker", "worker", "copy")  # The checks of readiness that no mail passes.

Person = User | AnonymousUser


@dataclass(frozen=True, slots=True)
class Row:
    text: str
    name: str = ""  # Of the thing it is about, which leads to it.
    link: str = ""
    reply: str = ""  # In a server's words.
    label: str = ""  # Of the button; empty: nobody can do anything about it here.
    button: str = ""  # Where it leads; empty: the same place as the name.
    is_post: bool = False
    resume: str = ""  # Where a second button resumes the server; empty: there is none.


@dataclass(frozen=True, slots=True)
class Flow:
    """Whether mail is flowing."""

    colour: str  # green, orange, red or grey.
    text: str


class Server(NamedTuple):
    """What Home asks of every server, however many there are."""

    key: int
    is_active: bool
    quota: int | None
    last_success_at: dt.datetime | None
    is_ready: bool
    host: str
    port: int


def servers(now: dt.datetime) -> list[Server]:
    """Return all servers by display order."""
    is_ready = Case(When(Q(is_active=True) & ~list_row.held(now), then=Value(True)), default=Value(False))
    columns = ("pk", "is_active", "max_per_month", "last_success_at", "is_ready", "host", "port")
    return [Server(*row) for row in SmtpServer.objects.annotate(is_ready=is_ready).values_list(*columns)]


def flow(
    problems: Mapping[str, str | None], servers: list[Server], mailings: list[Mailing], now: dt.datetime
) -> Flow | None:
    """Return whether mail is flowing; None while there is no server.

    :param problems: the checks of readiness.
    :param mailings: those under way.
    """
    if not servers:
        return None
    last = max((each.last_success_at for each in servers if each.last_success_at), default=None)
    accepted = (
        _("Last accepted: %(ago)s") % {"ago": ago(last, now, get_current_timezone())}
        if last
        else _("Nothing accepted yet")
    )
    if any(problems.get(name) for name in STOPPING):
        return Flow("red", _("Nothing is being sent. %(last)s.") % {"last": accepted})
    if not any(each.is_ready for each in servers):
        return Flow("red", _("Nothing can be sent: no server is available. %(last)s.") % {"last": accepted})
    if mailings and all(mailing.waiting_reason for mailing in mailings):
        return Flow("orange", _("Queued mail is waiting. %(last)s.") % {"last": accepted})
    if mailings:
        rate = pace.recent([mailing.pk for mailing in mailings], now).rate
        values = {"rate": f"{rate:,.0f}" if rate >= 1 else f"{rate:.1f}", "last": accepted}
        return Flow("green", _("Sending · %(rate)s/s · %(last)s") % values)
    if all(leads_to_test_inbox(each) for each in servers if each.is_ready):
        return Flow("green", _("Ready to send, to the Test inbox only · %(last)s") % {"last": accepted})
    return Flow("green", _("Ready to send · %(last)s") % {"last": accepted})


def rows(obstacles: list[str], mailings: list[Mailing], user: Person, now: dt.datetime) -> tuple[list[Row], int]:
    """Return the first rows, the worst first, and how many more there are.

    :param obstacles: what readiness says; empty for users who may not read it.
    :param mailings: those under way; empty for users who may not see them.
    """
    found = [
        *map(Row, obstacles),
        *_campaigns(user, now),
        *_servers(user, now),
        *_listener(user, now),
        *_unsubscribes(user, now),
        *_invitations(user),
        *_mailings(mailings, now),
    ]
    return found[:MOST], len(found) - MOST if len(found) > MOST else 0


def _campaigns(user: Person, now: dt.datetime) -> Iterator[Row]:
    """Yield a row for each reason: campaigns that missed their start, became drafts again, or need a winner chosen."""
    if not user.has_perm("campaigns.view_progress"):
        return
    missed = list(
        Campaign.objects.filter(status=Campaign.Status.SCHEDULED, is_overdue=True).order_by("starts_at", "pk")
    )
    if missed:
        text = _("Missed the start on %(time)s. Nothing has been sent.") % {"time": start_in_words(missed[0], now)}
        yield from _rows_of((text, each) for each in missed)  # One reason, whatever the time: the first one's is named.
    is_returned = Q(status=Campaign.Status.DRAFT) & ~Q(returned_reason="")
    is_by_hand = Q(experiment__undecided__gt="") | Q(experiment__winner_by=Experiment.WinnerBy.HAND)
    is_under_way = Q(status__in=(Campaign.Status.SENDING, Campaign.Status.PAUSED))
    found = list(Campaign.objects.filter(is_returned | is_under_way & is_by_hand).select_related("experiment"))
    returned = [each for each in found if each.status == Campaign.Status.DRAFT]
    yield from _rows_of((f"{_('Not sent, and a draft again.')} {each.returned_reason}", each) for each in returned)
    waiting = [each for each in found if each.status != Campaign.Status.DRAFT and each.experiment.waits_for_winner]
    undecided = [each for each in waiting if each.experiment.undecided or each.experiment.is_ripe(now)]
    said = _("Choose the winner of the A/B test. %(reason)s")
    over = _("Its waiting time is over.")
    yield from _rows_of(
        (said % {"reason": each.experiment.get_undecided_display() or over}, each) for each in undecided
    )


def _rows_of(found: Iterable[tuple[str, Campaign]]) -> Iterator[Row]:
    """Yield one row for each text, with the first campaign that it is true of and how many more there are."""
    by_text = defaultdict(list)
    for text, campaign in found:
        by_text[text].append(campaign)
    for text, same in by_text.items():
        page = reverse("campaigns:progress", args=[same[0].pk])
        yield Row(text, _and_more(same[0].name, len(same) - 1), page, "", _("Open campaign"), page)


def _and_more(name: str, others: int) -> str:
    if not others:
        return name
    return ngettext("%(name)s and %(n)s more", "%(name)s and %(n)s more", others) % {"name": name, "n": f"{others:,}"}


def _servers(user: Person, now: dt.datetime) -> Iterator[Row]:
    """Yield the active servers that get no mail now: those that are paused or full, then the untested ones."""
    if not user.has_perm("smtpservers.view_fleet"):
        return
    # The reason names hosts and quotes replies, which users with view_fleet alone may not see.
    sees_reasons = user.has_perm("smtpservers.view_smtpserver")
    may_resume = any(user.has_perm(f"smtpservers.{right}_smtpserver") for right in ("pause", "change"))
    held = SmtpServer.objects.filter(list_row.held(now), is_active=True)
    for server in sorted(held, key=lambda server: server.tested_at is None):
        state = states.state_of(server, now)
        since = stamp(state.since, now, get_current_timezone()) if state.since else ""
        text = _("%(state)s since %(time)s.") % {"state": state.word, "time": since} if since else f"{state.word}."
        page = reverse("admin:smtpservers_smtpserver_change", args=[server.pk]) if sees_reasons else ""
        resume = reverse("admin:smtpservers_smtpserver_resume", args=[server.pk]) if may_resume else ""
        label, button, is_post, second = "", "", False, ""
        if state.needs_password and page and user.has_perm("smtpservers.change_smtpserver"):
            label, button, second = _("Enter the password again"), page + states.password_field(server), resume
        elif state.may_resume and resume:
            label, button, is_post = _("Resume"), resume, True
        elif not state.may_resume and user.has_perm("smtpservers.send_test"):
            label, button = _("Send test"), reverse("delivery:send_test", args=[server.pk])
        reply = state.reply if sees_reasons else ""
        yield Row(f"{text} {state.meaning}", server.name, page, reply, label, button, is_post, second)


def _listener(user: Person, now: dt.datetime) -> Iterator[Row]:
    """Yield the mail listener, if it ran and has stopped."""
    if user.has_perm("smtpservers.view_fleet") and (last := heartbeat.missed_since(now)):
        time = stamp(last, now, get_current_timezone())
        text = _("The mail listener has been silent since %(time)s. Bounces by mail wait at their senders.")
        yield Row(text % {"time": time})


def _unsubscribes(user: Person, now: dt.datetime) -> Iterator[Row]:
    """Yield the servers whose own unsubscribe page did not take unsubscribes."""
    if not (user.has_perm("smtpservers.view_fleet") or user.has_perm("smtpservers.view_smtpserver")):
        return
    for trouble in relay.troubles(now):
        waiting, given_up = trouble["waiting"], trouble["given_up"]
        assert isinstance(waiting, int)
        assert isinstance(given_up, int)
        text = ngettext(
            "%(n)s unsubscribe couldn't be passed on to your own page yet.",
            "%(n)s unsubscribes couldn't be passed on to your own page yet.",
            waiting,
        ) % {"n": f"{waiting:,}"}
        if given_up:
            text = ngettext(
                "%(n)s unsubscribe couldn't be passed on to your own page for three days and was given up.",
                "%(n)s unsubscribes couldn't be passed on to your own page for three days and were given up.",
                given_up,
            ) % {"n": f"{given_up:,}"}
        sees_server = user.has_perm("smtpservers.view_smtpserver") and trouble["server"]
        page = reverse("admin:smtpservers_smtpserver_change", args=[trouble["server"]]) if sees_server else ""
        label, button = (_("Open server"), page) if page else ("", "")
        if user.has_perm("feedback.view_feedback"):
            state = "given+up" if given_up else "waiting"
            label, button = _("View unsubscribes"), f"{reverse('admin:feedback_feedback_changelist')}?passed_on={state}"
        yield Row(text, str(trouble["server__name"]), page, "", label, button)


def _invitations(user: Person) -> Iterator[Row]:
    """Yield the invitations whose mail did not arrive, one row for each reason."""
    if not user.has_perm("accounts.view_invitation"):
        return
    failed = defaultdict(list)
    for invitation in mails.failed_invitations():
        failed[invitation.mail_reason].append(invitation.email)
    page = reverse("admin:accounts_invitation_changelist")
    for reason, emails in failed.items():
        text = _("The invitation didn't arrive. %(reason)s") % {"reason": sentence(reason)}
        yield Row(text, _and_more(emails[0], len(emails) - 1), page, "", _("Open invitations"))


def _mailings(mailings: list[Mailing], now: dt.datetime) -> Iterator[Row]:
    """Yield what waits, one row for each reason."""
    waiting = defaultdict(list)
    for mailing in mailings:
        if mailing.waiting_reason:
            waiting[translated(mailing.waiting_text), mailing.waiting_until].append(mailing)
    its = [mailing for same in waiting.values() for mailing in same]
    campaigns = dict(Campaign.objects.filter(mailing__in=its).values_list("mailing", "pk"))
    for (reason, until), same in waiting.items():
        text = _("Waiting: %(reason)s") % {"reason": on_clock(reason, now, get_current_timezone())}
        if until:
            time = states.moment(until, now)
            text = _("%(sentence)s Continues on %(time)s.") % {"sentence": text, "time": time}
        name = _and_more(same[0].name, len(same) - 1)
        ours = next((campaigns[each.pk] for each in same if each.pk in campaigns), None)
        page = reverse("campaigns:progress", args=[ours]) if ours else ""
        yield Row(text, name, page, "", _("Open campaign") if page else "", page)
