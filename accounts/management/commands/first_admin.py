"""Prints a one-time link at which the first person becomes administrator."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from accounts.sign_in import first_admin


class Command(BaseCommand):
    help = "Print a link at which the first person becomes administrator. It works once, within 24 hours."

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.OIDC_ONLY:
            raise CommandError(
                "OIDC_ONLY is set: the first person whom the issuer puts into a group of the role admin becomes"
                " administrator by signing in."
            )
        if not first_admin.is_needed():
            raise CommandError("There are users already. To let one of them in, run manage.py signin_link NAME.")
        self.stdout.write(first_admin.make_link())
