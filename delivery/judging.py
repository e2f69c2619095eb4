"""What an answer means for a message, its server and its quota: values in, values out."""

import datetime as dt
from dataclasses import dataclass

from mail.replies import Action, Reply, Stage, classify
from smtpservers.transport import Answer

# After a deferral that names no wait of its own (RFC 5321 section 4.5.4.1 asks for patience).
BACK_OFF = tuple(dt.timedelta(minutes=minutes) for minutes in (15, 30, 60, 120, 240))
LOST_LINE = dt.timedelta(seconds=2)
SOFT_WAIT = dt.timedelta(hours=4)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What to write down about one attempt."""

    outcome: str  # Of the attempt.
    status: str  # Of the message.
    reason: str
    rule: str = ""
    wait: dt.timedelta | None = None  # Until the next try, before jitter; None: no next try.
    avoids_server: bool = False  # This server will not take this very message.
    server_failed: bool = False  # Counts against the server's breaker.
    server_pause: dt.timedelta | None = None  # The server rests that long …
    pauses_server: bool = False  # … or, without a time, until it is edited.
    suppresses: bool = False  # The address is never written to again.
    pauses_mailing: bool = False
    is_accepted: bool = False
    holds_unit: bool = False  # The unit of quota is used: accepted, or nobody can know.


def judge(answer: Answer, *, stream: str, attempts: int, resent_before: bool = False) -> Judgement:
    """Judge what became of one message.

    :param attempts: how many attempts were made, this one included.
    :param resent_before: whether a transactional message was already sent again after a lost answer.
    """
    if answer.reply is None:
        return _judge_silence(answer, stream, resent_before)
    code = answer.reply.code
    if answer.stage is Stage.DOT and 200 <= code < 300:
        return Judgement("accepted", "accepted", "", is_accepted=True, holds_unit=True)
    text = str(answer.reply)[:600]
    verdict = classify(answer.stage, answer.reply)
    waits = verdict.delays
    later = waits[min(attempts, len(waits)) - 1] if waits else BACK_OFF[min(attempts, len(BACK_OFF)) - 1]
    is_temporary = 400 <= code < 500
    match verdict.action:
        case Action.SUPPRESS:
            return Judgement("bounced", "bounced", text, verdict.rule, suppresses=True)
        case Action.SOFT if is_temporary:
            return Judgement("deferred", "deferred", text, verdict.rule, wait=SOFT_WAIT)
        case Action.SOFT:
            return Judgement("bounced", "bounced", text, verdict.rule)
        case Action.FAIL:
            return Judgement("failed", "failed", text, verdict.rule)
        case Action.RETRY_OTHER:
            return Judgement("deferred", "deferred", text, verdict.rule, wait=dt.timedelta(0), avoids_server=True)
        case Action.PAUSE_SERVER:
            pause = waits[0] if waits else None
            zero = dt.timedelta(0)
            return Judgement("deferred", "deferred", text, verdict.rule, zero, server_pause=pause, pauses_server=True)
        case Action.SLOW:
            return Judgement(
                "deferred",
                "deferred",
                text,
                verdict.rule,
                later,
                server_pause=min(later, dt.timedelta(minutes=10)),
                pauses_server=verdict.scope == "server",
            )
        case Action.PAUSE_CAMPAIGN:
            return Judgement("deferred", "deferred", text, verdict.rule, wait=later, pauses_mailing=True)
        case Action.UNKNOWN:
            return _judge_silence(
                Answer(answer.stage, None, True, f"it cannot be read ({text})"), stream, resent_before
            )
        case _:  # retry_same, pause_domain, split: this message later, the server is well.
            return Judgement("deferred", "deferred", text, verdict.rule, wait=later)


def _judge_silence(answer: Answer, stream: str, resent_before: bool) -> Judgement:
    if not answer.is_dot_written:
        reason = f"The line was lost before the message was handed over: {answer.lost}."
        return Judgement("deferred", "deferred", reason, "lost-line", wait=LOST_LINE, server_failed=True)
    reason = f"Sent in full, the answer was lost: {answer.lost}. It may arrive or not."
    if stream == "single" and not resent_before:
        # Once more with the same Message-ID, so that receivers can tell.
        return Judgement("unconfirmed", "deferred", reason, "lost-answer", wait=LOST_LINE, holds_unit=True)
    return Judgement("unconfirmed", "unconfirmed", reason, "lost-answer", holds_unit=True)


def judge_connection(stage: Stage, why: str, reply: Reply | None) -> Judgement:
    """Judge a connection that could not be made: the server is at fault, the message only waits."""
    reason = why
    if reply is not None:
        reason = f"{why}: {reply}"[:600]
        verdict = classify(stage, reply)
        if verdict.action is Action.PAUSE_SERVER:
            waits = verdict.delays
            return Judgement(
                "deferred",
                "deferred",
                reason,
                verdict.rule,
                dt.timedelta(0),
                server_pause=waits[0] if waits else None,
                pauses_server=True,
            )
    elif (stage is Stage.TLS and "handshake failed" in why) or (stage is Stage.AUTH and "no sign-in" in why):
        # A wrong certificate or a missing mechanism does not mend itself within minutes.
        return Judgement("deferred", "deferred", reason, "tls-cert", dt.timedelta(0), pauses_server=True)
    return Judgement("deferred", "deferred", reason, "no-connection", dt.timedelta(0), server_failed=True)
