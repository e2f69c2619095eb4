"""Verdicts: the meaning of an answer for message, server, provider and sender, as pure functions.

The rules of :mod:`mail.replies.reply` decide what to do. Here they become times and facts that
:mod:`delivery.outcomes.results` and :mod:`delivery.outcomes.consequences` store. If a reply contradicts itself, as
``550 4.1.1`` or ``450 5.1.1`` do, its code decides whether the message is tried again (RFC 5321 section 4.2: the code
alone is for programs), and it suppresses no address.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mail.replies.reply import Reply, Verdict, classify
from mail.replies.rules import Action, Connections, Repeats, Scope, Stage
from smtpservers.smtp.answer import Answer

LOST_LINE = dt.timedelta(seconds=2)
AT_ONCE = dt.timedelta(0)
AT_ONCE_TRIES = 4  # Attempts with no wait in between. Then the usual backoff starts, so that no endless loop arises.
# A From that is refused three times within an hour, without a known reason, is kept from the server for an hour.
SENDER_REFUSED, SENDER_REFUSED_TIMES = dt.timedelta(hours=1), 3


@dataclass(frozen=True, slots=True)
class Hold:
    """A request to hold one server's mail to one provider."""

    wait: dt.timedelta  # No message starts for this long.
    slow_for: dt.timedelta | None = None  # One message at a time for this long …
    per_minute: int | None = None  # … and at most this many a minute.


@dataclass(frozen=True, slots=True)
class Slowing:
    """A request to throttle a whole server."""

    one_less: bool = False  # One connection less; otherwise half of them.
    one_for: dt.timedelta | None = None  # A single connection for this long.


@dataclass(frozen=True, slots=True)
class SenderRefusal:
    """A refusal of the From by the server."""

    lasts: dt.timedelta | None  # None: until the server is edited.
    times: int = 1  # Refusals needed before it takes effect.


@dataclass(frozen=True, slots=True)
class Judgement:
    """The result to record for one attempt, and the consequences it asks for."""

    outcome: str  # Of the attempt.
    status: str  # Of the message.
    reason: str
    rule: str = ""
    wait: dt.timedelta | None = None  # The backoff before the next try, without jitter; None: no next try.
    is_accepted: bool = False
    holds_unit: bool = False  # The unit of quota is used: the message was accepted, or nobody can know.
    is_answer: bool = False  # The server answered about this very message, so the server is well.
    avoids_server: bool = False  # The message must not go to this server again …
    is_final: bool = False  # … and never will: without another server it fails.
    server_failed: bool = False  # A failure for the server's circuit breaker.
    pauses_server: bool = False  # No message starts through this server …
    server_pause: dt.timedelta | None = None  # … for this long; None: until it is edited.
    pause_awaits_account: bool = False  # It also ends once the server's OAuth account works.
    longest_pause: dt.timedelta | None = None  # Pauses in a row double up to this length.
    is_full: bool = False  # The pause comes from the provider's own quota, and is no failure.
    slowing: Slowing | None = None
    slows_after: Repeats | None = None  # The server closes the connection; repeated this often, it is throttled.
    gives_no_reason: bool = False  # It may be about our account: replies to other messages will tell.
    is_answer_lost: bool = False  # The server has the whole message, and its reply was lost or unreadable.
    learns_limit: bool = False  # The reply shows how many messages one connection may carry.
    hold: Hold | None = None  # For the recipient's provider.
    refusal: SenderRefusal | None = None  # Of the From.
    suppresses: bool = False  # The address is suppressed …
    must_confirm: bool = False  # … but only if DNS confirms it.
    is_soft: bool = False  # A soft bounce: it suppresses the address only together with others …
    suppresses_after: Repeats | None = None  # … such as this many under the same rule.
    is_content: bool = False  # A content failure; many of them stop the mailing.
    pauses_mailing: bool = False
    incident: str = ""  # The kind of incident that a person should look at; empty: none.

    @property
    def is_closing(self) -> bool:
        """Whether the server closes the connection, which says nothing about the message."""
        return self.slows_after is not None


ACCEPTED = Judgement("accepted", "accepted", "", is_accepted=True, holds_unit=True, is_answer=True)


def judge(
    answer: Answer,
    *,
    stream: str,
    attempts: int,
    recipient: str = "",
    back_off: Sequence[dt.timedelta],
    resent_before: bool = False,
) -> Judgement:
    """Judge the answer to one message.

    :param recipient: the recipient's address: a reply that names it differs in meaning from one that names the sender.
    :param attempts: the number of attempts so far, with this one.
    :param back_off: the backoff used if the rule has no delays of its own; its last value repeats.
    :param resent_before: whether a transactional message was already sent again after a lost reply.
    """
    reply = answer.reply
    if reply is None:
        return _judge_silence(answer, stream, resent_before)
    if answer.stage is Stage.DOT and 200 <= reply.code < 300:
        return ACCEPTED
    verdict = classify(answer.stage, reply, recipient)
    text = str(reply)[:600]
    if verdict.action is Action.UNKNOWN:
        unreadable = Answer(answer.stage, None, True, f"it cannot be read ({text})")
        return replace(_judge_silence(unreadable, stream, resent_before), server_failed=True)
    if verdict.rule == "unreadable":
        # Not SMTP, or a reply to another command: nothing that this server says can be trusted.
        reason = f"The server's answer cannot be read: {text}"[:600]
        return Judgement("deferred", "deferred", reason, verdict.rule, LOST_LINE, server_failed=True)
    return _judge_verdict(answer, reply, verdict, text, stream, wait_of(verdict, attempts, back_off))


def _judge_verdict(
    answer: Answer, reply: Reply, verdict: Verdict, text: str, stream: str, later: dt.timedelta
) -> Judgement:
    is_about_message = answer.stage not in (Stage.MAIL, Stage.AUTH) and not answer.is_local
    deferred = Judgement(
        "deferred",
        "deferred",
        text,
        verdict.rule,
        later,
        is_answer=is_about_message,
        gives_no_reason=verdict.gives_no_reason and not answer.is_local,
        incident=verdict.kind if verdict.policy.is_incident else "",
    )
    is_final = 500 <= reply.code < 600
    match verdict.action:
        case Action.SUPPRESS | Action.SOFT | Action.FAIL:
            return _ending(deferred, reply, verdict)
        case Action.RETRY_OTHER if verdict.scope is Scope.SERVER_FROM:
            # The refusal keeps the From from the server, and with it the message. A refusal without a known reason may
            # be about this message's return path, so the message itself avoids the server as well.
            is_known = verdict.policy.until_edited
            refusal = SenderRefusal(None) if is_known else SenderRefusal(SENDER_REFUSED, SENDER_REFUSED_TIMES)
            return replace(deferred, wait=AT_ONCE, avoids_server=not is_known, is_final=is_final, refusal=refusal)
        case Action.RETRY_OTHER:
            return replace(deferred, wait=AT_ONCE, avoids_server=True, is_final=is_final)
        case Action.PAUSE_SERVER:
            return _pausing(replace(deferred, wait=AT_ONCE, is_answer=False), verdict)
        case Action.SLOW:
            return _slowing(deferred, verdict, is_about_recipient=answer.stage in _RECIPIENT_NAMED)
        case Action.PAUSE_DOMAIN:
            hold = Hold(verdict.delays[0])
            if not verdict.policy.other_server:
                return replace(deferred, hold=hold, wait=hold.wait)
            # Not final: without another server the message waits for this one.
            reason = f"The provider takes no more from this server: {text}"[:600]
            return replace(deferred, hold=hold, reason=reason, avoids_server=True, wait=AT_ONCE)
        case Action.PAUSE_CAMPAIGN if stream == "campaign":
            return replace(deferred, pauses_mailing=True)
        case Action.RETRY_SAME if verdict.policy.slows_after is not None:
            return replace(deferred, slows_after=verdict.policy.slows_after, is_answer=False)
        case Action.RETRY_SAME if verdict.scope is Scope.CONNECTION:
            return replace(deferred, learns_limit=True)
        case _:  # retry_same and split: this message is tried later, and nothing else follows.
            return deferred


def _ending(deferred: Judgement, reply: Reply, verdict: Verdict) -> Judgement:
    """Return the judgement of an answer that ends the message: failed or bounced; deferred if it is temporary."""
    if verdict.action is Action.FAIL:
        is_content = verdict.policy.stops_campaign
        return replace(deferred, outcome="failed", status="failed", wait=None, is_content=is_content)
    if 400 <= reply.code < 500:
        return deferred
    bounced = replace(deferred, outcome="bounced", status="bounced", wait=None)
    if verdict.action is Action.SOFT or is_contradictory(reply):
        return replace(bounced, is_soft=True, suppresses_after=verdict.policy.suppresses_after)
    return replace(bounced, suppresses=True, must_confirm=verdict.policy.must_confirm)


_RECIPIENT_NAMED = frozenset({Stage.RCPT, Stage.DATA, Stage.DOT})


def is_contradictory(reply: Reply) -> bool:
    """Whether the enhanced status has another class than the code: ``550 4.1.1`` (RFC 2034 section 4)."""
    return bool(reply.enhanced) and reply.enhanced[0] != str(reply.code)[0]


def wait_of(verdict: Verdict, attempts: int, back_off: Sequence[dt.timedelta]) -> dt.timedelta:
    """Return how long a message waits after its latest attempt: the rule's own delays first, then the longer backoff.

    :param attempts: the number of attempts so far, at least 1.
    """
    own = verdict.delays
    if own == (AT_ONCE,):
        return AT_ONCE if attempts < AT_ONCE_TRIES else back_off[min(attempts - AT_ONCE_TRIES, len(back_off) - 1)]
    waits = (*own, *(wait for wait in back_off if not own or wait > own[-1]))
    return waits[min(attempts, len(waits)) - 1]


def _pausing(judgement: Judgement, verdict: Verdict) -> Judgement:
    """Add the server's pause to the judgement: until it is edited, until a quota is renewed, or doubling."""
    first, longest = (verdict.delays[0], verdict.delays[-1]) if verdict.delays else (None, None)
    is_full = verdict.policy.is_quota
    return replace(judgement, pauses_server=True, server_pause=first, longest_pause=longest, is_full=is_full)


def _slowing(judgement: Judgement, verdict: Verdict, *, is_about_recipient: bool) -> Judgement:
    """Add a throttle to the judgement: on mail to one provider, if the rule names one, or else on the server."""
    policy = verdict.policy
    if is_about_recipient and verdict.scope in (Scope.SERVER_DOMAIN, Scope.FROM_DOMAIN):
        return replace(judgement, hold=Hold(AT_ONCE, policy.slow_for, policy.per_minute))
    if policy.connections is Connections.ONE:
        return replace(judgement, slowing=Slowing(one_for=policy.slow_for))
    return replace(judgement, slowing=Slowing(one_less=policy.connections is Connections.ONE_LESS))


def _judge_silence(answer: Answer, stream: str, resent_before: bool) -> Judgement:
    if not answer.is_dot_written:
        reason = f"The line was lost before the message was handed over: {answer.lost}."
        return Judgement("deferred", "deferred", reason, "lost-line", wait=LOST_LINE, server_failed=True)
    reason = f"Sent in full, the answer was lost: {answer.lost}. It may arrive or not."
    unconfirmed = Judgement("unconfirmed", "unconfirmed", reason, "lost-answer", holds_unit=True, is_answer_lost=True)
    if stream == "single" and not resent_before:
        # One resend, with the same Message-ID, by which receivers recognise the duplicate.
        return replace(unconfirmed, status="deferred", wait=LOST_LINE)
    return unconfirmed


def alone(judgement: Judgement) -> Judgement:
    """Return the judgement without consequences beyond its own message, for a test that a person runs."""
    return Judgement(
        judgement.outcome,
        judgement.status,
        judgement.reason,
        judgement.rule,
        judgement.wait,
        judgement.is_accepted,
        judgement.holds_unit,
        judgement.is_answer,
    )


def judge_connection(
    stage: Stage,
    why: str,
    reply: Reply | None,
    *,
    needs_mending: bool = False,
    awaits_account: bool = False,
    lacks_token: bool = False,
) -> Judgement:
    """Judge a connection that could not be made: the server failed, and the message only waits.

    :param needs_mending: whether only a person can repair it, as with a wrong certificate.
    :param awaits_account: whether it is over once the server's OAuth account works.
    :param lacks_token: whether the OAuth account gave no token, so that nothing was asked of the server.
    """
    if reply is None and needs_mending:
        rule = "no-token" if lacks_token else "tls-cert" if stage is Stage.TLS else "no-session"
        deferred = Judgement("deferred", "deferred", why, rule, AT_ONCE, pauses_server=True)
        return replace(deferred, pause_awaits_account=awaits_account)
    if reply is None:
        rule = "no-token" if lacks_token else "no-connection"
        return Judgement("deferred", "deferred", why, rule, AT_ONCE, server_failed=True)
    verdict = classify(stage, reply)
    deferred = Judgement("deferred", "deferred", f"{why}: {reply}"[:600], verdict.rule, AT_ONCE)
    # A deferred sign-in pauses the server too: further tries would look like guessing the password.
    if verdict.action is Action.PAUSE_SERVER or (stage is Stage.AUTH and verdict.delays):
        return _pausing(deferred, verdict)
    if verdict.action is Action.SLOW:
        return replace(_slowing(deferred, verdict, is_about_recipient=False), server_failed=True)
    return replace(deferred, server_failed=True, slows_after=verdict.policy.slows_after)
