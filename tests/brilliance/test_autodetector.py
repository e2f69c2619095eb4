"""Wording is no schema: labels, help texts and choices need no migration; a column does."""

from typing import Any

import pytest
from django.apps import apps
from django.db.migrations.state import ProjectState
from django.db.models import CharField

from brilliance.autodetector import Autodetector
from brilliance.management.commands import makemigrations, migrate


def changes_to(after: ProjectState) -> dict[str, Any]:
    return dict(Autodetector(present(), after)._detect_changes())


def present() -> ProjectState:
    return ProjectState.from_apps(apps)


@pytest.mark.parametrize("words", [{"help_text": "Other"}, {"verbose_name": "other"}, {"choices": [("en", "English")]}])
def test_the_words_of_a_field_need_no_migration(words: dict[str, Any]) -> None:
    after = present()
    field = after.models["installation", "sitesettings"].fields["language"]
    for name, value in words.items():
        setattr(field, name, value)

    assert changes_to(after) == {}


def test_the_name_of_a_model_needs_no_migration() -> None:
    after = present()
    after.models["installation", "sitesettings"].options["verbose_name"] = "other"

    assert changes_to(after) == {}


def test_a_column_and_its_length_need_one() -> None:
    longer, added = present(), present()
    longer.models["installation", "sitesettings"].fields["language"] = CharField(max_length=99)
    added.models["installation", "sitesettings"].fields["more"] = CharField(max_length=9, default="")

    assert [len(changes_to(after)["installation"][0].operations) for after in (longer, added)] == [1, 1]


def test_both_commands_use_it() -> None:
    assert makemigrations.Command.autodetector is migrate.Command.autodetector is Autodetector
