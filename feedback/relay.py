"""The relay of unsubscribes: tells a server's own page of each unsubscribe that the built-in page recorded.

The row is written with the unsubscribe, and a worker calls the page until it takes the call or days have passed. A
worker that dies after a call leaves the row due, so a page may be called twice, and never forgotten.
"""

import asyncio
import datetime as dt
import logging
import ssl
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from django.conf import settings
from django.db.models import Count, F, Min, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Coalesce

from delivery import clock
from delivery.content import tokens
from delivery.content.composer import custom_unsubscribe_url
from delivery.models import Incident, Message
from delivery.records.erasure import address_of, is_anonymous
from feedback.models import Feedback, RelayedUnsubscribe
from smtpservers import one_click
from smtpservers.models import SmtpServer
from smtpservers.one_click import PageAnswer

log = logging.getLogger(__name__)

SECONDS = 10.0  # For one call.
FOR_A_WHILE = 4.0  # Seconds. With the last calls it is shorter than beat's interval, so that two never run at once.
AT_ONCE = 10  # Calls to one page.
SERVERS_TOLD = 10  # In the warning about calls that failed.
CLAIMED_FOR = dt.timedelta(minutes=1)  # After this a call without a result is made again.
TRIED_FOR = dt.timedelta(days=3)  # At least, from the first call on.
NO_PAGE = "The server, its page or the message was deleted, so nobody can be told."

State = RelayedUnsubscribe.State


def tell(message: Message, feedback: Feedback, now: dt.datetime) -> None:
    """Have the page of the message's server told of an unsubscribe, if that server relays them."""
    server = message.server or message.mailing.server
    if server is not None and server.relays_unsubscribes:
        fresh = {"due_at": now, "state": State.WAITING, "attempts": 0, "first_called_at": None, "answer": ""}
        RelayedUnsubscribe.objects.update_or_create(feedback=feedback, defaults={"server": server, **fresh})


def forget(message: Message) -> None:
    """Forget the calls that were not made yet, because the person took the unsubscribe back."""
    RelayedUnsubscribe.objects.filter(feedback__message=message, state=State.WAITING).delete()


def call_for_a_while(read_clock: Callable[[], dt.datetime], seconds: float = FOR_A_WHILE) -> None:
    """Call pages that are due, as long as they take the calls and the time is not over."""
    end = clock.steady() + seconds
    while clock.steady() < end and call_due(read_clock):
        pass


def try_again(feedback_ids: Collection[int], now: dt.datetime) -> list[Feedback]:
    """Have given-up calls made again, for days as at first, and return the feedback of those that can be."""
    given_up = _with_message(RelayedUnsubscribe.objects.filter(state=State.GIVEN_UP, feedback__undone_at=None))
    found = {call.pk: call.feedback for call in given_up.filter(feedback__in=feedback_ids) if url_of(call)}
    fresh = {"due_at": now, "state": State.WAITING, "attempts": 0, "first_called_at": None}
    return [
        feedback
        for pk, feedback in found.items()
        if RelayedUnsubscribe.objects.filter(pk=pk, state=State.GIVEN_UP).update(**fresh)
    ]


def troubles(now: dt.datetime, server: SmtpServer | None = None) -> Sequence[Mapping[str, object]]:
    """Return the servers whose page did not take calls: how many wait, how many were given up lately, the last answer.

    :param server: this server alone; None: the first ones by name.
    """
    waiting, given_up = Q(state=State.WAITING), Q(state=State.GIVEN_UP)
    failed = Q(waiting, due_at__isnull=False) & ~Q(answer="") | Q(given_up, called_at__gt=now - Incident.SHOWN_FOR)
    calls = RelayedUnsubscribe.objects.filter(failed, **({"server": server} if server else {"server__isnull": False}))
    latest = RelayedUnsubscribe.objects.filter(failed, server=OuterRef("server")).order_by("-called_at")
    return list(
        calls.order_by("server__name", "server")
        .values("server", "server__name")
        .annotate(
            waiting=Count("pk", filter=waiting),
            given_up=Count("pk", filter=given_up),
            due_at=Min("due_at"),
            answer=Subquery(latest.values("answer")[:1]),
        )[:SERVERS_TOLD]
    )


def call_due(
    read_clock: Callable[[], dt.datetime], context: ssl.SSLContext | None = None, seconds: float = SECONDS
) -> int:
    """Call the pages that are due, at most ten times each, and return how many calls were taken.

    :param context: the TLS context; None: the default checks.
    """
    now = read_clock()
    claimed = [call for call in _due(now) if _claim(call, now)]
    urls = [url_of(call) for call in claimed]
    answers = asyncio.run(_call_all(urls, context or ssl.create_default_context(), seconds)) if urls else []
    for call, answer in zip(claimed, answers, strict=True):
        _record(call, answer, read_clock())
    return sum(answer.is_taken for answer in answers)


def _due(now: dt.datetime) -> Iterator[RelayedUnsubscribe]:
    """Yield the calls that are due longest, for each server: a silent page must not hold up the others."""
    due = RelayedUnsubscribe.objects.filter(due_at__lte=now)
    for server_id in due.order_by().values_list("server", flat=True).distinct():
        yield from _with_message(due).filter(server=server_id).order_by("due_at", "pk")[:AT_ONCE]


def _with_message(calls: QuerySet[RelayedUnsubscribe]) -> QuerySet[RelayedUnsubscribe]:
    return calls.select_related("server", "feedback__message__mailing", "feedback__message__contact")


def _claim(call: RelayedUnsubscribe, now: dt.datetime) -> bool:
    """Take a call for this worker; False if another one was first."""
    until = now + CLAIMED_FOR
    is_ours = RelayedUnsubscribe.objects.filter(pk=call.pk, due_at=call.due_at).update(
        due_at=until, attempts=F("attempts") + 1, first_called_at=Coalesce("first_called_at", now)
    )
    call.due_at, call.attempts, call.first_called_at = until, call.attempts + 1, call.first_called_at or now
    return bool(is_ours)


async def _call_all(urls: Sequence[str], context: ssl.SSLContext, seconds: float) -> list[PageAnswer]:
    return await asyncio.gather(*(_call(url, context, seconds) for url in urls))


async def _call(url: str, context: ssl.SSLContext, seconds: float) -> PageAnswer:
    if not url:
        return PageAnswer(NO_PAGE, False)
    try:
        return await one_click.click(url, context=context, seconds=seconds)
    except Exception as error:  # The answers of the others must not be lost with it.
        log.warning("an unsubscribe page could not be called: %s", type(error).__name__)
        return PageAnswer("It could not be called; the log says why.", False)


def url_of(call: RelayedUnsubscribe) -> str:
    """Return the address to call, by the server's settings of now; empty if there is none."""
    message, server = call.feedback.message, call.server
    if message is None or server is None or not server.has_unsubscribe_page:
        return ""
    if message.contact is None and is_anonymous(message):  # Their details went with time.
        return ""
    list_id = message.mailing.lists.order_by("pk").values_list("pk", flat=True).first()
    built_in, email = tokens.unsubscribe_url(message.pk), address_of(message)
    return custom_unsubscribe_url(server.unsubscribe_url, built_in, email, message.mailing, list_id)


def _record(call: RelayedUnsubscribe, answer: PageAnswer, now: dt.datetime) -> None:
    assert call.first_called_at is not None
    sentence = answer.sentence[:300]
    state, due_at = State.PASSED_ON, None
    if not answer.is_taken:
        waits = settings.RETRY_WAITS
        is_over = now - call.first_called_at >= TRIED_FOR
        state = State.GIVEN_UP if is_over else State.WAITING
        due_at = None if is_over else now + waits[min(call.attempts, len(waits)) - 1]
    ours = RelayedUnsubscribe.objects.filter(pk=call.pk, due_at=call.due_at)
    if not ours.update(state=state, due_at=due_at, called_at=now, answer=sentence) or call.server is None:
        return  # Taken back or erased meanwhile, or called by another worker after us.
    if answer.is_taken:  # The server's form shows it beside the address; failed calls are in :func:`troubles`.
        SmtpServer.objects.filter(pk=call.server.pk, unsubscribe_url=call.server.unsubscribe_url).update(
            unsubscribe_probed_at=now, unsubscribe_problem=""
        )
    if state == State.GIVEN_UP:
        _note_incident(call.server, sentence, now)


def _note_incident(server: SmtpServer, sentence: str, now: dt.datetime) -> None:
    """Have a person look at it, once a day."""
    why = (
        f"The unsubscribe page could not be told of an unsubscribe within {TRIED_FOR.days} days: {sentence} Whoever"
        " unsubscribed gets no more mail from here. Feedback shows who it was, and can try again."
    )
    Incident.objects.get_or_create(
        key=f"{server.pk} unsubscribe-page {now:%Y-%m-%d}",
        defaults={"server": server, "kind": "unsubscribe-page", "reason": why[:500], "seen_at": now},
    )
