"""Django's ``makemigrations``, which writes none for a changed wording."""

from django.core.management.commands.makemigrations import Command as MakeMigrations

from brilliance.autodetector import Autodetector


class Command(MakeMigrations):
    autodetector = Autodetector
