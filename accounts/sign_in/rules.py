"""The rules of usernames and passwords in plain words, for beside their fields. Validators enforce them."""

from django.utils.translation import gettext_lazy as _

USERNAME = _("You log in with it. Letters, digits and @ . + - _ only.")
PASSWORD = _(
    "At least 12 characters, not only digits. Not a common password, nor just a name or a word like “newsletter”."
)
SAME_PASSWORD = _("That's your current password. Choose a different one.")
