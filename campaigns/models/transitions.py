"""The table of allowed status changes of a campaign, and the only function that writes a status.

Consequences of a change, such as a paused mailing, are the subject of the use cases.
"""

import copy
from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet

from campaigns.models.campaign import Campaign

Status = Campaign.Status
ALLOWED: Mapping[Status, frozenset[Status]] = {
    Status.DRAFT: frozenset({Status.SCHEDULED}),
    # A draft again: a user took it back, or the worker found an obstacle that the click could not know.
    Status.SCHEDULED: frozenset({Status.DRAFT, Status.SENDING, Status.CANCELLED}),
    Status.SENDING: frozenset({Status.PAUSED, Status.FINISHED, Status.CANCELLED}),
    Status.PAUSED: frozenset({Status.SENDING, Status.FINISHED, Status.CANCELLED}),
    Status.FINISHED: frozenset({Status.SENDING}),  # A user sends failed messages again.
    Status.CANCELLED: frozenset(),
}


class TransitionForbidden(ValueError):
    """The table has no such status change; the caller is wrong."""


def before(new: Status) -> tuple[Status, ...]:
    """Return the statuses from which a campaign may change to ``new``."""
    return tuple(old for old, following in ALLOWED.items() if new in following)


def change(campaigns: QuerySet[Campaign], old: Status | tuple[Status, ...], new: Status, **fields: Any) -> int:
    """Change the status of the campaigns whose status is ``old``; return the number of changed rows.

    The database compares the status on the row that it writes, so the second of two concurrent changes fails. Django
    turns a condition on another table into a subquery that holds the status as well; pass such a choice as ``pk__in``.

    :param fields: further columns of the same row, with their new values.
    :raises TransitionForbidden: if the table has no such change.
    """
    every = (old,) if isinstance(old, Status) else old
    for each in every:
        if new not in ALLOWED[each]:
            raise TransitionForbidden(f"A campaign that is {each} never becomes {new}.")
    return campaigns.filter(status__in=every).update(status=new, **fields)


def change_one(campaign: Campaign, old: Status, new: Status, **fields: Any) -> bool:
    """Do the same for one campaign, in the database and in this object. False if its row has another status.

    :raises TransitionForbidden: as :func:`change` does.
    """
    if not change(Campaign.objects.filter(pk=campaign.pk), old, new, **fields):
        return False
    for name, value in {"status": new, **fields}.items():
        setattr(campaign, name, value)
    return True


def as_draft(campaign: Campaign) -> Campaign:
    """Return a copy of a scheduled campaign in the state before it was queued, for its checks. Never save the copy."""
    draft = copy.copy(campaign)
    draft.status, draft.starts_at = Status.DRAFT, None
    return draft
