"""The worker's errands for the public pages: taking what was entered on forms, and forgetting what is over."""

from celery import shared_task

from delivery import clock, hints
from publicpages.appearance.looks import looks
from publicpages.subscriptions import rate_limit, subscribe


@shared_task
def take_sign_ups() -> None:
    """Subscribe, or write to, those who filled in a form. Beat rings too, so a lost hint delays and loses nothing."""
    organisation = looks().organisation
    while subscribe.take_waiting(organisation, clock.now()) == subscribe.AT_ONCE:
        pass


@shared_task
def forget() -> None:
    """Delete expired sign-ups and old counts."""
    now = clock.now()
    subscribe.forget(now)
    rate_limit.forget(now)


def ring() -> None:
    """Tell a worker that somebody filled in a form. Only a hint: without a broker, beat's ring comes later."""
    hints.ring(take_sign_ups)
