"""Django's ``migrate``, which refuses a database with the tables of another version."""

from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands.migrate import Command as Migrate

from brilliance import schema
from brilliance.autodetector import Autodetector


class Command(Migrate):
    autodetector = Autodetector

    def handle(self, *args: Any, **options: Any) -> None:
        if options["database"] == "default" and (problem := schema.refusal()):
            raise CommandError(problem)
        super().handle(*args, **options)
