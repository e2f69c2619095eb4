"""The audience of a campaign: its chosen lists and segments as they are now. The people in it are contacts' subject."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from django.utils.translation import gettext

from campaigns.models import Campaign
from contacts.models import ContactList, Segment
from contacts.segments import query
from contacts.segments.audience import Audience
from contacts.segments.conditions import ConditionsInvalid, Vocabulary, parse
from words.texts import text as _

LISTS = ("consent_lists", "excluded_lists")
SEGMENTS = ("segments", "excluded_segments")
NOBODY: Mapping[str, Any] = {}


def audience_of(campaign: Campaign) -> Audience:
    """Return the audience with the segments' present conditions. Deleted segments are missing from it."""
    return of_choices(campaign.lists.values_list("pk", flat=True), campaign.audience)


def of_choices(lists: Iterable[int], kept: Mapping[str, Sequence[int]]) -> Audience:
    """Return the audience of chosen lists and segments, saved or not. A segment with invalid conditions matches nobody.

    :param kept: ids under the names of ``LISTS`` and ``SEGMENTS``.
    """
    wanted = {pk for name in SEGMENTS for pk in kept.get(name, ())}
    found = dict(Segment.objects.filter(pk__in=wanted).values_list("pk", "conditions")) if wanted else {}
    vocabulary = query.vocabulary() if found else {}
    conditions = {pk: written if _is_valid(written, vocabulary) else NOBODY for pk, written in found.items()}

    def ids(name: str) -> tuple[int, ...]:
        return tuple(dict.fromkeys(kept.get(name, ())))  # What is named twice is one source of people.

    def segments(name: str) -> tuple[Mapping[str, Any], ...]:
        return tuple(conditions[pk] for pk in ids(name) if pk in conditions)

    return Audience(
        lists=tuple(lists),
        consent_lists=ids("consent_lists"),
        segments=segments("segments"),
        excluded_lists=ids("excluded_lists"),
        excluded_segments=segments("excluded_segments"),
    )


def _is_valid(written: Any, vocabulary: Vocabulary) -> bool:
    try:
        parse(written, vocabulary)
    except ConditionsInvalid:
        return False
    return True


def chosen_names(campaign: Campaign, choice: str) -> str:
    """Return the names of the chosen lists or segments, for people."""
    model = ContactList if choice in LISTS else Segment
    names = model._default_manager.filter(pk__in=campaign.audience.get(choice, ())).order_by("name")
    return ", ".join(names.values_list("name", flat=True)) or "–"


def names_of(campaign: Campaign) -> str:
    """Return the names of the lists and segments that a campaign is sent to, for people."""
    segments = Segment.objects.filter(pk__in=campaign.audience.get("segments", ())).order_by("name")
    return ", ".join([*campaign.lists.order_by("name").values_list("name", flat=True), *map(str, segments)]) or "–"


def gone(campaign: Campaign) -> list[str]:
    """Return a sentence for each choice that was deleted, or whose conditions name something that no longer exists.

    Such a campaign must not go out: without an excluded segment, for example, more people would get the mail.
    """
    return [*_gone(campaign), *_invalid(campaign)]


def _gone(campaign: Campaign) -> Iterator[str]:
    what = {
        "segments": _("A chosen segment"),
        "consent_lists": _("A consent list"),
        "excluded_lists": _("An excluded list"),
        "excluded_segments": _("An excluded segment"),
    }
    for name, choice in what.items():
        wanted = set(campaign.audience.get(name, ()))
        model = ContactList if name in LISTS else Segment
        if wanted and model._default_manager.filter(pk__in=wanted).count() < len(wanted):
            yield _("%(choice)s has been deleted. Check the audience and save the campaign.", choice=choice)


def _invalid(campaign: Campaign) -> Iterator[str]:
    wanted = {pk for name in SEGMENTS for pk in campaign.audience.get(name, ())}
    for segment in Segment.objects.filter(pk__in=wanted) if wanted else ():
        try:
            query.check(segment.conditions)
        except ConditionsInvalid as error:
            yield _("The segment “%(segment)s” needs fixing: %(error)s", segment=segment, error=error)


def users_of(segments: Collection[int], lists: Collection[int]) -> list[str]:
    """Return the names of unfinished campaigns that would reach other people if these were deleted.

    A campaign that is being sent counts as well, because consent is checked again before each mail.
    """
    unfinished = Campaign.objects.filter(status__in=Campaign.UNFINISHED)
    sent_to = set(unfinished.filter(lists__in=list(lists)).values_list("pk", flat=True))
    found = []
    for campaign in unfinished.only("name", "audience").order_by("name"):
        kept = {name: set(campaign.audience.get(name, ())) for name in (*LISTS, *SEGMENTS)}
        uses_segment = any(not kept[name].isdisjoint(segments) for name in SEGMENTS)
        uses_list = campaign.pk in sent_to or any(not kept[name].isdisjoint(lists) for name in LISTS)
        if uses_segment or uses_list:
            found.append(gettext("the campaign “%(name)s”") % {"name": campaign})
    return found
