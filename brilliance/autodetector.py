"""What needs a migration: the shape of the tables. Labels, help texts and choices are no part of it."""

from typing import Any

from django.db import models
from django.db.migrations.autodetector import MigrationAutodetector

OF_FIELDS = ("verbose_name", "help_text", "error_messages", "choices")
OF_MODELS = ("verbose_name", "verbose_name_plural")


class Autodetector(MigrationAutodetector):
    """Django's, deaf to labels, help texts and choices."""

    def deep_deconstruct(self, obj: Any) -> Any:
        found = super().deep_deconstruct(obj)
        if not isinstance(obj, models.Field):
            return found
        path, args, kwargs = found
        return path, args, {name: value for name, value in kwargs.items() if name not in OF_FIELDS}

    def generate_altered_options(self) -> None:
        for state in (self.from_state, self.to_state):
            for model in state.models.values():
                for name in OF_MODELS:
                    model.options.pop(name, None)
        super().generate_altered_options()
