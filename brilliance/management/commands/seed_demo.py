"""``manage.py seed_demo``: fills an empty installation with the demo."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.utils import timezone

from accounts.sign_in import first_admin
from brilliance.demo import seed


class Command(BaseCommand):
    help = "Fill an empty Brilliance with the demo: people who sign in, servers, readers, campaigns."

    def handle(self, *args: Any, **options: Any) -> None:
        path = settings.DATA_DIR / "sign-ins.txt"
        if not first_admin.is_needed():
            self.stdout.write("Nothing was changed: somebody can sign in already, so this is not the first start.")
            return
        seed.seed(path, timezone.now())
        self.stdout.write(f"The demo is ready. Its sign-ins are in {path}.")
