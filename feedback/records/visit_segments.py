"""Segment fields about opens and clicks, and the people of whom nobody knows whether they opened or clicked.

People are known by name only where they agreed to it. So each condition has three outcomes: met, not met and not known.
A person's visits to a campaign are known if they agree now, agreed before the campaign began, and the campaign and the
installation count personally, without a gap since. Only people count; a visit of unknown origin makes the person not
known, unless the condition counts it. So does a link that could be followed unseen, and a visit that isn't judged yet.
"""

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from django.db.models import Case, Exists, IntegerField, Max, OuterRef, Q, QuerySet, Subquery, Value, When
from django.db.models.functions import Coalesce, NullIf
from django.db.models.lookups import Exact

from campaigns.reports.segment_fields import started_campaigns
from campaigns.schedule import mailings
from contacts.consent.tracking import CLICKS, FIELDS, OPENS, YES
from contacts.models import ConsentEvent
from contacts.privacy.retention import months_before
from contacts.segments.comparisons import Moment
from contacts.segments.conditions import Condition, ConditionField, Operator, Parameter
from contacts.segments.query import ConditionKind
from delivery.models import Mailing, Message, TrackedLink, TrackedTarget
from feedback.models import CountingGap, FirstVisit, PendingVisit, Visit
from feedback.records.segment_fields import HEADING
from installation.site import site
from mail.links import levels
from mail.visits.names import Kind, Visitor
from words.texts import text as _

CLICKED, OPENED = "clicked", "opened"
_NOT = "_not"
SINCE, LATEST = "since_not", "latest_not"
_KINDS = {"clicks": Kind.CLICK, "opens": Kind.OPEN}  # By field.
_CONSENTS = {Kind.CLICK: CLICKS, Kind.OPEN: OPENS}

Values = Mapping[str, Any]


# --- the fields -----------------------------------------------------------------------------


def _shared() -> tuple[Parameter, ...]:
    return (
        Parameter(
            "campaign",
            "choice",
            _("the campaign"),
            started_campaigns(),
            is_optional=True,
            empty_words=_("any campaign"),
        ),
        Parameter("days", "days", _("sent in the last days"), is_optional=True),
    )


_LINK = (
    Parameter("label", "text", _("link text contains"), is_optional=True),
    Parameter("url", "text", _("URL contains"), is_optional=True),
)
_COUNTED = Parameter(
    "counted",
    "choice",
    _("whose visits count"),
    ((Visitor.UNKNOWN.value, _("people and unknown")),),
    is_optional=True,
    empty_words=_("people only"),
)


def _click_fields() -> Iterator[ConditionField]:
    some = (*_shared(), *_LINK, _COUNTED)
    day = Parameter("date", "date", _("the day"))
    number = Parameter("number", "count", _("the number of campaigns"))
    yield ConditionField(
        "clicks",
        _("Clicks"),
        HEADING,
        (
            Operator(CLICKED, _("clicked"), some, _clicked_words),
            Operator(CLICKED + _NOT, _("did not click"), some, _clicked_not_words),
            Operator(SINCE, _("has not clicked since"), (day, _COUNTED), _since_words),
            Operator(LATEST, _("clicked none of the latest campaigns:"), (number, _COUNTED), _latest_words),
        ),
    )


def _open_fields() -> Iterator[ConditionField]:
    some = (*_shared(), _COUNTED)
    yield ConditionField(
        "opens",
        _("Opens (estimate)"),
        HEADING,
        (
            Operator(OPENED, _("opened"), some, _opened_words),
            Operator(OPENED + _NOT, _("did not open"), some, _opened_not_words),
        ),
    )


# --- in words -------------------------------------------------------------------------------


def _clicked_words(said: Mapping[str, str]) -> str:
    return _with_counted(_("Clicked %(link)s in %(mail)s", link=_link_words(said), mail=_mail_words(said)), said)


def _clicked_not_words(said: Mapping[str, str]) -> str:
    link, mail = _link_words(said), _mail_words(said)
    return _with_counted(_("Was sent %(mail)s and did not click %(link)s", link=link, mail=mail), said)


def _opened_words(said: Mapping[str, str]) -> str:
    return _with_counted(_("Opened %(mail)s (estimate)", mail=_mail_words(said)), said)


def _opened_not_words(said: Mapping[str, str]) -> str:
    return _with_counted(_("Was sent %(mail)s and did not open it (estimate)", mail=_mail_words(said)), said)


def _since_words(said: Mapping[str, str]) -> str:
    return _with_counted(_("Was sent a campaign since %(day)s and has not clicked since", day=said["date"]), said)


def _latest_words(said: Mapping[str, str]) -> str:
    if said["number"] == "1":
        return _with_counted(_("Was sent a campaign and did not click the latest one"), said)
    words = _("Was sent %(number)s campaigns or more and clicked none of the latest %(number)s", number=said["number"])
    return _with_counted(words, said)


def _link_words(said: Mapping[str, str]) -> str:
    if "label" in said and "url" in said:
        facts = {"label": said["label"], "url": said["url"]}
        return _("a link with the text “%(label)s” to a URL with “%(url)s”", **facts)
    if "label" in said:
        return _("a link with the text “%(label)s”", label=said["label"])
    return _("a link to a URL with “%(url)s”", url=said["url"]) if "url" in said else _("a link")


def _mail_words(said: Mapping[str, str]) -> str:
    mail = _("“%(campaign)s”", campaign=said["campaign"]) if "campaign" in said else _("a campaign")
    if "days" not in said:
        return mail
    if said["days"] == "1":
        return _("%(mail)s of the last day", mail=mail)
    return _("%(mail)s of the last %(days)s days", mail=mail, days=said["days"])


def _with_counted(sentence: str, said: Mapping[str, str]) -> str:
    return _("%(sentence)s, unknown visits included", sentence=sentence) if "counted" in said else sentence


# --- as SQL ---------------------------------------------------------------------------------

# What is known of a message; of a person, the highest number of all messages that are asked about.
_NOTHING, _SILENT, _UNCLEAR, _VISITED = range(4)


def _compile(condition: Condition, moment: Moment) -> Q:
    """Return whether contacts visited, or whether they didn't; NULL where it isn't known."""
    wanted = _SILENT if condition.operator.endswith(_NOT) else _VISITED
    return Q(Exact(NullIf(_outcome(condition, moment), Value(_UNCLEAR)), wanted))


def _outcome(condition: Condition, moment: Moment) -> Coalesce:
    """Return what is known of a contact, in one look at their messages: a number whose order decides.

    Nothing was sent, or all of it is known to be without a visit, or something isn't known, or there was a visit.
    """
    kind, values = _KINDS[condition.field], condition.values
    is_counting = site().tracking == levels.PERSONAL
    links = _links(values) if kind == Kind.CLICK else None
    unseen = _unseen_links(values) if kind == Kind.CLICK else TrackedLink.objects.none()
    is_asked = _is_asked(values, moment, links, unseen)
    messages = _messages(OuterRef("pk"), values)
    if "days" in values:
        messages = messages.filter(changed_at__gte=_since(values, moment))
    if condition.operator == LATEST:
        # One level further out: PostgreSQL asks it once for each person.
        latest = _messages(OuterRef(OuterRef("pk")), values).filter(is_asked).order_by("-pk").values("pk")
        # NULL, which no message reaches, if there are too few.
        messages = messages.filter(pk__gte=Subquery(latest[values["number"] - 1 : values["number"]]))
    visits, asked_visits = _visits(kind, values, moment), _visits(kind, values, moment, links)
    people = asked_visits.filter(visitor=Visitor.HUMAN)
    consents = ConsentEvent.objects.filter(contact=OuterRef(OuterRef("pk")), topic=_CONSENTS[kind]).order_by()
    # Mail is composed before it is accepted, and never before its mailing exists.
    is_agreed = Q(
        mailing__created_at__gt=Subquery(consents.values("contact").annotate(latest=Max("at")).values("latest"))
    )
    may_be_known = Q(**{f"contact__{FIELDS[_CONSENTS[kind]]}": YES}) if is_counting else Q(pk=None)
    known = Case(
        When(~may_be_known, then=Case(When(is_asked, then=_UNCLEAR), default=_NOTHING)),
        # Few messages have a visit, so this is asked first: at all, and then through such a link.
        When(
            Q(Exists(visits)) & Q(Exists(asked_visits)) if _names_link(values) else Q(Exists(visits)),
            then=_VISITED if "counted" in values else Case(When(Exists(people), then=_VISITED), default=_UNCLEAR),
        ),
        When(Exists(_waiting(kind, values, links)), then=_UNCLEAR),
        When(~is_asked, then=_NOTHING),
        When(_is_counted(moment) & is_agreed & ~Q(mailing__in=unseen.values("mailing")), then=_SILENT),
        default=_UNCLEAR,
        output_field=IntegerField(),
    )
    highest = messages.values("contact").annotate(known=Max(known)).values("known")
    return Coalesce(Subquery(highest), _NOTHING)


def _messages(contact: OuterRef, values: Values) -> QuerySet[Message]:
    """Return the messages to a contact of the campaign that a condition names, or of all campaigns."""
    if "campaign" in values:
        about = Q(mailing__in=mailings.mailings_of([values["campaign"]]))
    else:
        about = Q(mailing__stream=Mailing.Stream.CAMPAIGN)
    return Message.objects.filter(about, contact=contact, copy_of=None, redirected_to="").order_by()


def _links(values: Values) -> QuerySet[TrackedLink]:
    """Return the counted links that a condition about clicks is about."""
    links = TrackedLink.objects.filter(is_counted=True).order_by()
    if "label" in values:
        links = links.filter(label__icontains=values["label"])
    if "url" in values:
        links = links.filter(pk__in=TrackedTarget.objects.filter(url__icontains=values["url"]).values("link"))
    return links


def _unseen_links(values: Values) -> QuerySet[TrackedLink]:
    """Return the links that aren't counted and may be meant by a condition. Their URLs may differ by recipient."""
    links = TrackedLink.objects.filter(is_counted=False).order_by()
    return links.filter(label__icontains=values["label"]) if "label" in values else links


def _since(values: Values, moment: Moment) -> dt.datetime | None:
    """Return the time from which campaigns are asked about; None: from the beginning."""
    if "date" in values:
        return moment.start_of(values["date"])
    return moment.now - dt.timedelta(days=values["days"]) if "days" in values else None


def _is_asked(values: Values, moment: Moment, links: QuerySet[TrackedLink] | None, unseen: QuerySet[TrackedLink]) -> Q:
    """Return the condition for messages that ask for a visit: accepted, in time, with such a link."""
    asked = Q(status=Message.Status.ACCEPTED)
    if since := _since(values, moment):
        asked &= Q(changed_at__gte=since)
    if links is not None:  # Where nothing was counted, nobody knows which links there were.
        has_link = Q(mailing__in=links.values("mailing")) | Q(mailing__in=unseen.values("mailing"))
        asked &= Q(mailing__tracking=levels.OFF) | has_link
    return asked


def _names_link(values: Values) -> bool:
    return "label" in values or "url" in values


def _visits(
    kind: Kind, values: Values, moment: Moment, links: QuerySet[TrackedLink] | None = None
) -> "QuerySet[FirstVisit] | QuerySet[Visit]":
    """Return the visits of the outer query's message, by people or of unknown origin, that a condition is about.

    :param links: only visits through these, if the condition names a link.
    """
    visitors = [Visitor.HUMAN, Visitor.UNKNOWN]
    if "date" in values:  # Later clicks count, too, and those in older mail.
        since = _since(values, moment)
        return Visit.objects.filter(message=OuterRef("pk"), at__gte=since, kind=kind, visitor__in=visitors)
    visits = FirstVisit.objects.filter(message=OuterRef("pk"), kind=kind, visitor__in=visitors)
    if links is not None and _names_link(values):
        return visits.filter(link_id__in=_of_outer_message(links))
    return visits.filter(link_id=0)


def _waiting(kind: Kind, values: Values, links: QuerySet[TrackedLink] | None) -> QuerySet[PendingVisit]:
    """Return the visits of the outer query's message that a condition may be about once they are judged."""
    waiting = PendingVisit.objects.filter(message=OuterRef("pk"), is_judged=False)
    if kind == Kind.OPEN:  # A click tells that a person opened what a program loaded.
        return waiting
    waiting = waiting.filter(kind=kind)
    return waiting.filter(link__in=_of_outer_message(links)) if links is not None and _names_link(values) else waiting


def _of_outer_message(links: QuerySet[TrackedLink]) -> QuerySet[TrackedLink, int]:
    """Return the ids of those links that are in the mail of the message around the visits."""
    return links.filter(mailing=OuterRef(OuterRef("mailing"))).values_list("pk", flat=True)


def _is_counted(moment: Moment) -> Q:
    """Return the condition for messages that counted people by name all the time, whose visits aren't deleted yet."""
    gaps = CountingGap.objects.filter(ended_at__gte=OuterRef("mailing__created_at"))
    counted = Q(mailing__tracking=levels.PERSONAL) & ~Q(Exists(gaps))
    if settings.RETAIN_FEEDBACK_MONTHS:
        counted &= Q(changed_at__gte=months_before(moment.now, settings.RETAIN_FEEDBACK_MONTHS))
    return counted


VISIT_KINDS = {
    "clicks": ConditionKind(_click_fields, _compile, is_known=False),
    "opens": ConditionKind(_open_fields, _compile, is_known=False),
}
