"""The app configuration of the project, which owns the migration that creates the roles."""

import re
from typing import Any

from django import forms
from django.apps import AppConfig, apps
from django.db import connections
from django.db.models.signals import post_migrate, pre_migrate
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from adminpages.instants import ahead
from brilliance.logs import cut_secrets_of_servers
from brilliance.spelling import ignore_case_and_normalisation
from words.texts import TRANSLATOR

_NOTHING = re.compile(r"(?!)")


def reject_dots_in_whole_numbers() -> None:
    """Make every form reject 1.000 as it rejects 1,000: Django reads it as 1, many people mean a thousand.

    Set on Django's own field, so that no form has to remember it; a test checks all forms.
    """
    forms.IntegerField.re_decimal = _NOTHING
    sentence = _("Enter a whole number without dots or commas, such as 1000.")
    forms.IntegerField.default_error_messages = {"invalid": sentence}


def set_default_errors() -> None:
    """Make the default errors for a text that is too long and for an invalid choice say what to do."""
    forms.CharField.default_error_messages = {
        "max_length": _("Shorten this to %(limit_value)d characters; it has %(show_value)d."),
        "null_characters_not_allowed": _("This holds a character that cannot be stored (NUL). Take it out."),
    }
    sentence = _("Choose something from the list; this is not in it, or not any more.")
    choices = (forms.ChoiceField, forms.MultipleChoiceField, forms.ModelChoiceField, forms.ModelMultipleChoiceField)
    for field in choices:
        field.default_error_messages = {**field.default_error_messages, "invalid_choice": sentence}


class BrillianceConfig(AppConfig):
    name = "brilliance"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from brilliance import checks  # noqa: F401  # registers them

        cut_secrets_of_servers()
        reject_dots_in_whole_numbers()
        set_default_errors()
        TRANSLATOR.gettext, TRANSLATOR.ngettext, TRANSLATOR.instant = gettext, ngettext, ahead
        ignore_case_and_normalisation()
        self._known: dict[str, set[int]] = {}
        auth = apps.get_app_config("auth")  # An app with models: the signals skip this one, which has none.
        pre_migrate.connect(self._remember_permissions, sender=auth)
        post_migrate.connect(self._give_new_permissions, sender=auth)
        apps.get_app_config("auth").verbose_name = _("Settings")  # The place of its pages.

    def _remember_permissions(self, using: str, **kwargs: Any) -> None:
        with connections[using].cursor() as cursor:
            is_there = "auth_permission" in connections[using].introspection.table_names(cursor)
        permissions = apps.get_model("auth", "Permission").objects.using(using)
        self._known[using] = set(permissions.values_list("pk", flat=True)) if is_there else set()

    def _give_new_permissions(self, using: str, **kwargs: Any) -> None:
        """Give the roles the new permissions of a release, and none that administrators took from them."""
        from brilliance.roles import make_roles

        known = self._known.pop(using, None)
        if known is not None:  # A flush sends no pre_migrate signal.
            make_roles(apps, using, known)
