"""The forms around the review page: schedule, test addresses, seed lists, the approval rule."""

import datetime as dt
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from adminpages.changes import NoticesChanges
from adminpages.text_fields import RefusesControls
from campaigns.models import ApprovalRule, Campaign, SeedList
from campaigns.schedule.rules import DAYS, zone_of
from campaigns.schedule.schedule import PAST, Schedule, wall_of, zone_for
from installation.site import site
from mail.addresses import AddressInvalid, check_address, fold
from words import time_zones
from words.instants import stamp
from words.texts import translated

MOST_TESTS = 20
YEARS = range(1900, 3000)  # At the ends of the calendar, conversion to another time zone fails.
LAST_CLOCKS = dt.timezone(dt.timedelta(hours=-12))  # The last time zone in the world to reach a wall time.


class WallInput(forms.DateTimeInput):
    """The browser's own input for a date and a time."""

    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%dT%H:%M")


class WallField(forms.DateTimeField):
    """A date and a time without a zone. Another field holds the zone, and the schedule handles clock changes."""

    widget = WallInput

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(input_formats=["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"], **kwargs)

    def to_python(self, value: Any) -> dt.datetime | None:
        with timezone.override(dt.UTC):  # Otherwise Django refuses times that are skipped in the site's own zone.
            read = super().to_python(value)
        if read and read.year not in YEARS:
            raise forms.ValidationError(
                gettext("Choose a year from %(first)s to %(last)s.") % {"first": YEARS[0], "last": YEARS[-1]}
            )
        return read.replace(tzinfo=None) if read else None


def zone_choices() -> list[tuple[str, str]]:
    """Return the time zones with inhabitants; the site's own comes first."""
    places = ((name, name) for name in time_zones.inhabited())
    return [("", gettext("%(zone)s (this site)") % {"zone": site().time_zone}), ("UTC", "UTC"), *places]


class ScheduleForm(RefusesControls, NoticesChanges, forms.Form):
    called = "schedule"

    start = forms.ChoiceField(label=_("Start"), choices=Campaign.Start.choices, widget=forms.RadioSelect)
    wall = WallField(label=_("Date and time"), required=False)
    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        required=False,
        choices=zone_choices,
        help_text=_(
            "Applies to all times on this form. With local-time sending, used for people whose time zone is unknown."
        ),
    )
    not_after = WallField(
        label=_("Stop sending after"), required=False, help_text=_("Unsent messages are dropped at this time.")
    )
    days = forms.TypedMultipleChoiceField(
        label=_("Only on these days"),
        required=False,
        coerce=int,
        choices=list(enumerate(DAYS)),
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Leave all unticked to send on any day."),
    )
    opens = forms.TimeField(label=_("From"), required=False, widget=forms.TimeInput({"type": "time"}, format="%H:%M"))
    closes = forms.TimeField(label=_("To"), required=False, widget=forms.TimeInput({"type": "time"}, format="%H:%M"))

    def __init__(self, *args: Any, now: dt.datetime, **kwargs: Any) -> None:
        self._now = now
        super().__init__(*args, **kwargs)

    @classmethod
    def of(cls, campaign: Campaign, now: dt.datetime, given: Any = None) -> "ScheduleForm":
        """Return the form with the campaign's stored schedule, bound to the sent data if there are any."""
        last = campaign.not_after
        return cls(
            given,
            now=now,
            initial={
                "start": campaign.start,
                "wall": wall_of(campaign),
                "time_zone": campaign.time_zone,
                "not_after": last.astimezone(zone_for(campaign)).replace(tzinfo=None) if last else None,
                "days": campaign.window_days,
                "opens": campaign.window_opens,
                "closes": campaign.window_closes,
            },
        )

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        is_timed = cleaned.get("start") in (Campaign.Start.AT, Campaign.Start.LOCAL)
        if is_timed and not cleaned.get("wall") and "wall" not in self.errors:
            self.add_error("wall", gettext("Choose a date and time."))
        elif is_timed and "wall" not in self.errors and "time_zone" not in self.errors:
            self._refuse_the_past(cleaned)
        if (cleaned.get("opens") is None) != (cleaned.get("closes") is None):
            self.add_error("closes", gettext("Fill in both times, or leave both empty."))
        elif cleaned.get("opens") is not None and cleaned.get("opens") == cleaned.get("closes"):
            self.add_error("closes", gettext("Choose two different times. Leave both empty for the whole day."))
        return cleaned

    def _refuse_the_past(self, cleaned: dict[str, Any]) -> None:
        zone = zone_of(cleaned["time_zone"]) or site().time_zone
        is_local = cleaned["start"] == Campaign.Start.LOCAL
        shown = self._now.astimezone(LAST_CLOCKS if is_local else zone)
        if cleaned["wall"] >= shown.replace(tzinfo=None) - PAST:
            return
        if is_local:
            past = gettext("This time is over in every time zone. Choose a later date and time.")
        else:
            now = {"now": stamp(self._now, self._now, zone), "zone": zone}
            past = gettext("This time is in the past: it's %(now)s in %(zone)s. Choose a later date and time.") % now
        self.add_error("wall", past)

    def schedule(self) -> Schedule:
        """Return the chosen schedule."""
        chosen = self.cleaned_data
        is_now = chosen["start"] == Campaign.Start.NOW
        return Schedule(
            chosen["start"],
            None if is_now else chosen["wall"],
            chosen["time_zone"],
            chosen["not_after"],
            tuple(chosen["days"]),
            chosen["opens"],
            chosen["closes"],
        )


class SendTestsForm(RefusesControls, forms.Form):
    """Addresses for test messages: typed, from seed lists, or both."""

    __test__ = False  # Keeps pytest from collecting it as a test.
    recipients = forms.CharField(
        label=_("Addresses"),
        required=False,
        max_length=8000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=_("One address per line. Each test is a real message and counts towards the quota."),
    )
    seed_lists = forms.ModelMultipleChoiceField(
        SeedList.objects.all(), label=_("Seed lists"), required=False, widget=forms.CheckboxSelectMultiple
    )

    def clean_recipients(self) -> list[str]:
        return addresses_of(self.cleaned_data["recipients"])

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        found = {fold(address): address for address in cleaned.get("recipients", ())}
        for seeds in cleaned.get("seed_lists", ()):
            found |= {fold(address): address for address in addresses_of(seeds.addresses)}
        if not found and not self.errors:
            raise forms.ValidationError(gettext("Enter an address or choose a seed list."))
        if len(found) > MOST_TESTS:
            raise forms.ValidationError(_too_many(len(found), MOST_TESTS))
        cleaned["addresses"] = list(found.values())
        return cleaned


def addresses_of(text: str) -> list[str]:
    """Return the addresses in a text, separated by line ends, commas or semicolons.

    :raises ValidationError: if an address is invalid; the error names the first one.
    """
    found = []
    for word in text.replace(",", "\n").replace(";", "\n").splitlines():
        if not word.strip():
            continue
        try:
            found.append(check_address(word.strip()))
        except AddressInvalid as error:
            raise forms.ValidationError(translated(error)) from error  # It names the address.
    return found


def _too_many(number: int, most: int) -> str:
    sentence = gettext("That's %(number)s addresses. Enter at most %(most)s.")
    return sentence % {"number": f"{number:,}", "most": most}


class SeedListForm(RefusesControls, forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = SeedList
        fields = ["name", "addresses"]

    def clean_addresses(self) -> str:
        found = list(dict.fromkeys(addresses_of(self.cleaned_data["addresses"])))
        if not found:
            raise forms.ValidationError(gettext("Enter an address."))
        if len(found) > MOST_TESTS:
            raise forms.ValidationError(_too_many(len(found), MOST_TESTS))
        return "\n".join(found)


class ApprovalRuleForm(RefusesControls, forms.ModelForm):  # type: ignore[type-arg]
    class Meta:
        model = ApprovalRule
        fields = ["needed_above", "tolerance_percent", "tolerance_people"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in self.fields:  # Users who may only view get a form without fields.
            self.fields[name].required = False

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean() or {}
        usual = ApprovalRule()
        for name in ("tolerance_percent", "tolerance_people"):
            if cleaned.get(name) is None and name not in self.errors:
                cleaned[name] = getattr(usual, name)
        return cleaned
