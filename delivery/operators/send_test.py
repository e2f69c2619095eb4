"""Send test: sends one message at once while a person watches every step, and records it like any other message."""

import asyncio
import datetime as dt
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from django.conf import settings
from django.db import transaction

from contacts.models import ContactList
from delivery import identity
from delivery.content.composer import Composed, composer_for
from delivery.content.signatures import SignatureMissing, Signatures
from delivery.models import Mailing, Message
from delivery.operators import return_path_check, signature_check
from delivery.operators.send_test_words import TEST_WORDS
from delivery.outbox import claims as outbox_claims
from delivery.outbox import leases, mailings
from delivery.outbox.claims import Claim
from delivery.outbox.plan import LaneShare
from delivery.outcomes import recovery, results
from delivery.outcomes.journal import Journal
from delivery.outcomes.result import Result
from delivery.outcomes.verdicts import Judgement, alone, judge, judge_connection
from encryption.keys import SecretUnreadable
from installation.site import site
from mail.addresses import check_address, fold
from mail.merge_fields import inert
from mail.message.footers import known_language
from mail.replies.reply import Reply
from mail.replies.rules import Stage
from smtpservers.limits.reservations import why_not
from smtpservers.models import SmtpServer
from smtpservers.smtp.answer import Answer
from smtpservers.smtp.connection import ConnectionFailed, connect
from smtpservers.smtp.conversation import Step
from smtpservers.smtp.diagnostics import explain, offers_sign_in
from smtpservers.smtp.endpoint import Endpoint, endpoint_of
from words.texts import joined, text_of
from words.texts import text as _

WATCH_SECONDS = 0.5
T = TypeVar("T")
LEASE_SECONDS = 1800.0  # Enough for the longest timeout at each step, and for the final answer.


class SendTestRefused(Exception):
    """The test cannot start. The text says why, and what to do."""

    __test__ = False  # Not a test case of pytest.


@dataclass(frozen=True, slots=True)
class Content:
    """The content of a test: a campaign's content in place of the built-in words."""

    name: str
    subject: str
    html: str
    text: str
    files: Iterable[Mapping[str, str]] = ()
    mail_from: str = ""
    reply_to: str = ""
    is_tagged: bool = True
    sends_copies: bool = True
    utm: Mapping[str, str] = field(default_factory=dict)
    lists: Iterable[ContactList] = ()
    slug: str = ""
    reference: str = ""
    # The organisation as it was when the content was frozen; None and empty: as it is now.
    organisation: str | None = None
    postal_address: str | None = None
    site_language: str = ""


@dataclass(frozen=True, slots=True)
class ShownStep:
    """A step of the conversation, with an explanation if it failed."""

    step: Step
    explanation: str


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a test."""

    message_pk: int
    steps: Sequence[Step]
    is_sent: bool  # Whether the final dot is written, or about to be.


Watch = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Conversation:
    """The result of a test: the steps, and the message's status and reason."""

    steps: tuple[ShownStep, ...]
    status: str  # The message's: accepted, bounced, failed, unconfirmed …
    reason: str
    message_id: str  # The Message-ID header.
    message_pk: int
    server_name: str
    recipient: str

    @property
    def is_accepted(self) -> bool:
        return self.status == "accepted"


def send_test(
    *,
    server_id: int,
    recipient: str,
    actor: Any,
    now: dt.datetime,
    content: Content | None = None,
    mailing: Mailing | None = None,
    merge: Mapping[str, Any] | None = None,
    with_copies: bool = True,
    watch: Watch | None = None,
) -> Conversation:
    """Send one test message at once, even through an inactive server, and return the conversation.

    The message counts in the quota and is recorded. Its unsubscribe token is inert. Since a person waits, the final
    answer may take no longer than the timeout, whereas other mail waits for minutes.

    :param content: a campaign's content; None sends a few words in the server's language.
    :param mailing: the content, if :func:`open_test` made a mailing of it before.
    :param merge: the values that fill the merge fields; None: those of a reader without a name.
    :param with_copies: whether the server's CC and BCC addresses get the test too; ``mailing`` has its own answer.
    :param watch: called from time to time with the progress, in this thread.
    :raises SendTestRefused: if this database is held as a copy, no quota is left, or the recipient or the content
        cannot be used.
    """
    server = SmtpServer.objects.get(pk=server_id)
    if because := identity.why_held(now):
        raise SendTestRefused(joined([because, _("Nothing is sent before an administrator lets it go on.")]))
    try:
        recipient = check_address(recipient)
        endpoint = endpoint_of(server, final_timeout=0, clock=lambda: now)
    except (ValueError, SecretUnreadable) as error:
        raise SendTestRefused(text_of(error)) from error
    content = content or _words(server)
    content = replace(content, sends_copies=content.sends_copies and with_copies)
    lease = leases.acquire_extra(server.pk, LEASE_SECONDS)
    journal = Journal(recovery.journal_folder(), lease.token)
    try:
        claim, mailing, composed = _put_on_record(server, lease, recipient, actor, now, mailing or content, merge)
        steps: list[Step] = []
        dots: list[int] = []
        before_dot = partial(_before_dot, journal, claim, dots)
        talk = _talk(endpoint, composed, steps, before_dot, mailing.stream)
        progress = partial(_progress, claim.message.pk, steps, dots)
        answer, judgement, stage, reply, learned = _watched(talk, progress, watch) if watch else asyncio.run(talk)
        if answer is not None:
            SmtpServer.objects.filter(pk=server.pk).update(**learned)
            journal.answer(claim.attempt_id, answer.stage, answer.reply, answer.lost)
        result = Result(
            claim.attempt_id,
            claim.message,
            mailing.pk,
            mailing.stream,
            server.pk,
            claim.period_id,
            now,
            _final(judgement),
            stage.value,
            reply,
        )
        results.record(lease.token, [result], now)
        journal.discard()
    finally:
        journal.close()
        leases.release(lease)
    message = Message.objects.get(pk=claim.message.pk)
    if message.status == Message.Status.ACCEPTED:
        SmtpServer.objects.filter(pk=server.pk, tested_at=None).update(tested_at=now)
        steps += signature_check.check(server, message.message_id)
        steps += return_path_check.check(server)
    else:
        is_lost = message.status == Message.Status.UNCONFIRMED  # Then no step is known to have failed.
        failed = "" if is_lost else next((step.name for step in steps if not step.is_ok), "")
        SmtpServer.objects.filter(pk=server.pk).update(test_failed_at=now, test_failed_step=failed)
    offered = offers_sign_in(steps)
    shown = tuple(ShownStep(step, explain(step, endpoint, offers_sign_in=offered)) for step in steps)
    return Conversation(shown, message.status, message.reason, message.message_id, message.pk, server.name, recipient)


def _words(server: SmtpServer) -> Content:
    subject, text = TEST_WORDS[known_language(server.language, site().language)]
    name = inert(server.name)
    return Content(
        name=f"Test of {server.name}", subject=subject.format(server=name), html="", text=text.format(server=name)
    )


def open_test(server: SmtpServer, content: Content, actor: Any) -> Mailing:
    """Make a mailing of the content of a test. Nothing is sent before :func:`send_test` gives it a recipient."""
    return mailings.open_mailing(
        stream=Mailing.Stream.TEST,
        name=f"Test: {content.name}"[:200] if content.html else content.name[:200],
        subject=content.subject,
        html=content.html,
        text=content.text,
        files=content.files,
        organisation=content.organisation,
        postal_address=content.postal_address,
        site_language=content.site_language,
        mail_from=content.mail_from,
        reply_to=content.reply_to,
        is_tagged=content.is_tagged,
        sends_copies=content.sends_copies,
        utm=content.utm,
        lists=content.lists,
        slug=content.slug,
        reference=content.reference,
        created_by=actor,
        server=server,
    )


def _put_on_record(
    server: SmtpServer,
    lease: leases.Lease,
    recipient: str,
    actor: Any,
    now: dt.datetime,
    content: Content | Mailing,
    merge: Mapping[str, Any] | None,
) -> tuple[Claim, Mailing, Composed]:
    with transaction.atomic():
        mailing = open_test(server, content, actor) if isinstance(content, Content) else content
        mailings.address(mailing, email=recipient, email_key=fold(recipient), now=now, merge=merge)
        share = LaneShare(mailing.pk, f"{server.name} was chosen by hand.", mailing.stream)
        claims = outbox_claims.claim(lease.token, server, share, 1, now)
        if not claims:
            raise SendTestRefused(why_not(server, now))
        try:
            sign = Signatures().signer_for(mailing, server)
            composed = composer_for(mailing, server).compose(claims[0].message, now)
            if sign is not None:
                composed.content = sign(composed.content) + composed.content
        except (ValueError, SignatureMissing) as error:
            raise SendTestRefused(text_of(error)) from error
    return claims[0], mailing, composed


def _before_dot(journal: Journal, claim: Claim, dots: list[int]) -> bool:
    journal.dot(claim.attempt_id)
    dots.append(claim.attempt_id)
    return True


def _progress(message_pk: int, steps: list[Step], dots: list[int]) -> Progress:
    return Progress(message_pk, tuple(steps), bool(dots))


def _watched(talk: Coroutine[Any, Any, T], progress: Callable[[], Progress], watch: Watch) -> T:
    """Run ``talk`` in another thread and report its progress from this one: ``watch`` may write to the database."""
    with ThreadPoolExecutor(1) as pool:
        conversation = pool.submit(asyncio.run, talk)
        while not wait([conversation], WATCH_SECONDS).done:
            watch(progress())
        return conversation.result()


async def _talk(
    endpoint: Endpoint, composed: Composed, steps: list[Step], before_dot: Any, stream: str
) -> tuple[Answer | None, Judgement, Stage, Reply | None, dict[str, Any]]:
    """Return answer, judgement, stage and reply, and the values learned about the server, by field."""
    try:
        connection = await connect(endpoint, steps.append)
    except ConnectionFailed as error:
        judgement = judge_connection(
            error.stage,
            text_of(error),
            error.reply,
            needs_mending=error.needs_mending,
            awaits_account=error.awaits_account,
            lacks_token=error.lacks_token,
        )
        return None, judgement, error.stage, error.reply, {}
    answer = await connection.send(
        composed.envelope_from,
        composed.rcpt_to,
        composed.content,
        before_dot=before_dot,
        smtputf8=composed.is_smtputf8,
    )
    learned = connection.learned
    await connection.quit()
    return (
        answer,
        judge(answer, stream=stream, attempts=1, recipient=composed.rcpt_to, back_off=settings.RETRY_WAITS),
        answer.stage,
        answer.reply,
        learned,
    )


def _final(judgement: Judgement) -> Judgement:
    """Return the judgement of a test's only try: deferred means failed, and the server is never paused."""
    is_deferred = judgement.status == "deferred"
    return replace(
        alone(judgement),
        outcome="failed" if is_deferred else judgement.outcome,
        status="failed" if is_deferred else judgement.status,
        wait=None,
    )
