"""How Django finds the project itself, which owns the migration that makes the roles."""

import re
from typing import Any

from django import forms
from django.apps import AppConfig, apps
from django.db import connections
from django.db.models.signals import post_migrate, pre_migrate

from brilliance.spelling import find_in_any_spelling

_NOTHING = re.compile(r"(?!)")


def take_whole_numbers_literally() -> None:
    """Have every form refuse 1.000 as it refuses 1,000: Django takes it for 1, half the world means a thousand.

    Set on Django's own field, so that no form has to remember it; a test walks through all forms.
    """
    forms.IntegerField.re_decimal = _NOTHING
    sentence = "Enter a whole number without dots or commas, such as 1000."
    forms.IntegerField.default_error_messages = {"invalid": sentence}


def say_what_to_do() -> None:
    """Have every form say what to do about a text that is too long and a choice that there is not."""
    forms.CharField.default_error_messages = {
        "max_length": "Shorten this to %(limit_value)d characters; it has %(show_value)d.",
        "null_characters_not_allowed": "This holds a character that cannot be stored (NUL). Take it out.",
    }
    sentence = "Choose something from the list; this is not in it, or not any more."
    choices = (forms.ChoiceField, forms.MultipleChoiceField, forms.ModelChoiceField, forms.ModelMultipleChoiceField)
    for field in choices:
        field.default_error_messages = {**field.default_error_messages, "invalid_choice": sentence}


class BrillianceConfig(AppConfig):
    name = "brilliance"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from brilliance import checks  # noqa: F401  # registers them

        take_whole_numbers_literally()
        say_what_to_do()
        find_in_any_spelling()
        self._known: dict[str, set[int]] = {}
        auth = apps.get_app_config("auth")  # One with models: the signals pass over this one.
        pre_migrate.connect(self._remember_permissions, sender=auth)
        post_migrate.connect(self._give_new_permissions, sender=auth)
        apps.get_app_config("auth").verbose_name = "System"  # Its group in the sidebar.

    def _remember_permissions(self, using: str, **kwargs: Any) -> None:
        with connections[using].cursor() as cursor:
            is_there = "auth_permission" in connections[using].introspection.table_names(cursor)
        permissions = apps.get_model("auth", "Permission").objects.using(using)
        self._known[using] = set(permissions.values_list("pk", flat=True)) if is_there else set()

    def _give_new_permissions(self, using: str, **kwargs: Any) -> None:
        """Give the roles what a release brought; what administrators took from them stays taken."""
        from brilliance.roles import make_roles

        known = self._known.pop(using, None)
        if known is not None:  # A flush comes without the signal before it.
            make_roles(apps, using, known)
