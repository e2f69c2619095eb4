"""Segment fields about feedback; a new kind of feedback appears by itself."""

import datetime as dt
from collections.abc import Iterator, Mapping

from django.db.models import Exists, OuterRef, Q

from campaigns.reports.segment_fields import started_campaigns
from campaigns.schedule import mailings
from contacts.segments.comparisons import Moment
from contacts.segments.conditions import Condition, ConditionField, Operator, Parameter
from contacts.segments.query import ConditionKind
from feedback.models import Feedback
from words.texts import text as _

HEADING = _("Engagement")


def _fields() -> Iterator[ConditionField]:
    kinds = Parameter(
        "kinds", "choices", _("the kinds"), tuple((kind.value, str(kind.label)) for kind in Feedback.Kind)
    )
    campaign = Parameter(
        "campaign", "choice", _("the campaign"), started_campaigns(), is_optional=True, empty_words=_("any mail")
    )
    days = Parameter("days", "days", _("the last days"), is_optional=True)
    parameters = (kinds, campaign, days)
    yield ConditionField(
        "feedback",
        _("Feedback"),
        HEADING,
        (
            Operator("gave", _("gave one of"), parameters, _gave_words),
            Operator("gave_not", _("gave none of"), parameters, _gave_not_words),
        ),
    )


def _gave_words(said: Mapping[str, str]) -> str:
    return _("Gave one of %(kinds)s for %(mail)s", mail=_mail_words(said), kinds=said["kinds"])


def _gave_not_words(said: Mapping[str, str]) -> str:
    return _("Gave none of %(kinds)s for %(mail)s", mail=_mail_words(said), kinds=said["kinds"])


def _mail_words(said: Mapping[str, str]) -> str:
    mail = _("“%(campaign)s”", campaign=said["campaign"]) if "campaign" in said else _("any mail")
    if "days" not in said:
        return mail
    if said["days"] == "1":
        return _("%(mail)s in the last day", mail=mail)
    return _("%(mail)s in the last %(days)s days", mail=mail, days=said["days"])


def _compile(condition: Condition, moment: Moment) -> Q:
    values = condition.values
    given = Feedback.objects.filter(message__contact=OuterRef("pk"), kind__in=values["kinds"], undone_at=None)
    if "campaign" in values:
        given = given.filter(message__mailing__in=mailings.mailings_of([values["campaign"]]))
    if "days" in values:
        given = given.filter(received_at__gte=moment.now - dt.timedelta(days=values["days"]))
    found = Q(Exists(given))
    return found if condition.operator == "gave" else ~found


FEEDBACK = ConditionKind(_fields, _compile)
