"""What segments may ask about what people gave back; a new kind of feedback is offered as soon as it is stored."""

import datetime as dt
from collections.abc import Iterator

from django.db.models import Exists, OuterRef, Q

from campaigns import runs
from campaigns.conditions import started_campaigns
from contacts.comparing import Moment
from contacts.segmenting import Kind
from contacts.segments import Condition, Field, Operator, Parameter
from feedback.models import Feedback

HEADING = "Engagement"


def _fields() -> Iterator[Field]:
    kinds = Parameter("kinds", "choices", "the kinds", tuple(Feedback.Kind.choices))
    campaign = Parameter(
        "campaign", "choice", "the campaign", started_campaigns(), is_optional=True, empty_words="any mail"
    )
    days = Parameter("days", "days", "the last days", is_optional=True)
    parameters = (kinds, campaign, days)
    yield Field(
        "feedback",
        "Feedback",
        HEADING,
        (Operator("gave", "gave one of", parameters), Operator("gave_not", "gave none of", parameters)),
    )


def _compile(condition: Condition, moment: Moment) -> Q:
    values = condition.values
    given = Feedback.objects.filter(message__contact=OuterRef("pk"), kind__in=values["kinds"])
    if "campaign" in values:
        given = given.filter(message__mailing__in=runs.mailings_of([values["campaign"]]))
    if "days" in values:
        given = given.filter(received_at__gte=moment.now - dt.timedelta(days=values["days"]))
    found = Q(Exists(given))
    return found if condition.operator == "gave" else ~found


FEEDBACK = Kind(_fields, _compile)
