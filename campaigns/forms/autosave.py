"""A draft while it is being written: saved as somebody types, by several people at once, and nobody's words lost.

What a window sends is the fields it changed, each with what stood there before. A field that still reads so is
changed; one that somebody else has changed meanwhile is a conflict, told to the window and left as it is.
"""

import datetime as dt
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction

from campaigns.forms.content import Values, WritingForm, posted, same, values_of
from campaigns.markup.starter_templates import Starter
from campaigns.models import Campaign, Layout, Writing

SIGN_OF_LIFE = dt.timedelta(seconds=45)  # Windows tell of themselves every fifteen.
FORGOTTEN = dt.timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Change:
    """What a window wants in a field, and what it read there before."""

    was: list[str]
    now: list[str]


@dataclass(slots=True)
class Saved:
    """What became of the changes."""

    version: int
    obstacle: str = ""  # Why nothing can be saved any more; a sentence.
    saved: list[str] = field(default_factory=list)  # Fields.
    errors: dict[str, str] = field(default_factory=dict)  # By field: why it is not saved yet.
    conflicts: Values = field(default_factory=dict)  # By field: what somebody else wrote.
    fresh: Values = field(default_factory=dict)  # Every field as it is stored, where the window knows an older version.


def save(campaign_id: int, changes: Mapping[str, Change], version: int, draft_form: type[WritingForm]) -> Saved:
    """Change the fields of a draft that nobody else has changed meanwhile.

    What is half written is saved all the same; whether it can be sent is asked later.

    :param version: the last one that the window knows.
    """
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update().filter(pk=campaign_id).first()
        if campaign is None:
            return Saved(version, "The campaign was deleted. Copy what you wrote before you leave this page.")
        if campaign.status != Campaign.Status.DRAFT:
            state = campaign.get_status_display()
            return Saved(
                version, f"The campaign is {state} now and cannot be changed any more. Your last words are not saved."
            )
        stored = values_of(draft_form(instance=campaign))
        known = {name: change for name, change in changes.items() if name in stored}
        known_before = version == campaign.version
        result = Saved(campaign.version)
        result.conflicts = {
            name: stored[name]
            for name, change in known.items()
            if not same(stored[name], change.was) and not same(stored[name], change.now)
        }
        wanted = {
            name: change.now
            for name, change in known.items()
            if name not in result.conflicts and not same(stored[name], change.now)
        }
        if wanted:
            _write(campaign, stored, wanted, result, draft_form)
        if not known_before:
            result.fresh = stored
        return result


def _write(campaign: Campaign, stored: Values, wanted: Values, result: Saved, draft_form: type[WritingForm]) -> None:
    """Write the wanted fields that can be stored, and note which they are."""
    while wanted:
        form = draft_form(posted({**stored, **wanted}), instance=Campaign.objects.get(pk=campaign.pk))
        if form.is_valid():
            result.version += 1
            form.instance.version = result.version
            form.save()
            result.saved += sorted(wanted)
            stored.update(wanted)
            return
        wrong = {name: str(errors[0]) for name, errors in form.errors.items() if name in wanted}
        if not wrong:  # Something that was not touched stands in the way of one of them: each by itself.
            if len(wanted) == 1:
                result.errors |= dict.fromkeys(wanted, str(next(iter(form.errors.values()))[0]))
            else:
                for name, value in wanted.items():
                    _write(campaign, stored, {name: value}, result, draft_form)
            return
        result.errors |= wrong
        wanted = {name: value for name, value in wanted.items() if name not in wrong}


def tell(campaign_id: int, user: Any, window: str, now: dt.datetime, *, is_leaving: bool = False) -> list[str]:
    """Note that somebody has a draft open, or leaves it; return who else has it open, by name."""
    rows = Writing.objects.filter(campaign=campaign_id)
    if is_leaving:
        rows.filter(window=window, user=user).delete()
    else:
        Writing.objects.update_or_create(
            campaign_id=campaign_id, window=window, defaults={"user": user, "seen_at": now}
        )
        Writing.objects.filter(seen_at__lt=now - FORGOTTEN).delete()
    others = rows.filter(seen_at__gte=now - SIGN_OF_LIFE).exclude(window=window).select_related("user")
    return sorted({_called(other.user, user) for other in others})


def _called(other: Any, user: Any) -> str:
    return "you, in another window" if other.pk == user.pk else other.get_full_name() or other.get_username()


def begin(starter: Starter, now: dt.datetime) -> Campaign:
    """Return a new draft with the words of a starter template, in the default layout."""
    layout = Layout.objects.filter(is_default=True).first()
    stem = f"{starter.name}, {now.day} {now:%B %Y}"
    taken = set(Campaign.objects.filter(name__startswith=stem).values_list("name", flat=True))
    names = (stem if number == 1 else f"{stem} ({number})" for number in itertools.count(1))
    content = {"html" if starter.markup == Campaign.Markup.HTML else "source": starter.content}
    return Campaign.objects.create(
        name=next(name for name in names if name not in taken),
        subject=starter.subject,
        preheader=starter.preheader,
        markup=starter.markup,
        layout=layout,
        **content,
    )
