"""Consequences of answers beyond their own messages: suppressions, provider holds, pauses of servers and mailings.

:mod:`delivery.outcomes.results` calls it with a group of results, inside its transaction. A lane calls
:func:`act_on_connection` if a connection fails without a message. While all goes well, a group costs one query per
server and one per mailing, for any number of messages.
"""

import datetime as dt
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Sum

from contacts.consent import changes
from contacts.models import Suppression
from delivery.content.message import without_recipient
from delivery.models import Attempt, Incident, Mailing, Message, StopTally
from delivery.outcomes import provider_holds, unreachable_domains
from delivery.outcomes.result import Result
from delivery.outcomes.verdicts import ACCEPTED, Judgement
from mail.addresses import domain_of
from mail.replies.rules import Repeats
from smtpservers.limits import circuit_breaker, refused_senders, reservations, throttling
from smtpservers.models import SmtpServer
from words.numbers import percent
from words.texts import gettext_noop, kept, text

# This many soft bounces in a row, over at least this long, suppress an address. A rule may name its own number.
SOFT_IN_A_ROW, SOFT_SPREAD = 5, dt.timedelta(days=7)
RATE_ATTEMPTS = 5_000  # The latest attempts of all servers, in which a server's rate is measured …
RATE_OVER = dt.timedelta(seconds=10)  # … over this time.


def act(results: Sequence[Result], now: dt.datetime) -> None:
    """Apply the consequences of a group of results for addresses, servers, providers, senders and mailings."""
    notable = [result for result in results if result.judgement is not ACCEPTED]
    unreachable_domains.note(notable, now)
    _act_on_addresses(notable, now)
    _act_on_servers(results, notable, now)
    _act_on_providers(notable, now)
    _act_on_senders(notable, now)
    _act_on_mailings(results, notable)
    _note_incidents(notable, now)


# --- addresses


def _act_on_addresses(results: Iterable[Result], now: dt.datetime) -> None:
    for result in results:
        judgement = result.judgement
        # The bounce of a copy says nothing about a contact's consent, but its address is dead all the same. The bounce
        # of a redirected message is not about its recipient, and bounces of tests and notices suppress nobody.
        if not (judgement.suppresses or judgement.is_soft) or result.message.redirected_to:
            continue
        if result.stream in (Mailing.Stream.TEST, Mailing.Stream.NOTICE):
            continue
        is_hard = judgement.suppresses
        if judgement.must_confirm:  # Without confirmation it counts as soft: the server's own DNS may be broken.
            is_hard = unreachable_domains.is_known(domain_of(result.message.email), now)
        why = judgement.reason
        if not is_hard:
            why = why_soft_bounces_suffice(
                result.message.email_key, judgement.reason, now, rule=judgement.rule, limit=judgement.suppresses_after
            )
        if why:
            changes.suppress(result.message.email, Suppression.Reason.HARD_BOUNCE, why, now)


def why_soft_bounces_suffice(
    email_key: str, reason: str, now: dt.datetime, *, rule: str, limit: Repeats | None, reported: int = 0
) -> str:
    """Return why a soft bounce, recorded already, suppresses its address; empty if it does not.

    :param reason: the answer of the bounce.
    :param limit: the number of messages refused under the same rule that suppresses the address; None: the usual row.
    :param reported: the number of messages that reports, and no answers, ended under this rule within the limit's time.
    """
    own = Message.objects.filter(email_key=email_key, redirected_to="", mailing__stream__in=("campaign", "single"))
    latest = own.filter(status__in=["accepted", "bounced"]).order_by("-changed_at", "-pk")
    rows = list(latest.values_list("status", "changed_at")[:SOFT_IN_A_ROW])
    last_answer = f"The last answer: {reason}"
    is_a_row = len(rows) == SOFT_IN_A_ROW and all(status == "bounced" for status, _ in rows)
    if is_a_row and rows[0][1] - rows[-1][1] >= SOFT_SPREAD:
        return f"{SOFT_IN_A_ROW} messages in a row bounced. {last_answer}"
    if limit is not None:
        refusals = Attempt.objects.filter(message__in=own.values("pk"), rule=rule, finished_at__gt=now - limit.within)
        if refusals.values("message").distinct().count() + reported >= limit.times:
            return f"{limit.times} messages were refused within {limit.within.days} days. {last_answer}"
    return ""


# --- servers


def _act_on_servers(results: Iterable[Result], notable: Iterable[Result], now: dt.datetime) -> None:
    by_server: dict[int, list[Result]] = defaultdict(list)
    for result in notable:
        by_server[result.server_id].append(result)
    well = {result.server_id for result in results if result.judgement.is_accepted}
    for server_id in sorted({*well, *by_server}):
        if not server_id:  # The server was deleted in the meantime.
            continue
        group = by_server.get(server_id, [])
        if server_id in well:
            circuit_breaker.note_success(server_id, now)
        elif any(result.judgement.is_answer for result in group):
            circuit_breaker.note_answer(server_id)
        for result in _one_of_each(group):
            why = without_recipient(result.judgement.reason, result.message)
            _act_on_server(server_id, result.judgement, why, result.sent_before, now)


def _one_of_each(group: Iterable[Result]) -> Iterable[Result]:
    """Return one result for each rule about the server: simultaneous answers are one event."""
    found: dict[str, Result] = {}
    for result in group:
        judgement = result.judgement
        is_about_server = judgement.pauses_server or judgement.server_failed or judgement.slowing is not None
        if is_about_server or judgement.is_closing or judgement.learns_limit:
            found[judgement.rule] = result
    return found.values()


def act_on_connection(server_id: int, judgement: Judgement, now: dt.datetime) -> None:
    """Apply the consequences of a connection that failed while no message waited for it."""
    with transaction.atomic():
        _act_on_server(server_id, judgement, judgement.reason, 0, now)


def _act_on_server(server_id: int, judgement: Judgement, why: str, sent_before: int, now: dt.datetime) -> None:
    if judgement.pauses_server:
        _pause(server_id, judgement, why, now)
    if judgement.server_failed:
        circuit_breaker.note_failure(server_id, why, now)
    if judgement.slowing is not None:
        if judgement.slowing.one_for is not None:
            throttling.keep_to_one_connection(server_id, now + judgement.slowing.one_for)
        elif judgement.slowing.one_less:
            throttling.take_one_connection(server_id, now)
        else:
            throttling.slow_down(server_id, now, sent_per_second=partial(_sent_per_second, server_id, now))
    if (limit := judgement.slows_after) is not None:
        closed = Attempt.objects.filter(batch__server=server_id, code=421, finished_at__gt=now - limit.within)
        if closed.count() >= limit.times:
            throttling.slow_down(server_id, now, sent_per_second=partial(_sent_per_second, server_id, now))
    if judgement.learns_limit and sent_before:
        throttling.learn_messages_per_connection(server_id, sent_before)


def _sent_per_second(server_id: int, now: dt.datetime) -> float | None:
    """Return how many messages a second the server answered recently; None if it answered none."""
    # The latest by key: no index has the time of an attempt, since it would add to the cost of every message.
    rows = Attempt.objects.order_by("-pk").values_list("batch__server", "finished_at", "outcome")[:RATE_ATTEMPTS]
    lately = [(server, at, outcome) for server, at, outcome in rows if at is not None and now - RATE_OVER < at <= now]
    own = [at for server, at, outcome in lately if server == server_id and outcome != Attempt.Outcome.NOT_SENT]
    if not own:
        return None
    # If other servers fill the sample in less than ``RATE_OVER``, the rate is measured over the whole sample.
    is_cut = len(lately) == RATE_ATTEMPTS
    since, least = (min(at for _, at, _ in lately), 0.1) if is_cut else (min(own), 1.0)
    return len(own) / max(least, (now - since).total_seconds())


def _pause(server_id: int, judgement: Judgement, why: str, now: dt.datetime) -> None:
    if judgement.server_pause is None:
        circuit_breaker.pause(server_id, why, None, now, awaits_account=judgement.pause_awaits_account)
    elif judgement.is_full:
        reservations.note_full(server_id, why, now + judgement.server_pause, now)
        circuit_breaker.put_on_probation(server_id, now)
    else:
        longest = judgement.longest_pause or judgement.server_pause
        circuit_breaker.trip(server_id, why, judgement.server_pause, longest, now)


def _act_on_providers(results: Iterable[Result], now: dt.datetime) -> None:
    placed = set()
    for result in results:
        hold = result.judgement.hold
        if hold is None or not result.server_id:
            continue
        provider = provider_holds.provider_of(result.message)
        if (result.server_id, provider, hold) not in placed:
            placed.add((result.server_id, provider, hold))
            why = without_recipient(result.judgement.reason, result.message)
            provider_holds.place(result.server_id, provider, why, hold, now)


def _act_on_senders(results: Iterable[Result], now: dt.datetime) -> None:
    for result in results:
        refusal = result.judgement.refusal
        if refusal is None or not result.server_id:
            continue
        mail_from = Mailing.objects.values_list("mail_from", flat=True).get(pk=result.mailing_id)
        why = without_recipient(result.judgement.reason, result.message)
        refused_senders.refuse(result.server_id, mail_from, why, now, lasts=refusal.lasts, times=refusal.times)


# --- mailings


# Each begins with account_limits.STOPPED.
_STOPPED_FOR_BOUNCES = gettext_noop(
    "Stopped: %(count)s of the last %(sent)s addresses do not exist (%(percent)s)."
    " Check where the list comes from, then resume."
)
_STOPPED_FOR_CONTENT = gettext_noop(
    "Stopped: %(count)s of the last %(sent)s messages were refused for their content (%(percent)s)."
    " Change the content, then resume."
)


@dataclass(frozen=True, slots=True)
class _Figures:
    """A mailing's final results since it was last resumed."""

    sent: int
    hard_bounces: int
    content_failures: int

    def why_stop(self) -> str:
        """Return why a mailing with these figures must stop, as a sentence; empty if it may go on."""
        if self.sent < settings.STOP_AFTER_MESSAGES:
            return ""
        for count, limit, why in (
            (self.hard_bounces, settings.STOP_BOUNCE_PERCENT, _STOPPED_FOR_BOUNCES),
            (self.content_failures, settings.STOP_REFUSAL_PERCENT, _STOPPED_FOR_CONTENT),
        ):
            if limit and count * 100 >= limit * self.sent:
                share = percent(count, self.sent, 1)
                return text(why, count=f"{count:,}", sent=f"{self.sent:,}", percent=share)
        return ""


def _act_on_mailings(results: Iterable[Result], notable: Iterable[Result]) -> None:
    tallies: dict[tuple[int, int], Counter[str]] = defaultdict(Counter)
    stops: dict[int, str] = {}
    accepted = Counter(
        (result.mailing_id, result.server_id)
        for result in results
        if result.judgement is ACCEPTED and result.stream == Mailing.Stream.CAMPAIGN and result.server_id
    )
    for key, number in accepted.items():
        tallies[key]["sent"] = number
    for result in notable:
        judgement = result.judgement
        if judgement.pauses_mailing and result.mailing_id not in stops:
            why = without_recipient(judgement.reason, result.message)
            for mailing_id in _of_the_same_sender(result):
                stops[mailing_id] = f"The sender was refused: {why} Mend it, then resume."
        if result.stream != Mailing.Stream.CAMPAIGN or not result.server_id:
            continue
        if judgement.wait is None and (judgement.is_answer or judgement.holds_unit):
            tally = tallies[result.mailing_id, result.server_id]
            tally["sent"] += 1
            tally["hard_bounces"] += judgement.suppresses
            tally["content_failures"] += judgement.is_content
    count_and_stop(tallies, stops)


def count_and_stop(tallies: Mapping[tuple[int, int], Counter[str]], stops: dict[int, str]) -> None:
    """Add results to the stop tallies of mailings by server, and stop the mailings with too many bad ones.

    :param tallies: numbers by the name of their column in ``StopTally``.
    :param stops: why other mailings, or some of these, must stop anyway.
    """
    for (mailing_id, server_id), tally in sorted(tallies.items()):
        _count(mailing_id, server_id, tally)
        if mailing_id not in stops and (tally["hard_bounces"] or tally["content_failures"]):
            stops[mailing_id] = _figures(mailing_id).why_stop()
    for mailing_id, why in stops.items():
        if why:
            stop(mailing_id, why)


def _of_the_same_sender(result: Result) -> list[int]:
    """Return the running campaigns with the same From domain as the refused one, including itself.

    A provider that refuses a domain refuses all its mail.
    """
    domains = running_from(result.server_id)
    refused = domains.get(result.mailing_id)
    return [pk for pk, domain in domains.items() if domain == refused]


def running_from(server_id: int) -> dict[int, str]:
    """Return the running campaigns with the domain of their From.

    :param server_id: whose From a campaign without its own is taken to have.
    """
    open_now = Mailing.objects.filter(stream=Mailing.Stream.CAMPAIGN, state=Mailing.State.OPEN, finished_at=None)
    own = SmtpServer.objects.values_list("mail_from", flat=True).filter(pk=server_id).first() or ""
    return {
        pk: refused_senders.sender_of(mail_from or own).rpartition("@")[2]
        for pk, mail_from in open_now.values_list("pk", "mail_from")
    }


def _count(mailing_id: int, server_id: int, tally: Counter[str]) -> None:
    numbers = [tally["sent"], tally["hard_bounces"], tally["content_failures"]]
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO delivery_stoptally (mailing_id, server_id, sent, hard_bounces, content_failures)"
            " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (mailing_id, server_id) DO UPDATE SET"
            " sent = delivery_stoptally.sent + %s,"
            " hard_bounces = delivery_stoptally.hard_bounces + %s,"
            " content_failures = delivery_stoptally.content_failures + %s",
            [mailing_id, server_id, *numbers, *numbers],
        )


def _figures(mailing_id: int) -> _Figures:
    sums = StopTally.objects.filter(mailing=mailing_id).aggregate(
        sent=Sum("sent", default=0), hard=Sum("hard_bounces", default=0), content=Sum("content_failures", default=0)
    )
    return _Figures(sums["sent"], sums["hard"], sums["content"])


def stop(mailing_id: int, why: str) -> None:
    """Pause a mailing until a person resumes it, and store why."""
    Mailing.objects.filter(pk=mailing_id, state=Mailing.State.OPEN).update(
        state=Mailing.State.PAUSED, waiting_reason=why[:500], waiting_words=kept(why), waiting_until=None
    )


def _note_incidents(results: Iterable[Result], now: dt.datetime) -> None:
    """Store the incidents that a person should look at: one a day per server and kind."""
    found = {(r.server_id, r.judgement.incident): r for r in results if r.judgement.incident and r.server_id}
    for (server_id, kind), result in sorted(found.items()):
        note_incident(server_id, kind, without_recipient(result.judgement.reason, result.message), now)


def note_incident(server_id: int, kind: str, why: str, now: dt.datetime, *, about: str = "") -> bool:
    """Store an incident of a server, and return whether it is the first of its kind today.

    :param about: what it concerns, if that is less than the whole server.
    """
    key = " ".join(filter(None, (str(server_id), kind, about, f"{now:%Y-%m-%d}")))
    _, is_new = Incident.objects.get_or_create(
        key=key, defaults={"server_id": server_id, "kind": kind, "reason": why[:500], "seen_at": now}
    )
    return is_new
