"""Whom a campaign is for: the lists and segments chosen in it, as they are now. Who of them is reached is contacts'."""

from collections.abc import Collection, Iterator

from campaigns.models import Campaign
from contacts import segmenting
from contacts.models import ContactList, Segment
from contacts.reaching import Audience
from contacts.segments import ConditionsInvalid

LISTS = ("consent_lists", "excluded_lists")
SEGMENTS = ("segments", "excluded_segments")


def audience_of(campaign: Campaign) -> Audience:
    """Return the audience with the segments' conditions as they are now; what was deleted is not in it."""
    kept = campaign.audience
    wanted = {pk for name in SEGMENTS for pk in kept.get(name, ())}
    conditions = dict(Segment.objects.filter(pk__in=wanted).values_list("pk", "conditions")) if wanted else {}
    segments = {name: tuple(conditions[pk] for pk in kept.get(name, ()) if pk in conditions) for name in SEGMENTS}
    lists = {name: tuple(kept.get(name, ())) for name in LISTS}
    return Audience(lists=tuple(campaign.lists.values_list("pk", flat=True)), **lists, **segments)


def gone(campaign: Campaign) -> list[str]:
    """Return a sentence for each choice that means something else now: deleted, or asking for what is no more.

    Without an excluded segment, for example, others would get the mail.
    """
    return [*_gone(campaign), *_invalid(campaign)]


def _gone(campaign: Campaign) -> Iterator[str]:
    what = {
        "segments": "A segment that was chosen",
        "consent_lists": "A list whose consent was to count",
        "excluded_lists": "A list that was to be excluded",
        "excluded_segments": "A segment that was to be excluded",
    }
    for name, choice in what.items():
        wanted = set(campaign.audience.get(name, ()))
        model = ContactList if name in LISTS else Segment
        if wanted and model._default_manager.filter(pk__in=wanted).count() < len(wanted):
            yield f"{choice} has been deleted. Look at the audience again and save it."


def _invalid(campaign: Campaign) -> Iterator[str]:
    wanted = {pk for name in SEGMENTS for pk in campaign.audience.get(name, ())}
    for segment in Segment.objects.filter(pk__in=wanted) if wanted else ():
        try:
            segmenting.check(segment.conditions)
        except ConditionsInvalid as error:
            yield f"The segment “{segment}” must be looked at again: {error}"


def users_of(segments: Collection[int], lists: Collection[int]) -> list[str]:
    """Return the campaigns to come whose audience would be another if these were deleted; their names, for people."""
    to_come = Campaign.objects.filter(status__in=[Campaign.Status.DRAFT, Campaign.Status.SCHEDULED])
    found = []
    for campaign in to_come.exclude(audience={}):
        kept = {name: set(campaign.audience.get(name, ())) for name in (*LISTS, *SEGMENTS)}
        uses_segment = any(not kept[name].isdisjoint(segments) for name in SEGMENTS)
        if uses_segment or any(not kept[name].isdisjoint(lists) for name in LISTS):
            found.append(f"the campaign “{campaign}”")
    return found
