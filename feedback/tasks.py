"""The Celery tasks of feedback."""

import time

from celery import shared_task

from delivery import clock, hints
from feedback import forwards, relay
from feedback.hooks import receive
from feedback.mailboxes import notices, poll
from feedback.records import raw_reports
from feedback.reports import queue
from feedback.reports.reader import Reader
from feedback.visits import turn
from feedback.visits.spool import spool_folder


@shared_task
def relay_unsubscribes() -> None:
    """Tell custom pages of unsubscribes. Beat runs it again: rung, it would take the turns of all other errands."""
    relay.call_for_a_while(clock.now)


@shared_task
def poll_mailboxes() -> None:
    """Read mailboxes that are due. A copy of the installation that waits for a person reads none."""
    poll.poll_for_a_while(clock.now)
    notices.notice(clock.now())


@shared_task
def forward_mail() -> None:
    """Forward what people wrote to postmaster, abuse and report addresses."""
    forwards.forward(clock.now())


@shared_task
def search_raw_reports() -> None:
    """Delete raw reports that name people who were erased, and redact other texts."""
    ends = time.monotonic() + raw_reports.FOR_A_WHILE
    with Reader() as reader:
        is_more = raw_reports.search(reader, lambda: time.monotonic() > ends)
    if is_more:
        hints.ring(search_raw_reports)


@shared_task
def process_reports() -> None:
    """Read what came in, and give effect to it. Not in a copy that waits for a person: it is read after the release."""
    with Reader() as reader:
        is_more = queue.process_for_a_while(reader, clock.now)
    if is_more:
        hints.ring(process_reports)


@shared_task
def forget_tokens() -> None:
    """Delete the tokens of webhooks that prove nothing any more."""
    receive.forget_tokens(clock.now())


@shared_task
def gather_visits() -> None:
    """Gather and judge opens and clicks. Not in a copy that waits for a person: they are gathered after the release."""
    if turn.take_turn(spool_folder()):
        hints.ring(gather_visits)
