"""The check that a username is free: no other user's may differ from it in case alone."""

from django import forms
from django.contrib.auth.models import User
from django.utils.translation import gettext as _


class RefusesTakenUsername(forms.ModelForm):  # type: ignore[type-arg]
    """A mixin of forms that give a user a name. An unchanged name stays."""

    def clean_username(self) -> str:
        # Saving would change the spelling afterwards: a full-width letter becomes the usual one.
        username: str = User.normalize_username(self.cleaned_data["username"])
        # Compared here: SQLite takes no other letters than a to z for the same in both cases.
        others = User.objects.exclude(pk=self.instance.pk).values_list("username", flat=True)
        is_taken = username.casefold() in {other.casefold() for other in others}
        if is_taken and username != self.instance.username:
            raise forms.ValidationError(_("A user with that username already exists."))
        return username
