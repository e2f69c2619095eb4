"""The worker's errands for people: reading uploaded files, and looking after neglected ones."""

import time

from celery import shared_task
from django.utils import timezone

from contacts.attributes import retype as attributes_retype
from contacts.privacy import retention
from contacts.transfer import import_contacts, uploads

# How long one task reads before it gives the worker's slot back, so that short errands need not wait for long.
SLICE_SECONDS = 5.0


@shared_task
def import_people(import_id: int) -> None:
    """Read a part of the file, and ring again for the rest."""
    ends = time.monotonic() + SLICE_SECONDS
    if import_contacts.import_people(import_id, timezone.now(), should_pause=lambda: time.monotonic() > ends):
        ring(import_id)


@shared_task
def sweep_imports() -> None:
    """Ring for imports that nobody has in hand, and clear away what nobody needs any more."""
    for import_id in import_contacts.find_neglected():
        ring(import_id)
    uploads.clear_away(timezone.now())


@shared_task
def retype(attribute_id: int, after: int = 0) -> None:
    """Give the values that are there the kind of their attribute, and ring again for the rest."""
    ends = time.monotonic() + SLICE_SECONDS
    following: int | None = after
    while following is not None:
        if time.monotonic() > ends:
            retype.apply_async(args=[attribute_id, following], retry=False)
            return
        following = attributes_retype.retype(attribute_id, following)


@shared_task
def let_go() -> None:
    """Let go of what was kept long enough, for a while, and ring again for the rest."""
    ends = time.monotonic() + SLICE_SECONDS
    _, is_done = retention.run(timezone.now(), should_pause=lambda: time.monotonic() > ends)
    if not is_done:
        let_go.apply_async(retry=False)  # No countdown: the clock of the worker that counts may be another.


def ring(import_id: int) -> None:
    """Tell a worker about the import. Only a hint: when it is lost, the sweep rings again."""
    import_people.apply_async(args=[import_id], retry=False)
