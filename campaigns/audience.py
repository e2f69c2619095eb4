"""Whom a campaign is for: the lists and segments chosen in it, as they are now. Who of them is reached is contacts'."""

from collections.abc import Iterator

from campaigns.models import Campaign
from contacts.models import ContactList, Segment
from contacts.reaching import Audience

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
    """Return a sentence for each choice whose list or segment was deleted: without it others would get the mail."""
    return list(_gone(campaign))


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
