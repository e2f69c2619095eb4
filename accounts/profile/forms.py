"""The form of one's own account: name, e-mail address, time zone."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from accounts.models import Profile
from adminpages.text_fields import RefusesControls
from installation.site import site
from words import time_zones


def time_zone_choices() -> list[tuple[str, str]]:
    """Return the time zones with inhabitants; the site's own comes first, as the one without a choice."""
    usual = gettext("%(zone)s (this site)") % {"zone": site().time_zone}
    return [("", usual), ("UTC", "UTC"), *((name, name) for name in time_zones.inhabited())]


class ProfileForm(RefusesControls, forms.ModelForm):  # type: ignore[type-arg]
    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        required=False,
        choices=time_zone_choices,
        widget=UnfoldAdminSelectWidget,
        help_text=_("Times on your pages are in this zone. Days in reports stay those of the site."),
    )

    class Meta:
        model = User
        fields = ["first_name", "last_name", "email"]
        labels = {"first_name": _("First name"), "last_name": _("Last name"), "email": _("Email")}
        help_texts = {"email": _("Gets alerts, and a link if you forget your password.")}
        widgets = {
            "first_name": UnfoldAdminTextInputWidget({"autocomplete": "given-name"}),
            "last_name": UnfoldAdminTextInputWidget({"autocomplete": "family-name"}),
            "email": UnfoldAdminTextInputWidget({"type": "email", "autocomplete": "email"}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"label_suffix": "", **kwargs})
        self._profile = Profile.objects.filter(user=self.instance).first() or Profile(user=self.instance)
        zone, field = self._profile.time_zone, self.fields["time_zone"]
        self.initial["time_zone"] = zone
        assert isinstance(field, forms.ChoiceField)
        if zone not in dict(time_zone_choices()):  # Chosen on a machine that knows others.
            field.choices = [*time_zone_choices(), (zone, zone)]
        if settings.OIDC_LINK_BY_EMAIL:
            # Whoever entered a colleague's address would be linked to the colleague's account at the issuer.
            self.fields["email"].disabled = True
            self.fields["email"].help_text = gettext("Single sign-on finds you by it. An administrator can change it.")

    def save(self, commit: bool = True) -> User:
        with transaction.atomic():
            user: User = super().save(commit)
            self._profile.time_zone = self.cleaned_data["time_zone"]
            self._profile.save()
        return user
