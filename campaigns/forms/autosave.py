"""Autosave of a draft while several people may edit it at once, without losing anybody's text.

A window sends the fields that it changed, each with the value that it knew before. If the stored value is still that
one, the field is saved. If somebody else has changed it meanwhile, the field is a conflict: it is reported to the
window and stays as it is.
"""

import datetime as dt
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import transaction
from django.utils import formats
from django.utils.translation import gettext as _

from campaigns.forms.content import Values, WritingForm, posted, same, values_of
from campaigns.markup.starter_templates import Starter
from campaigns.models import Campaign, Layout, Writing
from contacts.models import ContactList

HEARTBEAT_EXPIRY = dt.timedelta(seconds=45)  # Windows send a heartbeat every fifteen seconds.
FORGOTTEN = dt.timedelta(days=1)  # Age at which the row of a window is deleted.


@dataclass(frozen=True, slots=True)
class Change:
    """A field's new value from a window, and the value that the window knew before."""

    was: list[str]
    now: list[str]


@dataclass(slots=True)
class Saved:
    """The result of an autosave."""

    version: int
    obstacle: str = ""  # A sentence: why nothing can be saved any more.
    saved: list[str] = field(default_factory=list)  # Names of saved fields.
    errors: dict[str, str] = field(default_factory=dict)  # By field: why it is not saved yet.
    conflicts: Values = field(default_factory=dict)  # By field: the value that somebody else stored.
    fresh: Values = field(default_factory=dict)  # All stored fields, if the window knows an older version.


def save(campaign_id: int, changes: Mapping[str, Change], version: int, draft_form: type[WritingForm]) -> Saved:
    """Save the changed fields of a draft, except those that somebody else has changed meanwhile.

    Incomplete content is saved as well; the preflight checks decide later whether it can be sent.

    :param version: the latest version that the window knows.
    """
    with transaction.atomic():
        campaign = Campaign.objects.select_for_update().filter(pk=campaign_id).first()
        if campaign is None:
            return Saved(version, _("This campaign was deleted. Copy your text before you leave the page."))
        if campaign.status != Campaign.Status.DRAFT:
            sentence = _("This campaign can't be changed any more, so your last changes weren't saved. Its status: %s.")
            return Saved(version, sentence % campaign.status_word)
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
    """Store the valid ones of the wanted fields, and add names and errors to ``result``."""
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
        if not wrong:  # An untouched field makes one of them invalid, so each field is tried separately.
            if len(wanted) == 1:
                result.errors |= dict.fromkeys(wanted, str(next(iter(form.errors.values()))[0]))
            else:
                for name, value in wanted.items():
                    _write(campaign, stored, {name: value}, result, draft_form)
            return
        result.errors |= wrong
        wanted = {name: value for name, value in wanted.items() if name not in wrong}


def record_heartbeat(
    campaign_id: int, user: Any, window: str, now: dt.datetime, *, is_leaving: bool = False
) -> list[str]:
    """Record that a window has a draft open, or closes it; return the names of other people who have it open."""
    rows = Writing.objects.filter(campaign=campaign_id)
    if is_leaving:
        rows.filter(window=window, user=user).delete()
    else:
        Writing.objects.update_or_create(
            campaign_id=campaign_id, window=window, defaults={"user": user, "seen_at": now}
        )
        Writing.objects.filter(seen_at__lt=now - FORGOTTEN).delete()
    others = rows.filter(seen_at__gte=now - HEARTBEAT_EXPIRY).exclude(window=window).select_related("user")
    return sorted({_called(other.user, user) for other in others})


def _called(other: Any, user: Any) -> str:
    return _("you, in another window") if other.pk == user.pk else other.get_full_name() or other.get_username()


def begin(starter: Starter, now: dt.datetime) -> Campaign:
    """Create a draft from a starter template, in the default layout, under an unused name, for the only list."""
    layout = Layout.objects.filter(is_default=True).first()
    stem = f"{starter.name}, {formats.date_format(now, 'j F Y')}"
    taken = set(Campaign.objects.filter(name__startswith=stem).values_list("name", flat=True))
    names = (stem if number == 1 else f"{stem} ({number})" for number in itertools.count(1))
    content = {starter.markup: starter.content}
    draft = Campaign.objects.create(
        name=next(name for name in names if name not in taken),
        subject=starter.subject,
        preheader=starter.preheader,
        markup=starter.markup,
        layout=layout,
        **content,
    )
    lists = list(ContactList.objects.all()[:2])
    if len(lists) == 1:  # There is no other choice.
        draft.lists.add(*lists)
    return draft
