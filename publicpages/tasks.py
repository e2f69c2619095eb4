"""Celery tasks of the public pages: process entries of forms, delete expired ones."""

from celery import shared_task

from delivery import clock, hints
from publicpages.appearance.looks import looks
from publicpages.subscriptions import rate_limit, subscribe


@shared_task
def process_sign_ups() -> None:
    """Process waiting entries of forms. Beat runs it too, so a lost hint delays entries but loses none."""
    organisation = looks().organisation
    while subscribe.process_waiting(organisation, clock.now()) == subscribe.AT_ONCE:
        pass


@shared_task
def delete_expired() -> None:
    """Delete expired sign-ups and old request counts."""
    now = clock.now()
    subscribe.delete_expired(now)
    rate_limit.delete_past_windows(now)


def ring() -> None:
    """Hint to a worker that an entry is waiting. Without a broker the hint is lost, and beat runs the task later."""
    hints.ring(process_sign_ups)
