"""The timeline of a campaign: decisions of people, overridden checks, and incidents while it was sent."""

import datetime as dt
import json
from dataclasses import dataclass

from django.contrib.admin.models import LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import Max, Min
from django.utils.translation import gettext as _

from campaigns.models import Approval, Campaign, CheckOverride
from campaigns.schedule import mailings
from delivery.models import Incident, Mailing, MailingOutcome


@dataclass(frozen=True, slots=True)
class TimelineStep:
    """One event."""

    at: dt.datetime
    what: str
    who: str = ""


def steps(campaign: Campaign) -> list[TimelineStep]:
    """Return the events of the campaign with their actors, the oldest first."""
    entries = LogEntry.objects.filter(
        content_type=ContentType.objects.get_for_model(Campaign), object_id=str(campaign.pk)
    ).select_related("user")
    found = [TimelineStep(entry.action_time, _said(entry), entry.user.get_username()) for entry in entries]
    # An A/B test has several mailings; the campaign ends with the last of them.
    last = Mailing.objects.filter(pk__in=mailings.mailing_ids(campaign)).aggregate(at=Max("finished_at"))["at"]
    if last is not None and campaign.status in (Campaign.Status.FINISHED, Campaign.Status.CANCELLED):
        found.append(TimelineStep(last, _("Sending finished.")))
    for approval in Approval.objects.filter(campaign=campaign):
        found.append(
            TimelineStep(
                approval.requested_at, _with(_("Requested approval"), approval.request_note), approval.requested_by_name
            )
        )
        if approval.decided_at is not None:
            decision = approval.get_decision_display()
            found.append(TimelineStep(approval.decided_at, _with(decision, approval.note), approval.decided_by_name))
    return sorted(found, key=lambda step: step.at)


def overrides(campaign: Campaign) -> list[CheckOverride]:
    """Return the overridden checks of the campaign with their findings and reasons, the oldest first."""
    return list(CheckOverride.objects.filter(campaign=campaign).order_by("at"))


def _with(what: str, note: str) -> str:
    return f"{what}: {note}" if note else f"{what}."


def _said(entry: LogEntry) -> str:
    """Return the text of a log entry. Entries of the admin itself are JSON and are shortened to the changed fields."""
    if entry.is_addition():
        return _("Created.")
    fields = changed_fields(entry)
    if fields is None:
        return str(entry.change_message)
    return _("Changed %(fields)s.") % {"fields": ", ".join(fields)} if fields else _("Saved.")


def changed_fields(entry: LogEntry) -> list[str] | None:
    """Return the labels of the fields that a form's entry says were changed; None for an entry in words."""
    try:
        changes = json.loads(entry.change_message)
    except ValueError:
        return None
    return [str(field) for change in changes if "changed" in change for field in change["changed"].get("fields", ())]


def incidents(campaign: Campaign) -> list[Incident]:
    """Return the incidents on the campaign's servers while it was sent."""
    outcomes = MailingOutcome.objects.filter(mailing__in=mailings.mailing_ids(campaign)).order_by()
    bounds = outcomes.aggregate(first=Min("minute_at"), last=Max("minute_at"))
    if bounds["first"] is None:
        return []
    names = outcomes.values("server_name").distinct()
    until = bounds["last"] + dt.timedelta(minutes=1)
    found = Incident.objects.filter(server__name__in=names, seen_at__gte=bounds["first"], seen_at__lt=until)
    return list(found.select_related("server").order_by("seen_at"))
