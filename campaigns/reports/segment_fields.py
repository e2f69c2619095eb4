"""The segment field about campaigns."""

from collections.abc import Iterator, Mapping

from django.db.models import Exists, Q

from campaigns.models import Campaign
from campaigns.schedule import mailings as schedule_mailings
from contacts.segments.comparisons import Moment
from contacts.segments.conditions import Condition, ConditionField, Operator, Parameter
from contacts.segments.query import ConditionKind
from delivery.records.segment_fields import HEADING, OUTCOME, WRITTEN_TO, messages_of
from words.texts import text as _


def started_campaigns() -> tuple[tuple[int, str], ...]:
    """Return id and name of the campaigns that have recipients, the newest first."""
    started = Campaign.objects.filter(Q(mailing__isnull=False) | Q(experiment__begun_at__isnull=False))
    return tuple(started.order_by("-starts_at", "-pk").values_list("pk", "name"))


def _fields() -> Iterator[ConditionField]:
    some = Parameter("campaigns", "choices", _("the campaigns"), started_campaigns())
    yield ConditionField(
        "campaign",
        _("Campaign"),
        HEADING,
        (
            Operator("had", _("was sent one of"), (some, OUTCOME), _had_words),
            Operator("had_not", _("was sent none of"), (some,)),
        ),
    )


def _had_words(said: Mapping[str, str]) -> str:
    return _("Was sent one of %(campaigns)s, with one of the outcomes %(outcomes)s", **said)


def _compile(condition: Condition, moment: Moment) -> Q:
    statuses = condition.values["outcomes"] if condition.operator == "had" else WRITTEN_TO
    mailings = schedule_mailings.mailings_of(condition.values["campaigns"])
    found = Q(Exists(messages_of(statuses).filter(mailing__in=mailings)))
    return found if condition.operator == "had" else ~found


CAMPAIGN = ConditionKind(_fields, _compile)
