"""Segment fields about the mail that a person was sent."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping

from django.db.models import Exists, OuterRef, Q, QuerySet

from contacts.segments.comparisons import Moment
from contacts.segments.conditions import Condition, ConditionField, Operator, Parameter
from contacts.segments.query import ConditionKind
from delivery.models import Mailing, Message
from words.texts import text as _

HEADING = _("Mail")
STREAMS = (Mailing.Stream.CAMPAIGN, Mailing.Stream.SINGLE)
# Pending messages have no outcome yet.
OUTCOMES = tuple((value, _(str(label))) for value, label in Message.Status.choices if value not in Message.PENDING)
WRITTEN_TO = (Message.Status.ACCEPTED, Message.Status.UNCONFIRMED)

_DAYS = Parameter("days", "days", _("the number of days"))
OUTCOME = Parameter("outcomes", "choices", _("the outcomes"), OUTCOMES)


def messages_of(statuses: Iterable[str]) -> QuerySet[Message]:
    """Return the messages to the outer query's contact with one of these statuses, without copies."""
    return Message.objects.filter(contact=OuterRef("pk"), copy_of=None, status__in=list(statuses))


def _fields() -> Iterator[ConditionField]:
    yield ConditionField(
        "mail",
        _("Any mail"),
        HEADING,
        (
            Operator("had", _("was sent in the last days:"), (_DAYS, OUTCOME), _had_words),
            Operator("had_not", _("was not sent in the last days:"), (_DAYS,), _had_not_words),
        ),
    )


def _had_words(said: Mapping[str, str]) -> str:
    words = _("Was sent mail in the last %(days)s days, with one of the outcomes %(outcomes)s", **said)
    return (
        _("Was sent mail in the last day, with one of the outcomes %(outcomes)s", **said)
        if said["days"] == "1"
        else words
    )


def _had_not_words(said: Mapping[str, str]) -> str:
    words = _("Was sent no mail in the last %(days)s days", **said)
    return _("Was sent no mail in the last day") if said["days"] == "1" else words


def _compile(condition: Condition, moment: Moment) -> Q:
    since = moment.now - dt.timedelta(days=condition.values["days"])
    statuses = condition.values["outcomes"] if condition.operator == "had" else WRITTEN_TO
    lately = messages_of(statuses).filter(changed_at__gte=since, mailing__stream__in=STREAMS)
    found = Q(Exists(lately))
    return found if condition.operator == "had" else ~found


MAIL = ConditionKind(_fields, _compile)
